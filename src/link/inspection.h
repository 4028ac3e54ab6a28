/* The inspection: reads every byte of an input (source/input.h) before the task begins.
 *
 * Files lie still, so unlike a server's snapshot they can be read twice: all damage is found before anything is written to the target. It finds
 *   - damage in a snapshot: the structure of every value's encoding is walked, and the checksum computed
 *   - damage in commands, and files that do not belong together
 *   - the tail of the last append-only file, where the server was cut off while writing: it is left out, back to the last whole command, or to
 *     the MULTI of a transaction that has no EXEC, as the servers do with aof-load-truncated yes
 * and it learns what the checks of a task want to know of a source. It costs one pass at the speed of the disk or of about a CPU core, whichever is slower;
 * memory stays small: the files are mapped and what was read is given back. They must not be made shorter meanwhile, which servers never do.
 * Thread: the caller's, straight-line. */
#ifndef KEYFERRY_LINK_INSPECTION_H
#define KEYFERRY_LINK_INSPECTION_H

#include "source/input.h"

#define INSPECTION_DATABASES 4096

struct inspection {
	uint64_t keys; /* in the snapshot */
	uint64_t commands;
	uint64_t databases[INSPECTION_DATABASES / 64]; /* bit set: keys or commands are in it */
	int64_t highest_db;                            /* -1: none */
	uint32_t rdb_version;                          /* of the snapshot; 0: there is none */
	char server[64];                               /* that wrote the snapshot, "Redis 7.0.15"; or empty */
	uint64_t
		past_expiries; /* times of expiry in an append-only file that have passed: see docs/file-sources.md on what that may mean */
	char cut[512]; /* what was left out at the end: a sentence for the log; or empty */
};

struct inspection_events {
	/* Called every few MiB. False: stop. */
	bool (*go_on)(void *owner, uint64_t done, uint64_t total);
	void *owner;
};

/* Fills *ret, and of the input the lengths, positions, snapshot_end, total and identity. False: *error is ERROR_SOURCE and names file and byte;
 * or of kind ERROR_NONE when it was stopped. */
bool inspection_run(struct input *input, const struct inspection_events *events, struct inspection *ret,
		    struct error *error) WARN_UNUSED;

#endif
