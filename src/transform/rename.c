#include "transform/rename_rule.h"

#include "base/memory.h"

#include <stdlib.h>

/* ---- templates ---- */

/* A '$' and what belongs to it; the options were checked when they were read. Returns its length. */
static size_t dollar_parse(const struct rule *rule, const char *at, struct part *ret)
{
	const char *end = at[1] == '{' ? strchr(at, '}') : NULL;
	struct slice name = end ? slice_make(at + 2, (size_t)(end - at) - 2) : slice_make(at + 1, 1);
	uint64_t number;

	if (!end && at[1] == '$')
		*ret = (struct part){.kind = PART_TEXT, .text = slice_make(at, 1)};
	else if (end && slice_equal(name, SLICE("db")))
		*ret = (struct part){.kind = PART_DATABASE};
	else
		*ret = (struct part){.kind = PART_GROUP,
				     .group = slice_to_uint64(name, &number) ? (uint32_t)number
									     : pattern_group_named(rule->match, name)};
	return end ? (size_t)(end - at) + 1 : 2;
}

static void template_parse(struct rule *rule, const char *to)
{
	rule->parts = memory_alloc_zero(strlen(to) + 1, sizeof(*rule->parts));
	while (*to) {
		struct part *part = &rule->parts[rule->part_count++];
		size_t len = strcspn(to, "$");

		if (len == 0)
			len = dollar_parse(rule, to, part);
		else
			part->text = slice_make(to, len);
		to += len;
	}
}

static bool template_has(const struct rule *rule, enum part_kind kind)
{
	for (size_t i = 0; i < rule->part_count; i++)
		if (rule->parts[i].kind == kind)
			return true;
	return false;
}

/* ---- public ---- */

struct renamer *renamer_new(const struct task_options *options)
{
	const struct rename_rule *from = options->rename.items;
	struct renamer *renamer;

	if (options->rename.count == 0)
		return NULL;
	renamer = memory_alloc_zero(1, sizeof(*renamer));
	renamer->rules = memory_alloc_zero(options->rename.count, sizeof(*renamer->rules));
	for (size_t i = 0; i < options->rename.count; i++) {
		struct rule *rule = &renamer->rules[renamer->count++];
		struct error never; /* checked when it was read */

		rule->from = &from[i];
		if (from[i].match)
			rule->match = pattern_new(PATTERN_REGEX, slice_of_string(from[i].match), &never);
		else
			rule->prefix = slice_of_string(from[i].prefix);
		template_parse(rule, from[i].to);
		rule_reverse_init(rule);
		renamer->asks_database = renamer->asks_database || from[i].databases || template_has(rule, PART_DATABASE);
	}
	return renamer;
}

void renamer_free(struct renamer *renamer)
{
	if (!renamer)
		return;
	for (size_t i = 0; i < renamer->count; i++) {
		pattern_free(renamer->rules[i].match);
		free(renamer->rules[i].parts);
		rule_reverse_free(&renamer->rules[i]);
	}
	free(renamer->rules);
	free(renamer);
}

bool renamer_asks_database(const struct renamer *renamer)
{
	return renamer->asks_database;
}

static struct slice part_text(const struct rule *rule, const struct part *part, struct slice key, struct slice database)
{
	switch (part->kind) {
	case PART_TEXT: return part->text;
	case PART_DATABASE: return database;
	case PART_GROUP: break;
	}
	return pattern_group(rule->match, key, part->group);
}

static struct slice expand(const struct rule *rule, uint32_t db, struct slice key, struct slice replaced, struct arena *arena)
{
	struct slice database = arena_number(arena, db);
	size_t len = key.len - replaced.len, head = replaced.data ? (size_t)(replaced.data - key.data) : 0;
	uint8_t *made, *at;

	for (size_t i = 0; i < rule->part_count; i++)
		len += part_text(rule, &rule->parts[i], key, database).len;
	made = at = arena_take(arena, len);
	if (head)
		at = (uint8_t *)memcpy(at, key.data, head) + head;
	for (size_t i = 0; i < rule->part_count; i++) {
		struct slice text = part_text(rule, &rule->parts[i], key, database);

		if (text.len)
			at = (uint8_t *)memcpy(at, text.data, text.len) + text.len;
	}
	if (key.len > head + replaced.len)
		memcpy(at, key.data + head + replaced.len, key.len - head - replaced.len);
	return slice_make(made, len);
}

enum answer renamer_apply(struct renamer *renamer, uint32_t db, struct slice key, struct arena *arena, struct slice *ret)
{
	for (size_t i = 0; i < renamer->count; i++) {
		struct rule *rule = &renamer->rules[i];
		struct slice replaced = slice_make(key.data, rule->prefix.len);

		if (rule->from->databases && (db >= DATABASES_MAX || !number_set_has(rule->from->databases, db)))
			continue;
		if (rule->match) {
			enum pattern_result result = pattern_match(rule->match, key);

			if (result == PATTERN_EXHAUSTED)
				return ANSWER_UNDECIDED;
			if (result == PATTERN_NO)
				continue;
			replaced = pattern_group(rule->match, key, 0);
		} else if (!slice_starts_with(key, rule->prefix)) {
			continue;
		}
		*ret = expand(rule, db, key, replaced, arena);
		return ANSWER_YES;
	}
	return ANSWER_NO;
}
