#include "precheck/sample.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_KEYS 100
#define COMMANDS_AT_ONCE 500

/* ---- types ---- */

static void take_type(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	struct node *node = witness->node;
	uint32_t i = 0;

	(void)index;
	if (answer->type == RESP_ERROR && !node->sample_refusal)
		node->sample_refusal = memory_strndup((const char *)answer->text.data, answer->text.len);
	/* "none": the key has gone meanwhile. */
	if (answer->type != RESP_SIMPLE || slice_equal(answer->text, SLICE("none")) ||
	    answer->text.len >= sizeof(node->types[0].name))
		return;
	while (i < node->type_count && !slice_equal(slice_of_string(node->types[i].name), answer->text))
		i++;
	if (i == NODE_TYPES)
		return;
	if (i == node->type_count)
		memcpy(node->types[node->type_count++].name, answer->text.data, answer->text.len);
	node->types[i].count++;
	node->sampled_keys++;
}

static void take_key(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	const struct slice argv[] = {SLICE("TYPE"), answer->text};

	(void)index;
	if (answer->type == RESP_BULK)
		interview_ask(witness, witness->client, take_type, 0, 2, argv);
	else if (answer->type == RESP_ERROR && !witness->node->sample_refusal)
		witness->node->sample_refusal = memory_strndup((const char *)answer->text.data, answer->text.len);
}

static void take_nothing(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	(void)witness;
	(void)answer;
	(void)index;
}

/* The database with the most keys, of those that are copied; -1: there are none. */
static int largest_database(const struct witness *witness)
{
	const struct task_options *task = witness->interview->precheck->options->task;
	const char *rest = witness->node->texts[NODE_INFO];
	uint64_t most = 0;
	struct slice line;
	int largest = -1;

	while (node_line(&rest, &line)) {
		const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL,
			      *comma = colon ? memchr(colon, ',', line.len - (size_t)(colon - line.data)) : NULL;
		uint64_t db, keys;

		if (!comma || !slice_starts_with(line, SLICE("db")) ||
		    !slice_to_uint64(slice_make(line.data + 2, (size_t)(colon - line.data) - 2), &db) || db >= DATABASES_MAX ||
		    !task_options_database_selected(task, (uint32_t)db) ||
		    !slice_starts_with(slice_make(colon, (size_t)(comma - colon)), SLICE(":keys=")) ||
		    !slice_to_uint64(slice_make(colon + 6, (size_t)(comma - colon) - 6), &keys) || keys <= most)
			continue;
		most = keys;
		largest = (int)db;
	}
	return largest;
}

static void ask_keys(struct witness *witness)
{
	int db = largest_database(witness);
	char number[16];

	if (db < 0)
		return;
	if (db > 0) {
		snprintf(number, sizeof(number), "%d", db);
		interview_ask_words(witness, witness->client, take_nothing, 0, "SELECT", number, NULL);
	}
	for (int i = 0; i < SAMPLE_KEYS; i++)
		interview_ask_words(witness, witness->client, take_key, 0, "RANDOMKEY", NULL);
}

/* ---- commands ---- */

/* Answers come in the order of the names; `index` is the first one's. */
static void take_commands(struct witness *witness, const struct resp_node *answer, unsigned index)
{
	const struct usage *usage = &witness->interview->precheck->usage;
	struct node *node = witness->node;
	const struct resp_node *member;
	char name[COMMAND_NAME_MAX];

	if (answer->type != RESP_ARRAY) {
		node->commands_refusal = memory_strndup((const char *)answer->text.data, answer->text.len);
		return;
	}
	node->commands_asked = true;
	for (uint32_t i = 0, at = index; at < usage->count && (member = resp_member(answer, i)); at++) {
		if (!usage->commands[at].streamed)
			continue;
		i++;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(usage->commands[at].name, "|"), usage->commands[at].name);
		/* A command that is not there is a null, before 7.0 a null array. */
		if (member->type == RESP_NULL)
			words_add(node->unknown_commands, sizeof(node->unknown_commands), ", ", name);
	}
}

static void ask_commands(struct witness *witness)
{
	const struct usage *usage = &witness->interview->precheck->usage;
	struct slice argv[2 + COMMANDS_AT_ONCE] = {SLICE("COMMAND"), SLICE("INFO")};
	uint32_t argc = 2, first = 0;

	for (uint32_t i = 0; i < usage->count; i++) {
		const char *name = usage->commands[i].name;

		if (!usage->commands[i].streamed)
			continue;
		if (argc == 2)
			first = i;
		/* Of a container its own name: older servers know no names of sub-commands. */
		argv[argc++] = slice_make(name, strcspn(name, "|"));
		if (argc < sizeof(argv) / sizeof(argv[0]))
			continue;
		interview_ask(witness, witness->client, take_commands, first, argc, argv);
		argc = 2;
	}
	if (argc > 2)
		interview_ask(witness, witness->client, take_commands, first, argc, argv);
}

void sample_ask(struct witness *witness)
{
	const struct node *node = witness->node;

	if (!node->answered || !node->master)
		return;
	if (node->side == PRECHECK_SOURCE)
		ask_keys(witness);
	else
		ask_commands(witness);
}
