/* The manifest of a multi-part append-only file (Redis 7.0 and later, Valkey): which files it is made of, in which order.
 *
 *   file appendonly.aof.3.base.rdb seq 3 type b        at most one base: what a rewrite has left, RDB or AOF
 *   file appendonly.aof.4.incr.aof seq 4 type i        what was written since, in rising order of seq
 *   file appendonly.aof.2.incr.aof seq 2 type h        history: replaced by the base, waits for its deletion
 *
 * A line is pairs of a name and a value, in any order, blank-separated; a value may stand in quotes, with the escapes of redis-cli (file names
 * with blanks or control bytes are written so). Names that are not known are passed over: newer servers add startoffset and endoffset. Lines
 * that begin with # are comments.
 * Source of the facts: aof.c of Redis 7.0 to 8.0 (aofLoadManifestFromFile, getAofManifestAsString) and sds.c (sdssplitargs). The servers refuse
 * what is refused here, and file names with a slash.
 * Pure. Thread: a value owned by one. */
#ifndef KEYFERRY_SOURCE_AOF_MANIFEST_H
#define KEYFERRY_SOURCE_AOF_MANIFEST_H

#include "base/error.h"
#include "base/slice.h"

#define AOF_MANIFEST_BYTES_MAX (1u << 20)
#define AOF_MANIFEST_LINE_MAX 1024 /* as the servers have it */
#define AOF_MANIFEST_FILES_MAX                                                                                                   \
	1000 /* each stays open while the task runs; servers delete history at once, and seldom have more than three */

struct aof_manifest {
	char **files; /* base and increments, in the order in which they are read; names without a folder */
	uint32_t count;
	bool has_base;
	uint32_t history; /* files that were passed over */
};

/* False: *error (ERROR_SOURCE) names the line; it does not name the file. On success aof_manifest_free() later. */
bool aof_manifest_parse(struct slice text, struct aof_manifest *ret, struct error *error) WARN_UNUSED;
void aof_manifest_free(struct aof_manifest *manifest);

#endif
