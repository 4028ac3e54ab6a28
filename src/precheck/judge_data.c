/* Items about the data and commands of the source against what the target has. */
#include "precheck/precheck_state.h"

#include <stdio.h>
#include <string.h>

#define LIST_MAX 600

static void list_add(char list[LIST_MAX], const char *name, uint64_t count)
{
	char word[COMMAND_NAME_MAX + 32];

	snprintf(word, sizeof(word), "%s (%llu)", name, (unsigned long long)count);
	words_add(list, LIST_MAX, ", ", word);
}

/* By version, that is what versions and modules tell of; here it was seen. */
static bool target_has(const struct precheck *precheck, const char *type)
{
	static const char *const always[] = {"string", "list", "set", "zset", "hash"};
	const struct target_abilities *target = &precheck->abilities;
	const struct node *node = NULL;
	bool everywhere = true;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (strcmp(type, always[i]) == 0)
			return true;
	if (strcmp(type, "stream") == 0)
		return target->streams;
	if (strcmp(type, "vectorset") == 0)
		return target->valkey == 0 && target->redis >= VERSION(8, 0, 0);
	/* A type of a module: its name begins as the module's, by custom; where any is loaded, that is for the item modules. */
	while ((node = precheck_next_master(precheck, PRECHECK_TARGET, node)))
		everywhere &= node->info.modules[0] != '\0';
	return everywhere;
}

void judge_types(const struct subject *subject)
{
	const struct node *node = subject->node;
	const struct task_options *task = subject->precheck->options->task;
	char seen[LIST_MAX] = "", lacking[LIST_MAX] = "";
	bool lossy = true;
	struct finding *finding;

	if (node->sample_refusal) {
		finding_argument(finding_add(subject, PRECHECK_SKIPPED, TEXT_TYPES_NOT_TOLD), "%s", node->sample_refusal);
		return;
	}
	for (uint32_t i = 0; i < node->type_count; i++) {
		const char *type = node->types[i].name;

		list_add(seen, type, node->types[i].count);
		if (target_has(subject->precheck, type))
			continue;
		list_add(lacking, type, node->types[i].count);
		lossy &= strcmp(type, "stream") == 0 || strcmp(type, "vectorset") == 0 ? task->downgrade == DOWNGRADE_LOSSY
										       : task->unsupported == UNSUPPORTED_SKIP;
	}
	if (lacking[0]) {
		finding = finding_add(subject, lossy ? PRECHECK_WARNING : PRECHECK_FAILED,
				      lossy ? TEXT_TYPES_SKIP : TEXT_TYPES_STOP);
		finding_argument(finding, "%s", lacking);
	} else {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	}
	if (seen[0])
		finding_measured(finding, "%s", seen);
}

void judge_commands(const struct subject *subject)
{
	const struct node *node = subject->node;

	if (node->unknown_commands[0])
		finding_argument(finding_add(subject, PRECHECK_WARNING, TEXT_COMMANDS), "%s", node->unknown_commands);
	else if (node->commands_refusal)
		finding_argument(finding_add(subject, PRECHECK_SKIPPED, TEXT_COMMANDS_NOT_TOLD), "%s", node->commands_refusal);
	else
		finding_measured(finding_add(subject, PRECHECK_PASSED, TEXT_NONE), "%u", subject->precheck->usage.count);
}

void judge_across_slots(const struct subject *subject)
{
	const struct precheck *precheck = subject->precheck;
	struct usage usage = {.count = 0};
	char across[LIST_MAX] = "", databases[LIST_MAX] = "";

	if (!precheck_is_cluster(precheck, PRECHECK_TARGET) || precheck_is_cluster(precheck, PRECHECK_SOURCE))
		return;
	if (!subject->node->texts[NODE_COMMANDSTATS]) {
		finding_argument(finding_add(subject, PRECHECK_SKIPPED, TEXT_INFO_NOT_TOLD), "commandstats");
		return;
	}
	usage_add(&usage, subject->node->texts[NODE_COMMANDSTATS]);
	for (uint32_t i = 0; i < usage.count; i++) {
		const struct used_command *used = &usage.commands[i];

		/* COPY has a form with a database, and one without, which is by far the more usual. */
		if (used->other_database && !used->across)
			list_add(databases, used->name, used->calls);
		else if (used->across || strcmp(used->name, "exec") == 0)
			list_add(across, used->name, used->calls);
	}
	usage_free(&usage);
	if (databases[0] && precheck->abilities.databases == 1)
		finding_argument(finding_add(subject, PRECHECK_WARNING, TEXT_ACROSS_DATABASES), "%s", databases);
	if (across[0])
		finding_argument(finding_add(subject, PRECHECK_WARNING, TEXT_ACROSS_SLOTS), "%s", across);
	if (!across[0] && !(databases[0] && precheck->abilities.databases == 1))
		finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
}
