/* What an RDB file holds, in figures: by database, type and expiry, and the largest keys.
 *
 * Fed with the file's events in order; fixed size but for one row each of the databases and types that occur.
 * Thread: one. */
#ifndef KEYFERRY_CMD_RDB_SUMMARY_H
#define KEYFERRY_CMD_RDB_SUMMARY_H

#include "cmd/rdb_file.h"

#include <stdio.h>

#define RDB_SUMMARY_LARGEST 10
/* Types of modules beyond this many are counted as "module". */
#define RDB_SUMMARY_TYPES 64

struct rdb_summary {
	int64_t now_ms; /* expiries before it have passed */
	struct snapshot_place place;
	char writer[64];  /* "redis 7.4.1"; empty where the file does not say */
	int64_t saved_at; /* Unix seconds, or -1 */
	uint64_t keys;
	uint64_t bytes; /* of serialised values */
	uint64_t with_expiry;
	uint64_t expired;
	int64_t first_expiry; /* EXPIRE_NEVER: there are none to come */
	int64_t last_expiry;
	uint64_t functions;
	uint64_t scripts;
	uint64_t module_data; /* MODULE_AUX */
	struct rdb_summary_database {
		uint32_t db;
		uint64_t keys;
		uint64_t with_expiry;
		uint64_t bytes;
	} * databases; /* in the order of the file */
	size_t database_count;
	size_t database_room;
	struct rdb_summary_type {
		char name[EVENT_KEY_TYPE_MAX];
		uint64_t keys;
		uint64_t bytes;
	} types[RDB_SUMMARY_TYPES];
	size_t type_count;
	struct rdb_summary_key {
		uint64_t bytes;
		uint32_t db;
		char type[EVENT_KEY_TYPE_MAX];
		char key[120];          /* quoted */
	} largest[RDB_SUMMARY_LARGEST]; /* the largest first */
	size_t largest_count;
};

void rdb_summary_init(struct rdb_summary *summary, int64_t now_ms);
void rdb_summary_free(struct rdb_summary *summary);

/* `place`: the decoder's, after the event. */
void rdb_summary_add(struct rdb_summary *summary, const struct event *event, struct snapshot_place place);

/* `checksum`: RDB_CHECKSUM_NOT_SEEN says that the file was not read to its end. */
void rdb_summary_print(const struct rdb_summary *summary, const struct rdb_file *file, enum rdb_checksum checksum, FILE *out);

#endif
