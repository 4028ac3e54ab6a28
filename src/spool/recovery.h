/* Recovery: what of a generation's segment files is whole, and how the spool goes on behind it.
 *
 * Reads the record tables of all segments. Blocks that were on the disk before a later record was written ("synced") are trusted
 * here, so that opening a large spool takes no longer than opening a small one; the reader verifies each when it first views it.
 * All behind is verified now, up to the first block that is not whole: the torn tail begins there and is cut off. A tail that
 * would begin before the synced position is damage, an error.
 * Thread: whoever opens the spool. */
#ifndef KEYFERRY_SPOOL_RECOVERY_H
#define KEYFERRY_SPOOL_RECOVERY_H

#include "spool/segment.h"

#include <xxhash.h>

/* A block that nobody has read since the spool was opened. */
struct recovery_block {
	uint64_t sum;
	bool verified;
};

struct recovery {
	uint64_t begin; /* of the first segment */
	uint64_t end;
	uint64_t synced;       /* at most end */
	uint64_t next_segment; /* number of the first segment that does not exist yet */
	unsigned next_record;  /* which record of the block that `end` is in may be written; the other one is on the disk */
	uint64_t cut;          /* bytes dropped */
	struct recovery_block *blocks; /* the whole blocks from begin on; free() */
	size_t block_count;
};

/* hash takes in the bytes of the block that `end` is in. Nothing is changed on disk when it fails. */
bool recovery_run(const struct segment_store *store, XXH3_state_t *hash, struct recovery *ret, struct error *error) WARN_UNUSED;

#endif
