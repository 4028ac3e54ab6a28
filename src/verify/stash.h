/* The stash: bytes that are kept until the other side's have come too, in memory up to a bound, and behind it in a file that has no name.
 *
 *     item = stash_item(total) ... stash_add(item, bytes) ... stash_get(item) -> slice
 *
 * So values of any size may be compared by whole slices, while the memory that the process cannot give back stays small: what lies in the file is mapped when asked
 * for, and the kernel may drop those pages at any time. The file lies in $TMPDIR, else in /var/tmp, and is gone with the process.
 * Thread: owned by one. */
#ifndef KEYFERRY_VERIFY_STASH_H
#define KEYFERRY_VERIFY_STASH_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

struct stash;

struct stash_item {
	uint64_t at, len, filled; /* in the file; where it is in memory, `memory` says */
	uint8_t *memory;          /* NULL: in the file */
};

struct stash *stash_new(uint64_t memory_max);
void stash_free(struct stash *stash);
/* All items are gone. */
void stash_reset(struct stash *stash);

/* Room for so many bytes. */
void stash_begin(struct stash *stash, uint64_t len, struct stash_item *ret);
/* The next bytes of an item; more than it has room for are left out. False: the file cannot be written; ERROR_INTERNAL. */
bool stash_add(struct stash *stash, struct stash_item *item, struct slice bytes, struct error *error) WARN_UNUSED;
/* The item, as far as it is filled; valid until the next reset. */
bool stash_get(struct stash *stash, const struct stash_item *item, struct slice *ret, struct error *error) WARN_UNUSED;

/* A part of an item has been read for now: where it is mapped, its pages leave the memory. */
#define STASH_STEP (1u << 20) /* a good size of such parts */
void stash_let_go(struct stash *stash, struct slice part);

#endif
