#include "precheck/interview.h"

#include "base/clock.h"
#include "base/memory.h"
#include "link/scan_rights.h"
#include "precheck/rights.h"
#include "precheck/sample.h"
#include "precheck/usage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 16

struct question {
	struct witness *witness;
	interview_take *take;
	unsigned index;
};

/* ---- questions and answers ---- */

static void on_answer(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct question *question = owner;
	struct witness *witness = question->witness;
	struct interview *interview = witness->interview;

	if (!error)
		question->take(witness, &reply->nodes[0], question->index);
	else if (!witness->node->answered && witness->node->error.kind == ERROR_NONE)
		witness->node->error = *error;
	free(question);
	/* Only now: an answer may have led to further questions. */
	if (--interview->outstanding == 0)
		interview->done = true;
}

void interview_ask(struct witness *witness, struct client *client, interview_take *take, unsigned index, uint32_t argc,
		   const struct slice *argv)
{
	struct question *question = memory_alloc_zero(1, sizeof(*question));

	*question = (struct question){witness, take, index};
	witness->interview->outstanding++;
	client_send(client, argc, argv, on_answer, question);
}

void interview_ask_words(struct witness *witness, struct client *client, interview_take *take, unsigned index, ...)
{
	struct slice argv[WORDS_MAX];
	uint32_t argc = 0;
	const char *word;
	va_list args;

	va_start(args, index);
	while (argc < WORDS_MAX && (word = va_arg(args, const char *)))
		argv[argc++] = slice_of_string(word);
	va_end(args);
	interview_ask(witness, client, take, index, argc, argv);
}

static void round_end(struct interview *interview)
{
	interview->done = interview->outstanding == 0;
	/* The clients' own time-outs end it. */
	loop_run_until(interview->precheck->options->loop, &interview->done, UINT64_MAX);
}

struct client *interview_connect(const struct witness *witness)
{
	const struct precheck_options *options = witness->interview->precheck->options;
	struct deployment *deployment = witness->node->side == PRECHECK_SOURCE ? options->source : options->target;
	const struct deployment_options *side = deployment_options(deployment);
	char *name = memory_printf("keyferry:%s:precheck", options->task->name);
	struct client_options client = {
		.endpoint = witness->node->endpoint,
		.credentials = &side->credentials,
		.tls = deployment_tls(deployment),
		.tls_name = side->tls.server_name,
		.name = name,
		.timeout_ms = options->task->connect_timeout_ms,
		.blame = witness->node->side == PRECHECK_SOURCE ? ERROR_SOURCE : ERROR_TARGET,
	};
	struct client *made = client_new(options->loop, &client);

	free(name);
	return made;
}

/* ---- the first round ---- */

static char *answer_text(const struct resp_node *answer)
{
	return memory_strndup((const char *)answer->text.data, answer->text.len);
}

static void take_text(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;

	if (answer->type == RESP_ERROR)
		node->text_refusals[index] = answer_text(answer);
	else if (answer->type == RESP_BULK || answer->type == RESP_SIMPLE)
		node->texts[index] = answer_text(answer);
}

static void take_info(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;
	char quoted[200];

	take_text(witness, answer, index);
	node->answered = node->texts[NODE_INFO] && server_info_parse(slice_of_string(node->texts[NODE_INFO]), &node->info);
	if (node->answered)
		return;
	error_set(&node->error, node->side == PRECHECK_SOURCE ? ERROR_SOURCE : ERROR_TARGET, "%s: INFO: %s", node->name,
		  slice_quote(answer->text, quoted, sizeof(quoted)));
	error_hint(&node->error, "the user needs the right to run INFO: ACL SETUSER on that server");
}

static void take_setting(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;
	const struct resp_node *value = answer->type == RESP_ARRAY ? resp_member(answer, 1) : NULL;

	if (value)
		node->settings[index] = answer_text(value);
	else if (answer->type == RESP_ERROR && !node->settings_refusal)
		node->settings_refusal = answer_text(answer);
}

/* `index` is when it was asked, in milliseconds of the monotonic clock that has wrapped around. */
static void take_time(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;
	const struct resp_node *seconds = answer->type == RESP_ARRAY ? resp_member(answer, 0) : NULL,
			       *micros = seconds ? resp_member(answer, 1) : NULL;
	uint64_t s, us;

	if (!micros || !slice_to_uint64(seconds->text, &s) || !slice_to_uint64(micros->text, &us) || s > INT64_MAX / 2000)
		return;
	node->clock_known = true;
	node->clock_doubt_ms = (int64_t)((unsigned)(clock_monotonic_us() / 1000) - index) / 2 + 1;
	node->clock_ahead_ms = (int64_t)(s * 1000 + us / 1000) - (clock_wall_ms() - node->clock_doubt_ms);
}

static void ask_first(struct witness *witness)
{
	const struct node *node = witness->node;
	struct precheck *precheck = witness->interview->precheck;
	bool source = node->side == PRECHECK_SOURCE;

	interview_ask_words(witness, witness->client, take_info, NODE_INFO, "INFO", NULL);
	if (!node->master && !node->reads)
		return;
	if (precheck_is_cluster(precheck, node->side)) {
		interview_ask_words(witness, witness->client, take_text, NODE_CLUSTER_INFO, "CLUSTER", "INFO", NULL);
		interview_ask_words(witness, witness->client, take_text, NODE_CLUSTER_NODES, "CLUSTER", "NODES", NULL);
	}
	interview_ask_words(witness, witness->client, take_text, NODE_CLIENTS, "CLIENT", "LIST", NULL);
	interview_ask_words(witness, witness->client, take_text, NODE_USER, "ACL", "WHOAMI", NULL);
	if (source)
		interview_ask_words(witness, witness->client, take_text, NODE_COMMANDSTATS, "INFO", "commandstats", NULL);
	interview_ask_words(witness, witness->client, take_setting, 0, "CONFIG", "GET", node_setting_name(0), NULL);
}

/* The first one has shown whether they may be read: a server keeps a record of what it denies. */
static void ask_settings(struct witness *witness)
{
	const struct node *node = witness->node;

	if (!node->answered || node->settings_refusal || (!node->master && !node->reads))
		return;
	for (unsigned i = 1; i < NODE_SETTINGS; i++)
		interview_ask_words(witness, witness->client, take_setting, i, "CONFIG", "GET", node_setting_name(i), NULL);
}

/* By itself, so that nothing before it is in the round trip. */
static void ask_time(struct witness *witness)
{
	if (witness->node->master && witness->node->answered)
		interview_ask_words(witness, witness->client, take_time, (unsigned)(clock_monotonic_us() / 1000), "TIME", NULL);
}

/* ---- the rate of writes ---- */

static void take_offset(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct server_info info;

	(void)index;
	if (answer->type == RESP_BULK && server_info_parse(answer->text, &info))
		witness->node->sampled_offset = info.repl_offset;
}

/* Without a backlog an offset stands still. */
static bool offsets_move(const struct precheck *precheck)
{
	const struct node *node = NULL;
	uint64_t active;

	while ((node = precheck_next_master(precheck, PRECHECK_SOURCE, node)))
		if (node_number(node, "repl_backlog_active", &active) && active)
			return true;
	return false;
}

static void sample_rates(struct interview *interview, uint64_t began_us)
{
	const struct precheck *precheck = interview->precheck;
	uint64_t now, until_us = began_us + precheck->options->sample_ms * 1000ULL;
	const bool never = false;

	if (precheck->options->sample_ms == 0 || !offsets_move(precheck))
		return;
	loop_run_until(precheck->options->loop, &never, until_us);
	now = clock_monotonic_us();
	for (uint32_t i = 0; i < precheck->node_count; i++) {
		struct witness *witness = &interview->witnesses[i];

		if (witness->node->side != PRECHECK_SOURCE || !witness->node->master || !witness->node->answered)
			continue;
		witness->node->sampled_us = now - began_us;
		witness->node->sampled_offset = -1;
		interview_ask_words(witness, witness->client, take_offset, 0, "INFO", NULL);
	}
	round_end(interview);
}

/* ---- the whole of it ---- */

static void for_each(struct interview *interview, void (*ask)(struct witness *witness))
{
	for (uint32_t i = 0; i < interview->precheck->node_count; i++)
		ask(&interview->witnesses[i]);
	round_end(interview);
}

void interview_run(struct precheck *precheck)
{
	struct interview interview = {.precheck = precheck};
	uint64_t began_us;

	interview.witnesses = memory_alloc_zero(precheck->node_count, sizeof(*interview.witnesses));
	for (uint32_t i = 0; i < precheck->node_count; i++) {
		struct witness *witness = &interview.witnesses[i];

		witness->interview = &interview;
		witness->node = &precheck->nodes[i];
		witness->client = interview_connect(witness);
	}
	for_each(&interview, ask_first);
	began_us = clock_monotonic_us();
	for_each(&interview, ask_time);
	for_each(&interview, ask_settings);
	usage_read(precheck);
	for_each(&interview, rights_ask_how);
	for_each(&interview, rights_ask);
	for_each(&interview, rights_ask_queued);
	for_each(&interview, sample_ask);
	sample_rates(&interview, began_us);
	for (uint32_t i = 0; i < precheck->node_count; i++) {
		/* Closing it drops what was queued. */
		client_free(interview.witnesses[i].second);
		client_free(interview.witnesses[i].client);
	}
	free(interview.witnesses);
}
