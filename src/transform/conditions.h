/* The conditions on keys that rules of every kind have in common, ready to be asked.
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_CONDITIONS_H
#define KEYFERRY_TRANSFORM_CONDITIONS_H

#include "base/pattern.h"
#include "task/rules.h"

/* MAYBE: it depends on what is not known. UNDECIDED: a regular expression met its bound. */
enum answer { ANSWER_NO, ANSWER_MAYBE, ANSWER_YES, ANSWER_UNDECIDED };

static inline enum answer answer_and(enum answer a, enum answer b)
{
	if (a == ANSWER_NO || b == ANSWER_NO)
		return ANSWER_NO;
	if (a == ANSWER_UNDECIDED || b == ANSWER_UNDECIDED)
		return ANSWER_UNDECIDED;
	return a < b ? a : b;
}

static inline enum answer answer_or(enum answer a, enum answer b)
{
	if (a == ANSWER_YES || b == ANSWER_YES)
		return ANSWER_YES;
	if (a == ANSWER_UNDECIDED || b == ANSWER_UNDECIDED)
		return ANSWER_UNDECIDED;
	return a > b ? a : b;
}

static inline enum answer answer_not(enum answer a)
{
	return a == ANSWER_YES ? ANSWER_NO : a == ANSWER_NO ? ANSWER_YES : a;
}

#define TYPE_BIT(type) (1u << (type))
#define TYPES_ALL ((1u << VALUE_TYPES) - 1)

/* What is asked about. */
struct subject {
	uint32_t db;
	struct slice key; /* data NULL: not known */
	uint32_t types;   /* those that the value may have; TYPES_ALL: not known */
};

struct conditions {
	const struct key_conditions *from;
	struct pattern **patterns;
	size_t pattern_count;
};

void conditions_init(struct conditions *conditions, const struct key_conditions *from);
void conditions_free(struct conditions *conditions);
enum answer conditions_hold(struct conditions *conditions, const struct subject *subject);

#endif
