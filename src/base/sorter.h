/* Sorts records of bytes, more of them than there is memory for.
 *
 *     add ... add -> sort -> next ... next -> clear -> add ...
 *
 * A record is a key, by whose bytes it is sorted (as memcmp, the shorter first), and a payload that is carried along and orders
 * equal keys. What the memory does not hold goes sorted into a temporary file, without a name, in $TMPDIR or else in /var/tmp;
 * it is read back by mapping it, so merging needs no memory of its own. Beyond its memory a sorter takes that of one record.
 * Errors are ERROR_INTERNAL: the temporary file. After one, only sorter_clear() and sorter_free() may follow.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_BASE_SORTER_H
#define KEYFERRY_BASE_SORTER_H

#include "base/error.h"
#include "base/slice.h"

struct sorter;

/* `memory`: bytes it may hold before it writes; taken as they are needed. */
struct sorter *sorter_new(size_t memory);
void sorter_free(struct sorter *sorter);
/* As new; keeps the memory for what comes next. */
void sorter_clear(struct sorter *sorter);

/* A new record: `*record` is where the caller writes key_len bytes of key and payload_len of payload, before the next call. */
bool sorter_add(struct sorter *sorter, size_t key_len, size_t payload_len, uint8_t **record, struct error *error) WARN_UNUSED;

/* No more are added; the next sorter_next() is the first one. */
bool sorter_sort(struct sorter *sorter, struct error *error) WARN_UNUSED;
/* False: there are no more. The slices live until sorter_clear(). */
bool sorter_next(struct sorter *sorter, struct slice *key, struct slice *payload);

#endif
