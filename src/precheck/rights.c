#include "precheck/rights.h"

#include "base/memory.h"
#include "precheck/usage.h"
#include "sink/mark.h"
#include "source/heartbeat.h"
#include "wire/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGUMENTS_MAX 16
#define REPLICATION_ID "keyferry-precheck" /* no server's: what it says in its log is understood */
#define OWN_KEYS_RULE "~" MARK_PREFIX "* ~" MARK_TASK_PREFIX "*"

static bool is_since(const struct node *node, uint32_t version)
{
	return node->info.family == FAMILY_VALKEY || node->info.version >= version;
}

static bool text_has(struct slice text, const char *word)
{
	return text.data && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

/* EXEC says it in words of its own: "EXECABORT Transaction discarded because of: NOPERM ...". */
static bool is_refused(struct slice text)
{
	return slice_starts_with(text, SLICE("NOPERM")) ||
	       (slice_starts_with(text, SLICE("EXECABORT")) && text_has(text, ": NOPERM"));
}

enum denial rights_denial(const struct resp_node *answer, bool dry_run)
{
	struct slice text = answer->text;

	if (answer->type == RESP_ERROR &&
	    (slice_starts_with(text, SLICE("ERR unknown command")) || text_has(text, "is renamed or not supported")))
		return DENIAL_UNKNOWN;
	/* A dry run that would be denied is answered by a text, one of a command that is not there by an error. */
	if (dry_run ? (answer->type != RESP_BULK && answer->type != RESP_SIMPLE) || slice_equal(text, SLICE("OK"))
		    : answer->type != RESP_ERROR || !is_refused(text))
		return dry_run && answer->type == RESP_ERROR && text_has(text, "not found") ? DENIAL_UNKNOWN : DENIAL_NONE;
	/* A key may have any name: "... no permissions to access the 'command' key". */
	return text_has(text, "to run") ? DENIAL_COMMAND : DENIAL_KEY;
}

/* ---- what is asked ---- */

/* One right: the rule that gives it, and a harmless form of its command. "$K" is a key of keyferry's own on that node. */
struct right {
	const char *rule;
	const char *words[5];
};

/* Queued at the target, and dropped. The first one tells whether writes are taken. */
static const struct right queued_rights[] = {
	{"+hset", {"HSET", "$K", "f", "v"}},       {"+hmget", {"HMGET", "$K", "f"}},
	{"+hgetall", {"HGETALL", "$K"}},           {"+set", {"SET", "$K", "v"}},
	{"+restore", {"RESTORE", "$K", "0", "v"}}, {"+del", {"DEL", "$K"}},
	{"+pexpireat", {"PEXPIREAT", "$K", "1"}},  {"+select", {"SELECT", "0"}},
};
/* Queued at a cluster that follows a source of other slots: for commands whose keys lie in several of them. */
static const struct right across_rights[] = {
	{"+dump", {"DUMP", "$K"}}, {"+lindex", {"LINDEX", "$K", "0"}}, {"+pexpiretime", {"PEXPIRETIME", "$K"}}, /* 7.0 */
	{"+pttl", {"PTTL", "$K"}},                                                                              /* before */
	{"+time", {"TIME"}},
};
#define CHECKPOINT_RIGHTS 3 /* the first of them are needed for marks alone */
#define SELECT_RIGHT 7

enum direct { ASK_REPLCONF, ASK_PSYNC, ASK_PSYNC_THERE, ASK_HEARTBEAT, ASK_EXEC, ASK_ASKING };

static void quote(const struct resp_node *answer, char out[200])
{
	slice_quote(answer->text, out, 200);
}

static void need(struct node *node, const char *rule, const struct resp_node *answer)
{
	words_add(node->rules_needed, sizeof(node->rules_needed), " ", rule);
	if (!node->denial[0])
		quote(answer, node->denial);
}

static void own_key(const struct witness *witness, char out[200])
{
	const struct precheck *precheck = witness->interview->precheck;

	if (!precheck_is_cluster(precheck, PRECHECK_TARGET)) {
		snprintf(out, 200, MARK_TASK_PREFIX "%.150s", precheck->options->task->name);
		return;
	}
	/* One of this node's slots, so that it answers by itself. */
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		if (deployment_topology(precheck->options->target)->owner[slot] == witness->node->shard) {
			snprintf(out, 200, MARK_PREFIX "{%s}", slot_tag((uint16_t)slot));
			return;
		}
	}
	snprintf(out, 200, MARK_PREFIX "{}");
}

/* Sends it, as a dry run where that may be. */
static void ask(struct witness *witness, struct client *client, interview_take *take, unsigned index, uint32_t argc,
		const struct slice *argv)
{
	struct slice words[ARGUMENTS_MAX + 3] = {SLICE("ACL"), SLICE("DRYRUN")};

	if (!witness->dry_run) {
		interview_ask(witness, client, take, index, argc, argv);
		return;
	}
	words[2] = slice_of_string(witness->node->texts[NODE_USER]);
	for (uint32_t i = 0; i < argc; i++)
		words[3 + i] = argv[i];
	interview_ask(witness, witness->client, take, index, argc + 3, words);
}

#define ASK(witness, take, index, ...)                                                                                           \
	do {                                                                                                                     \
		const struct slice words_[] = {__VA_ARGS__};                                                                     \
		ask(witness, (witness)->client, take, index, sizeof(words_) / sizeof(words_[0]), words_);                        \
	} while (0)

/* ---- how ---- */

static void take_how(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)index;
	witness->dry_run = answer->type != RESP_ERROR && slice_equal(answer->text, SLICE("OK"));
}

void rights_ask_how(struct witness *witness)
{
	const struct node *node = witness->node;

	if (node->answered && (node->master || node->reads) && node->texts[NODE_USER] && is_since(node, VERSION(7, 0, 0)))
		interview_ask_words(witness, witness->client, take_how, 0, "ACL", "DRYRUN", node->texts[NODE_USER], "PING", NULL);
}

/* ---- as they are ---- */

static void answer_right(struct right_answer *right, enum denial denial, const struct resp_node *answer)
{
	if (right->state == RIGHT_UNKNOWN)
		return;
	right->state = denial == DENIAL_NONE ? RIGHT_GRANTED : denial == DENIAL_UNKNOWN ? RIGHT_UNKNOWN : RIGHT_MISSING;
	if (right->state != RIGHT_GRANTED)
		quote(answer, right->said);
}

static void take_direct(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;
	enum denial denial = rights_denial(answer, witness->dry_run && index != ASK_PSYNC_THERE);

	switch ((enum direct)index) {
	case ASK_REPLCONF:
		node->rights_asked = true;
		if (denial == DENIAL_COMMAND)
			need(node, "+replconf", answer);
		break;
	case ASK_PSYNC: answer_right(&node->psync, denial, answer); break;
	case ASK_PSYNC_THERE:
		/* It takes more arguments, which is said before rights are looked at. */
		if (denial == DENIAL_UNKNOWN)
			answer_right(&node->psync, denial, answer);
		break;
	case ASK_HEARTBEAT:
		if (denial == DENIAL_NONE && answer->type == RESP_ERROR && !text_has(answer->text, "invalid expire"))
			quote(answer, node->write_refusal);
		else
			answer_right(&node->heartbeat, denial, answer);
		break;
	case ASK_EXEC:
		node->rights_asked = true;
		if (denial == DENIAL_COMMAND)
			need(node, "+exec", answer);
		break;
	case ASK_ASKING:
		if (denial == DENIAL_COMMAND) {
			words_add(node->rules_later, sizeof(node->rules_later), " ", "+asking");
			words_add(node->later_why, sizeof(node->later_why), ", ", "ASK");
		}
		break;
	}
}

static void ask_source(struct witness *witness)
{
	const struct precheck_options *options = witness->interview->precheck->options;
	struct node *node = witness->node;

	if (node->reads && options->task->source.mode != MODE_SCAN) {
		interview_ask_words(witness, witness->client, take_direct, ASK_PSYNC_THERE, "PSYNC", NULL);
		ASK(witness, take_direct, ASK_REPLCONF, SLICE("REPLCONF"));
		if (witness->dry_run)
			ASK(witness, take_direct, ASK_PSYNC, SLICE("PSYNC"), SLICE("?"), SLICE("-1"));
		else if (is_since(node, VERSION(6, 2, 0)))
			ASK(witness, take_direct, ASK_PSYNC, SLICE("PSYNC"), SLICE(REPLICATION_ID), SLICE("-1"),
			    SLICE("FAILOVER"));
		else if (!is_since(node, VERSION(6, 0, 0)))
			node->psync.state = RIGHT_GRANTED; /* by all who may log in */
	}
	if (node->master && options->task->heartbeat && node->info.role == ROLE_MASTER) {
		char key[80] = HEARTBEAT_KEY;

		for (uint32_t slot = 0; precheck_is_cluster(witness->interview->precheck, PRECHECK_SOURCE) && slot < SLOT_COUNT;
		     slot++) {
			if (deployment_topology(options->source)->owner[slot] != node->shard)
				continue;
			snprintf(key, sizeof(key), HEARTBEAT_KEY ":{%s}", slot_tag((uint16_t)slot));
			break;
		}
		ASK(witness, take_direct, ASK_HEARTBEAT, SLICE("SETEX"), slice_of_string(key),
		    witness->dry_run ? SLICE("1") : SLICE("0"), SLICE("0"));
	}
}

void rights_ask(struct witness *witness)
{
	struct node *node = witness->node;

	if (!node->answered || (!node->master && !node->reads))
		return;
	if (node->side == PRECHECK_SOURCE) {
		ask_source(witness);
		return;
	}
	ASK(witness, take_direct, ASK_EXEC, SLICE("EXEC"));
	if (precheck_is_cluster(witness->interview->precheck, PRECHECK_TARGET))
		ASK(witness, take_direct, ASK_ASKING, SLICE("ASKING"));
}

/* ---- queued ---- */

/* What is no matter of rights. */
static void note_refusal(struct node *node, const struct resp_node *answer)
{
	static const char *const passing[] = {"MISCONF", "NOREPLICAS", "OOM", "READONLY"};

	for (size_t i = 0; answer->type == RESP_ERROR && i < sizeof(passing) / sizeof(passing[0]); i++)
		if (slice_starts_with(answer->text, slice_of_string(passing[i])) && !node->write_refusal[0])
			quote(answer, node->write_refusal);
}

static void take_queued(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	const struct right *right = &queued_rights[index];
	struct node *node = witness->node;

	switch (rights_denial(answer, witness->dry_run)) {
	case DENIAL_COMMAND: need(node, right->rule, answer); break;
	case DENIAL_KEY:
		/* Of other commands the keys will be those of the data. */
		if (index < CHECKPOINT_RIGHTS)
			need(node, OWN_KEYS_RULE, answer);
		break;
	case DENIAL_UNKNOWN:
	case DENIAL_NONE: note_refusal(node, answer); break;
	}
}

static void take_across(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;

	if (rights_denial(answer, witness->dry_run) != DENIAL_COMMAND)
		return;
	words_add(node->rules_later, sizeof(node->rules_later), " ", across_rights[index].rule);
	words_add(node->later_why, sizeof(node->later_why), ", ", "RENAME");
}

/* `index`: of the used commands. */
static void take_used(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	const struct usage *usage = &witness->interview->precheck->usage;
	char rule[COMMAND_NAME_MAX + 2];

	if (rights_denial(answer, witness->dry_run) != DENIAL_COMMAND)
		return;
	snprintf(rule, sizeof(rule), "+%s", usage->commands[index].name);
	/* What is needed anyway stands there. */
	if (!strstr(witness->node->rules_needed, rule))
		words_add(witness->node->rules_seen, sizeof(witness->node->rules_seen), " ", rule);
}

/* The command with as many arguments as it must have. They mean nothing: rights come before arguments. */
static void ask_used(struct witness *witness, struct client *client, unsigned index)
{
	const struct used_command *used = &witness->interview->precheck->usage.commands[index];
	struct slice argv[ARGUMENTS_MAX];
	const char *bar = strchr(used->name, '|');
	uint32_t argc = 0, wanted = (uint32_t)(used->info->arity < 0 ? -used->info->arity : used->info->arity);

	argv[argc++] = slice_make(used->name, bar ? (size_t)(bar - used->name) : strlen(used->name));
	if (bar)
		argv[argc++] = slice_of_string(bar + 1);
	if (wanted > ARGUMENTS_MAX)
		return;
	while (argc < wanted)
		argv[argc++] = SLICE("1");
	ask(witness, client, take_used, index, argc, argv);
}

static bool is_asked(const struct precheck *precheck, unsigned index)
{
	const struct task_options *task = precheck->options->task;

	if (index < CHECKPOINT_RIGHTS)
		return task->checkpoint == CHECKPOINT_TARGET;
	return index != SELECT_RIGHT || precheck->usage.other_databases;
}

static void ask_right(struct witness *witness, struct client *client, interview_take *take, unsigned index,
		      const struct right *right)
{
	struct slice argv[5];
	uint32_t argc = 0;
	char key[200];

	own_key(witness, key);
	for (; argc < 5 && right->words[argc]; argc++)
		argv[argc] = slice_of_string(strcmp(right->words[argc], "$K") == 0 ? key : right->words[argc]);
	ask(witness, client, take, index, argc, argv);
}

/* Only what clients have used: RENAME, transactions ... */
static void ask_across(struct witness *witness, struct client *client)
{
	const struct precheck *precheck = witness->interview->precheck;
	bool across = false, since_7 = is_since(witness->node, VERSION(7, 0, 0));

	for (uint32_t i = 0; i < precheck->usage.count; i++)
		across |= precheck->usage.commands[i].across;
	if (!across || !precheck_is_cluster(precheck, PRECHECK_TARGET) || precheck_is_cluster(precheck, PRECHECK_SOURCE))
		return;
	for (unsigned i = 0; i < sizeof(across_rights) / sizeof(across_rights[0]); i++)
		if (i < 2 || (i == 2) == since_7)
			ask_right(witness, client, take_across, i, &across_rights[i]);
}

static void ask_all_queued(struct witness *witness, struct client *client)
{
	const struct precheck *precheck = witness->interview->precheck;

	for (unsigned i = 0; i < sizeof(queued_rights) / sizeof(queued_rights[0]); i++)
		if (is_asked(precheck, i))
			ask_right(witness, client, take_queued, i, &queued_rights[i]);
	ask_across(witness, client);
	for (unsigned i = 0; i < precheck->usage.count; i++)
		if (precheck->usage.commands[i].streamed)
			ask_used(witness, client, i);
}

/* Of the user whose rights are asked for by dry runs: does the node take writes at all? */
static void take_write(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)index;
	note_refusal(witness->node, answer);
}

/* A proxy that says OK to MULTI and then does what it is told, shows it here. */
static void take_ping(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	char key[200];

	(void)index;
	if (answer->type != RESP_ERROR && !slice_equal(answer->text, SLICE("QUEUED"))) {
		snprintf(witness->node->rights_refusal, sizeof(witness->node->rights_refusal), "MULTI");
	} else if (witness->dry_run) {
		own_key(witness, key);
		interview_ask_words(witness, witness->second, take_write, 0, "SET", key, "v", NULL);
	} else {
		ask_all_queued(witness, witness->second);
	}
}

static void take_multi(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)index;
	if (rights_denial(answer, false) == DENIAL_COMMAND)
		need(witness->node, "+multi", answer);
	if (answer->type == RESP_ERROR)
		quote(answer, witness->node->rights_refusal);
	else
		interview_ask_words(witness, witness->second, take_ping, 0, "PING", NULL);
}

static void take_psync(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)index;
	answer_right(&witness->node->psync, rights_denial(answer, false), answer);
}

static void take_ping_of_source(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)index;
	if (answer->type == RESP_ERROR || slice_equal(answer->text, SLICE("QUEUED")))
		interview_ask_words(witness, witness->second, take_psync, 0, "PSYNC", "?", "-1", NULL);
}

static void take_multi_of_source(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)index;
	/* Outside of a transaction PSYNC would begin a snapshot. */
	if (answer->type == RESP_SIMPLE && slice_equal(answer->text, SLICE("OK")))
		interview_ask_words(witness, witness->second, take_ping_of_source, 0, "PING", NULL);
}

/* Redis 6.0 and 6.1 have rights and no form of PSYNC that is harmless, but let it be queued. */
static void ask_psync_queued(struct witness *witness)
{
	const struct node *node = witness->node;

	if (!node->reads || node->psync.state != RIGHT_NOT_ASKED ||
	    witness->interview->precheck->options->task->source.mode == MODE_SCAN || is_since(node, VERSION(6, 2, 0)))
		return;
	witness->second = interview_connect(witness);
	interview_ask_words(witness, witness->second, take_multi_of_source, 0, "MULTI", NULL);
}

void rights_ask_queued(struct witness *witness)
{
	if (witness->node->answered && witness->node->side == PRECHECK_SOURCE)
		ask_psync_queued(witness);
	if (!witness->node->answered || !witness->node->master || witness->node->side != PRECHECK_TARGET)
		return;
	witness->second = interview_connect(witness);
	interview_ask_words(witness, witness->second, take_multi, 0, "MULTI", NULL);
	if (witness->dry_run)
		ask_all_queued(witness, witness->client);
}
