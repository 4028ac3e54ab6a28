/* Segment files: creating, reading and writing them, one at a time. What is in them: spool/format.h.
 *
 * Functions answer 0 (or a file handle) or a negative errno; segment_error() makes a finished error of it.
 * Thread: a segment_store is constant while threads run; a file handle belongs to who opened it. */
#ifndef KEYFERRY_SPOOL_SEGMENT_H
#define KEYFERRY_SPOOL_SEGMENT_H

#include "spool/disk.h"
#include "spool/format.h"

#define SEGMENT_PATH_MAX 4096

/* Where the segments of one generation lie. */
struct segment_store {
	const struct disk *disk;
	char *dir;
	uint64_t generation;
	uint64_t size;
};

void segment_path(const struct segment_store *store, uint64_t number, char out[SEGMENT_PATH_MAX]);

/* Makes the file anew with an empty table; its whole head takes room on the disk at once, so that recording never lacks it. */
int segment_create(const struct segment_store *store, uint64_t number) WARN_UNUSED;
int segment_open(const struct segment_store *store, uint64_t number, bool writable) WARN_UNUSED;
void segment_close(const struct segment_store *store, int file);

/* Bytes at `offset` of the segment's bytes. */
int segment_write(const struct segment_store *store, int file, uint64_t offset, const void *data, size_t len) WARN_UNUSED;
/* Reads exactly len; -ENODATA where the file ends before. */
int segment_read(const struct segment_store *store, int file, uint64_t offset, void *out, size_t len) WARN_UNUSED;

/* `block` is the position of the block's first byte; which of its two records: 0 or 1. NULL wipes it. */
int segment_write_record(const struct segment_store *store, int file, uint64_t block, unsigned which,
			 const struct format_record *record) WARN_UNUSED;

/* 0 also where it is gone already. */
int segment_remove(const struct segment_store *store, uint64_t number) WARN_UNUSED;

/* Whole reads and writes at the file's own offsets, as above. */
int segment_read_file(const struct disk *disk, int file, uint64_t offset, void *out, size_t len) WARN_UNUSED;
int segment_write_file(const struct disk *disk, int file, uint64_t offset, const void *data, size_t len) WARN_UNUSED;

/* "spool segment <path>: <what>: <reason>", ERROR_INTERNAL; result is the negative errno. Says what to do about a full disk. */
void segment_error(const struct segment_store *store, uint64_t number, int result, const char *what, struct error *error);
bool segment_result_is_full(int result);

#endif
