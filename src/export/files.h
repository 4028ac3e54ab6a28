/* The files of a link's target: their names, and how a whole snapshot takes its place.
 *
 *   one file    PATH.partial  ->  PATH                                          rdb, jsonl, aof in one file
 *   in parts    PATH/appendonly.aof.N.base.rdb.partial -> ...base.rdb           aof as servers have it since 7.0: a folder with a base, an increment
 *               PATH/appendonly.aof.N.incr.aof                                  for the commands behind it, and a manifest that names them
 *               PATH/appendonly.aof.manifest
 *
 * A file under its own name is a whole snapshot, and whole commands behind it. One that is there before is replaced by one rename, of the file or of the
 * manifest, when everything is on the disk; until then it stays as it was. Each snapshot of a folder has a number N of its own.
 * Errors are ERROR_TARGET.
 * Thread: the caller's. */
#ifndef KEYFERRY_EXPORT_FILES_H
#define KEYFERRY_EXPORT_FILES_H

#include "base/error.h"
#include "spool/disk.h"

#include <stdint.h>

#define FILES_SHARD "{shard}" /* in a path: stands for the number of the link */

struct files {
	const struct disk *disk;
	const char *path; /* the file, or the folder of the parts */
	bool parts;
	uint32_t number; /* parts: of the present snapshot */
	bool has_base;   /* parts: the commands have a snapshot before them */
};

/* The path of one link; to be freed. */
char *files_resolve(const char *path, const char *shard);

/* Makes the folder that the file is in, where its own folder is there, and the folder of the parts; refuses what is there and no file. Then: is there nothing
 * yet where the files go? */
bool files_prepare(const char *path, bool parts, struct error *error) WARN_UNUSED;
bool files_free_of_others(const char *path, bool parts, struct error *error) WARN_UNUSED;

/* A number that no part in the folder has. */
bool files_next_number(struct files *files, struct error *error) WARN_UNUSED;

/* Paths, to be freed: of the snapshot under way; of it when it is whole; of what commands are written to. */
char *files_partial(const struct files *files);
char *files_base(const struct files *files);
char *files_stream(const struct files *files);

/* The snapshot, `length` bytes that are on the disk, takes its place, with an empty increment. Doing it again after it was cut short at any point
 * completes it. `replaces`: what is there under the name. */
bool files_publish(const struct files *files, uint64_t length, bool replaces, struct error *error) WARN_UNUSED;
/* In parts: is the manifest still the one that was published? */
bool files_check_manifest(const struct files *files, struct error *error) WARN_UNUSED;

#endif
