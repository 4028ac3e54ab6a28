/* Files on disk: whole writes, and small files that are replaced as a whole.
 *
 * Functions answer false with errno set; a file that is too large for its disk says ENOSPC, however much of it was written.
 * Thread: any; of one path, one at a time. */
#ifndef KEYFERRY_BASE_FILE_H
#define KEYFERRY_BASE_FILE_H

#include "base/error.h"
#include "base/slice.h"

/* Writes all of the bytes at that offset of an open file. */
bool file_write_at(int file, struct slice bytes, uint64_t offset) WARN_UNUSED;

/* fsync(), again after a signal. */
bool file_sync(int file) WARN_UNUSED;

/* Puts the names in the folder of `path` on the disk: a file that was made or renamed is sure to be there after a power cut only then. */
bool file_sync_folder(const char *path) WARN_UNUSED;

/* Makes `content` the content of the file (mode 0600). Whoever reads it, after a crash or a power cut too, finds all of the old content or all of the new
 * one: it is written to <path>.new, which is synced and takes the place of the other. After a failure the old content still counts, unless it was the
 * folder alone that could not be synced. */
bool file_replace(const char *path, struct slice content) WARN_UNUSED;

#endif
