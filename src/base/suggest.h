/* "Did you mean ...?": the known name nearest to a mistyped one.
 * Thread: pure functions. */
#ifndef KEYFERRY_BASE_SUGGEST_H
#define KEYFERRY_BASE_SUGGEST_H

#include "base/slice.h"

#define SUGGEST_WORD_MAX 64 /* longer words are near to nothing */

/* Insertions, deletions, replacements and swaps of neighbours that lead from one to the other (each letter is touched once).
 * SIZE_MAX when either is longer than SUGGEST_WORD_MAX. */
size_t suggest_distance(struct slice a, struct slice b);

/* Is the distance small enough for the word to be a slip of the other: a third of its length, at least one? */
bool suggest_is_near(struct slice word, size_t distance);

/* The nearest of the names, the first of several; NULL when none is near. */
const char *suggest_nearest(struct slice word, const char *const *names, size_t count);

#endif
