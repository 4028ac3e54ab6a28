#include "precheck/usage.h"

#include "base/memory.h"
#include "precheck/precheck_state.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* More different names than any server has. */
#define COMMANDS_MAX 2000

/* These write, and reach the target as other commands: DEL, LPOP, SREM, SET, PEXPIREAT, XCLAIM ..., times to live as absolute ones. */
static bool is_rewritten(struct slice name)
{
	static const char *const names[] = {
		"blpop",   "brpop",    "blmpop", "bzpopmin",   "bzpopmax",   "bzmpop",        "blmove",       "brpoplpush",
		"getex",   "getdel",   "spop",   "xreadgroup", "xautoclaim", "incrbyfloat",   "hincrbyfloat", "expire",
		"pexpire", "expireat", "setex",  "psetex",     "migrate",    "restore-asking"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal(name, slice_of_string(names[i])))
			return true;
	return false;
}

static void judge(struct used_command *used)
{
	const struct command_info *info = used->info;
	bool counted, several;

	if (!info)
		return;
	counted = info->key_rule != COMMAND_KEYS_RANGE && info->key_rule != COMMAND_KEYS_STREAMS &&
		  info->key_rule != COMMAND_KEYS_UNKNOWN;
	several = counted || info->keys.first != info->keys.last;
	used->streamed =
		(info->flags & COMMAND_WRITE) && !(info->flags & COMMAND_SCRIPT) && !is_rewritten(slice_of_string(used->name));
	used->across =
		(info->flags & COMMAND_WRITE) && several && !(info->flags & COMMAND_SPLIT) && !(info->flags & COMMAND_SCRIPT);
	used->other_database = info->flags & COMMAND_OTHER_DATABASE;
}

static struct used_command *find(struct usage *usage, struct slice name)
{
	struct used_command *used;
	struct slice argv[2];
	const uint8_t *bar;

	for (uint32_t i = 0; i < usage->count; i++)
		if (slice_equal_nocase(slice_of_string(usage->commands[i].name), name))
			return &usage->commands[i];
	if (usage->count == COMMANDS_MAX || name.len >= sizeof(usage->commands[0].name))
		return NULL;
	usage->commands = memory_realloc_array(usage->commands, usage->count + 1, sizeof(*usage->commands));
	used = &usage->commands[usage->count++];
	*used = (struct used_command){.calls = 0};
	for (size_t i = 0; i < name.len; i++)
		used->name[i] = (char)tolower(name.data[i]);
	bar = memchr(name.data, '|', name.len);
	argv[0] = slice_make(name.data, bar ? (size_t)(bar - name.data) : name.len);
	argv[1] = bar ? slice_make(bar + 1, name.len - argv[0].len - 1) : SLICE("");
	used->info = command_lookup(bar ? 2 : 1, argv);
	judge(used);
	return used;
}

void usage_add(struct usage *usage, const char *commandstats)
{
	struct slice line, name;
	uint64_t calls;

	while (node_line(&commandstats, &line)) {
		struct used_command *used = node_command_line(line, &name, &calls) && calls > 0 ? find(usage, name) : NULL;

		if (used)
			used->calls += calls;
	}
}

void usage_read(struct precheck *precheck)
{
	const struct node *node = NULL;

	while ((node = precheck_next_master(precheck, PRECHECK_SOURCE, node))) {
		usage_add(&precheck->usage, node->texts[NODE_COMMANDSTATS]);
		precheck->usage.other_databases |= node->info.highest_db > 0;
	}
	if (precheck->options->files)
		precheck->usage.other_databases = precheck->options->files->highest_db > 0;
	/* All go to database 0: then none is selected. */
	if (!precheck->options->task->all_databases && precheck->options->task->databases[0] == 1) {
		precheck->usage.other_databases = false;
		for (size_t i = 1; i < DATABASES_MAX / 64; i++)
			precheck->usage.other_databases |= precheck->options->task->databases[i] != 0;
	}
}

void usage_free(struct usage *usage)
{
	free(usage->commands);
	*usage = (struct usage){.count = 0};
}
