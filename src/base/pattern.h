/* Patterns over bytes: a text, a prefix, a glob as in the KEYS command of Redis, a regular expression (PCRE2).
 *
 * glob:  *  any bytes   ?  one byte   [ab] [a-c] [^a]  one of, none of   \x  x itself; the whole text has to match
 * regex: searched anywhere in the text unless anchored; bytes, not characters ((*UTF) is refused), `.` takes every byte, `$` is the very end.
 *        Compiled by the JIT where there is one. The work of one search is bounded: an expression that backtracks without end is an error
 *        and not a link that stands still.
 * Thread: a pattern belongs to one. */
#ifndef KEYFERRY_BASE_PATTERN_H
#define KEYFERRY_BASE_PATTERN_H

#include "base/error.h"
#include "base/slice.h"

enum pattern_kind { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_GLOB, PATTERN_REGEX };

struct pattern;

/* The text is copied. NULL (regex only): ERROR_USAGE says what is wrong and at which byte. */
struct pattern *pattern_new(enum pattern_kind kind, struct slice text, struct error *error) WARN_UNUSED;
void pattern_free(struct pattern *pattern);

enum pattern_result {
	PATTERN_NO,
	PATTERN_YES,
	PATTERN_EXHAUSTED, /* the bound was met: nobody knows */
};
enum pattern_result pattern_match(struct pattern *pattern, struct slice bytes);

/* Behind a YES of a regex: the bytes of group `number` (0: all that matched); {NULL, 0} for a group that took no part. */
struct slice pattern_group(const struct pattern *pattern, struct slice bytes, uint32_t number);
/* How many groups a regex has, group 0 not counted; 0 for the other kinds. */
uint32_t pattern_groups(const struct pattern *pattern);
/* The number of a named group; 0: there is none. */
uint32_t pattern_group_named(const struct pattern *pattern, struct slice name);

/* A glob by itself; `nocase`: ASCII letters without regard to case. */
bool pattern_glob(struct slice glob, struct slice text, bool nocase);

#endif
