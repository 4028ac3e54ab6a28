#include "transform/conditions.h"

#include "base/memory.h"
#include "wire/slot.h"

#include <stdlib.h>

_Static_assert(RULE_SLOTS == SLOT_COUNT, "rules name the slots there are");

static void add(struct conditions *conditions, enum pattern_kind kind, const struct text_list *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		struct error never; /* the options were checked when they were read */
		struct pattern *pattern = pattern_new(kind, slice_of_string(texts->items[i]), &never);

		if (pattern)
			conditions->patterns[conditions->pattern_count++] = pattern;
	}
}

void conditions_init(struct conditions *conditions, const struct key_conditions *from)
{
	size_t count = from->keys.count + from->prefixes.count + from->globs.count + from->regexes.count;

	*conditions = (struct conditions){.from = from, .patterns = memory_alloc_zero(count + 1, sizeof(struct pattern *))};
	/* In the order of what they cost. Names of one kind are a list of which one must hold; names of different kinds must hold together. */
	add(conditions, PATTERN_EXACT, &from->keys);
	add(conditions, PATTERN_PREFIX, &from->prefixes);
	add(conditions, PATTERN_GLOB, &from->globs);
	add(conditions, PATTERN_REGEX, &from->regexes);
}

void conditions_free(struct conditions *conditions)
{
	for (size_t i = 0; i < conditions->pattern_count; i++)
		pattern_free(conditions->patterns[i]);
	free(conditions->patterns);
	*conditions = (struct conditions){0};
}

/* One of the patterns [at, at + count) holds. */
static enum answer any_holds(const struct conditions *conditions, size_t at, size_t count, struct slice key)
{
	enum answer answer = ANSWER_NO;

	for (size_t i = 0; i < count; i++) {
		switch (pattern_match(conditions->patterns[at + i], key)) {
		case PATTERN_YES: return ANSWER_YES;
		case PATTERN_NO: break;
		case PATTERN_EXHAUSTED: answer = ANSWER_UNDECIDED; break;
		}
	}
	return answer;
}

static enum answer names_hold(const struct conditions *conditions, struct slice key)
{
	const struct key_conditions *from = conditions->from;
	const size_t counts[] = {from->keys.count, from->prefixes.count, from->globs.count, from->regexes.count};
	enum answer answer = ANSWER_YES;
	size_t at = 0;

	for (size_t kind = 0; kind < sizeof(counts) / sizeof(counts[0]) && answer != ANSWER_NO; at += counts[kind++])
		if (counts[kind] > 0)
			answer = answer_and(answer, any_holds(conditions, at, counts[kind], key));
	return answer;
}

enum answer conditions_hold(struct conditions *conditions, const struct subject *subject)
{
	const struct key_conditions *from = conditions->from;
	enum answer answer = ANSWER_YES;

	if (from->databases && (subject->db >= DATABASES_MAX || !number_set_has(from->databases, subject->db)))
		return ANSWER_NO;
	if (from->types && (subject->types & from->types) != subject->types) {
		if (!(subject->types & from->types))
			return ANSWER_NO;
		answer = ANSWER_MAYBE;
	}
	if (!subject->key.data)
		return conditions->pattern_count > 0 || from->slots ? ANSWER_MAYBE : answer;
	if (from->slots && !number_set_has(from->slots, slot_of_key(subject->key)))
		return ANSWER_NO;
	return conditions->pattern_count > 0 ? answer_and(answer, names_hold(conditions, subject->key)) : answer;
}
