#include "transform/selection.h"

#include "base/memory.h"

#include <stdlib.h>

#define NAME_MAX_BYTES (2 * COMMAND_NAME_MAX + 2)

struct rule {
	const struct filter_rule *from;
	struct conditions where;
	bool of_commands; /* has `command` or `group` */
};

struct rules {
	struct rule *items;
	size_t count;
	bool any_of_keys, any_of_commands;
};

struct selection {
	const struct task_options *options;
	struct rules allow, block;
	bool asks_keys, asks_database;
};

bool selection_is_own_key(struct slice key)
{
	return slice_starts_with(key, SLICE("keyferry:")) &&
	       (slice_starts_with(key, SLICE("keyferry:mark:")) || slice_starts_with(key, SLICE("keyferry:task:")) ||
		slice_starts_with(key, SLICE("keyferry:tmp:")));
}

static void rules_init(struct selection *selection, struct rules *rules, const struct option_objects *from)
{
	const struct filter_rule *items = from->items;

	rules->items = memory_alloc_zero(from->count + 1, sizeof(*rules->items));
	for (size_t i = 0; i < from->count; i++) {
		struct rule *rule = &rules->items[rules->count++];
		const struct key_conditions *where = &items[i].where;

		rule->from = &items[i];
		conditions_init(&rule->where, where);
		rule->of_commands = items[i].commands.count > 0 || items[i].groups;
		rules->any_of_commands = rules->any_of_commands || rule->of_commands;
		rules->any_of_keys = rules->any_of_keys || !rule->of_commands;
		selection->asks_keys = selection->asks_keys || rule->where.pattern_count > 0 || where->types || where->slots;
		selection->asks_database = selection->asks_database || where->databases;
	}
}

static void rules_free(struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		conditions_free(&rules->items[i].where);
	free(rules->items);
}

struct selection *selection_new(const struct task_options *options)
{
	struct selection *selection = memory_alloc_zero(1, sizeof(*selection));

	selection->options = options;
	selection->asks_database = !options->all_databases;
	rules_init(selection, &selection->allow, &options->allow);
	rules_init(selection, &selection->block, &options->block);
	return selection;
}

void selection_free(struct selection *selection)
{
	if (!selection)
		return;
	rules_free(&selection->allow);
	rules_free(&selection->block);
	free(selection);
}

bool selection_is_everything(const struct selection *selection)
{
	return selection->options->all_databases && selection->allow.count == 0 && selection->block.count == 0;
}

bool selection_asks_keys(const struct selection *selection)
{
	return selection->asks_keys;
}

bool selection_asks_database(const struct selection *selection)
{
	return selection->asks_database;
}

/* ---- rules ---- */

static bool names_command(const struct filter_rule *rule, const struct command_info *info, struct slice name, struct slice sub)
{
	uint8_t full[NAME_MAX_BYTES];
	size_t len = name.len;

	if (rule->groups && !(info && info->group != COMMAND_GROUP_NONE && (rule->groups >> (info->group - 1) & 1)))
		return false;
	if (rule->commands.count == 0)
		return true;
	if (name.len > COMMAND_NAME_MAX || sub.len > COMMAND_NAME_MAX)
		return false;
	memcpy(full, name.data, name.len);
	/* Sub-commands only where the table says that it is one: argument 1 of SET is a key. */
	if (info && info->name_len == name.len + 1 + sub.len && sub.len > 0) {
		full[len++] = ' ';
		memcpy(full + len, sub.data, sub.len);
		len += sub.len;
	}
	for (size_t i = 0; i < rule->commands.count; i++) {
		struct slice glob = slice_of_string(rule->commands.items[i]);

		/* "function" means all of its sub-commands. */
		if (pattern_glob(glob, slice_make(full, len), true) || pattern_glob(glob, name, true))
			return true;
	}
	return false;
}

static enum answer any_key_rule(struct rules *rules, const struct subject *subject)
{
	enum answer answer = ANSWER_NO;

	for (size_t i = 0; i < rules->count && answer != ANSWER_YES; i++)
		if (!rules->items[i].of_commands)
			answer = answer_or(answer, conditions_hold(&rules->items[i].where, subject));
	return answer;
}

static bool is_chosen(const struct selection *selection, uint32_t db)
{
	return task_options_database_selected(selection->options, db);
}

enum answer selection_of_snapshot_key(struct selection *selection, const struct subject *subject)
{
	enum answer allowed = selection->allow.any_of_keys ? any_key_rule(&selection->allow, subject) : ANSWER_YES;

	if (!is_chosen(selection, subject->db) || allowed == ANSWER_NO)
		return ANSWER_NO;
	return answer_and(allowed, answer_not(any_key_rule(&selection->block, subject)));
}

static enum answer any_rule(struct rules *rules, const struct subject *subject, const struct command_info *info,
			    struct slice name, struct slice sub)
{
	enum answer answer = ANSWER_NO;

	for (size_t i = 0; i < rules->count && answer != ANSWER_YES; i++) {
		struct rule *rule = &rules->items[i];

		if (!rule->of_commands || names_command(rule->from, info, name, sub))
			answer = answer_or(answer, conditions_hold(&rule->where, subject));
	}
	return answer;
}

enum answer selection_of_command_key(struct selection *selection, const struct subject *subject, const struct command_info *info,
				     struct slice name, struct slice sub)
{
	enum answer allowed;

	if (!is_chosen(selection, subject->db))
		return ANSWER_NO;
	allowed = selection->allow.count > 0 ? any_rule(&selection->allow, subject, info, name, sub) : ANSWER_YES;
	if (allowed == ANSWER_NO)
		return ANSWER_NO;
	return answer_and(allowed, answer_not(any_rule(&selection->block, subject, info, name, sub)));
}

static bool any_names(const struct rules *rules, const struct command_info *info, struct slice name, struct slice sub)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->items[i].of_commands && names_command(rules->items[i].from, info, name, sub))
			return true;
	return false;
}

enum answer selection_of_keyless(struct selection *selection, const struct command_info *info, struct slice name,
				 struct slice sub)
{
	if (selection->allow.any_of_commands && !any_names(&selection->allow, info, name, sub))
		return ANSWER_NO;
	return any_names(&selection->block, info, name, sub) ? ANSWER_NO : ANSWER_YES;
}
