/* The keys that a source has told of and that are still to be read: each once, in the order in which they were told of first.
 *
 * A key that is told of again while it waits costs nothing, so the room is that of distinct keys. Its bound is in bytes, everything counted; what does
 * not fit any more is for the owner to find in another way (a new pass over all keys).
 * Pure. Thread: owned by one. */
#ifndef KEYFERRY_SOURCE_CHANGES_H
#define KEYFERRY_SOURCE_CHANGES_H

#include "base/slice.h"

struct changes;

enum changes_answer {
	CHANGES_ADDED,
	CHANGES_KNOWN, /* it waits already */
	CHANGES_FULL,
};

/* `bytes`: the bound; at least 64 KiB are taken. */
struct changes *changes_new(size_t bytes);
void changes_free(struct changes *changes);
/* `mark`: comes back with the key; of one that waits already the first one counts. */
enum changes_answer changes_add(struct changes *changes, uint32_t db, struct slice key, uint32_t mark);
bool changes_holds(const struct changes *changes, uint32_t db, struct slice key);
/* The oldest; it does not wait any more. The key lives until the next call. False: none waits. */
bool changes_take(struct changes *changes, uint32_t *db, struct slice *key, uint32_t *mark);
uint64_t changes_count(const struct changes *changes); /* that wait */
/* Spreads database and key over 64 bits, as the table does. */
uint64_t changes_hash(uint32_t db, struct slice key);

#endif
