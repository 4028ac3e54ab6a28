/* Rules of a task document: which keys and commands are meant, and what becomes of them.
 *
 * A rule is a mapping; all that it names must hold, of several values of one name any. The tables here are those of single rules: the option
 * engine goes through them as it does through the document's own.
 * Texts hold no NUL and are what the operator wrote; regular expressions were compiled once, so they are good.
 * Thread: read-only once the task has started. */
#ifndef KEYFERRY_TASK_RULES_H
#define KEYFERRY_TASK_RULES_H

#include "base/option.h"

#define DATABASES_MAX 4096 /* database numbers 0 .. 4095 can be named */
#define RULE_SLOTS 16384   /* slots of a cluster */

struct text_list {
	char **items;
	size_t count;
};

void text_list_free(struct text_list *list); /* it is empty then */

enum value_type { VALUE_STRING, VALUE_LIST, VALUE_SET, VALUE_ZSET, VALUE_HASH, VALUE_STREAM, VALUE_MODULE, VALUE_TYPES };

/* Which keys are meant. What is empty holds for all. */
struct key_conditions {
	uint64_t *databases; /* bit set: meant; NULL: any */
	uint64_t *slots;     /* likewise */
	struct text_list keys, prefixes, globs, regexes;
	uint32_t types; /* bits 1 << enum value_type; 0: any */
};

struct filter_rule {
	struct key_conditions where;
	struct text_list commands; /* globs over the lower-case name, "set" or "function load" */
	uint32_t groups;           /* bit 1 << (enum command_group - 1); 0: any */
};

struct rename_rule {
	uint64_t *databases; /* NULL: any */
	char *prefix;        /* may be empty; or: */
	char *match;         /* a regular expression */
	char *to;            /* template: $1, ${name}, ${db}, $$ */
};

struct expiry_rule {
	struct key_conditions where;
	uint64_t set_ms; /* 0: not set */
	bool drop;
	double scale; /* 0: not set */
};

static inline bool number_set_has(const uint64_t *set, uint32_t number)
{
	return set[number / 64] >> (number % 64) & 1;
}

extern const struct option_table filter_rule_table, rename_rule_table, expiry_rule_table;

/* For the rows of the document's table. */
bool filter_rule_check(const void *item, struct error *error);
bool rename_rule_check(const void *item, struct error *error);
bool expiry_rule_check(const void *item, struct error *error);
void filter_rule_free(void *item);
void rename_rule_free(void *item);
void expiry_rule_free(void *item);

#endif
