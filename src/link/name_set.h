/* The names that a snapshot held, as the target was given them: what the target has beside them after a second snapshot is left from the first.
 *
 *   add ... sync (before the position that covers them is kept) ... add -> seal -> has ... -> remove
 *
 * A name is kept as its 128-bit hash, so 16 bytes on disk each, whatever their number; that two names have one hash is as likely as two equal random numbers of
 * that size. The file lies in the link's folder and outlives a restart in the middle of the snapshot: names that are added twice do no harm.
 *
 *   file:  "keyferry names 1\n", 15 zero bytes, generation (u64 LE), then the hashes in the order of adding
 *
 * Sealing sorts them into a file without a name, which is mapped; beside it 0.5 MiB of memory.
 * Errors are ERROR_INTERNAL: the disk. Thread: the link's applier. */
#ifndef KEYFERRY_LINK_NAME_SET_H
#define KEYFERRY_LINK_NAME_SET_H

#include "base/error.h"
#include "base/slice.h"

struct name_set;

/* That of this generation, made where there is none; names of another generation are forgotten. NULL + error. */
struct name_set *name_set_open(const char *path, uint64_t generation, struct error *error) WARN_UNUSED;
/* The file stays. NULL is fine. */
void name_set_close(struct name_set *set);
/* Closes, and removes the file. */
void name_set_remove(struct name_set *set);

bool name_set_add(struct name_set *set, uint32_t db, struct slice name, struct error *error) WARN_UNUSED;
/* What was added is on the disk. */
bool name_set_sync(struct name_set *set, struct error *error) WARN_UNUSED;

/* No more are added. */
bool name_set_seal(struct name_set *set, struct error *error) WARN_UNUSED;
/* Sealed. */
bool name_set_has(const struct name_set *set, uint32_t db, struct slice name);
/* Added since it was made; twice counts twice. For tests. */
uint64_t name_set_count(const struct name_set *set);

#endif
