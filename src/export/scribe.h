/* The scribe: events as the bytes of a file, in one of three formats.
 *
 *   rdb    the snapshot as an RDB file of the source's own version; values are the bytes that the source had, keys are written plain
 *   aof    the same as the base, then commands as servers write them into an append-only file, with a SELECT where the database changes
 *   jsonl  a line per key (json/value.h), then a line per command: {"command":["SET","k","v"],"db":0,"offset":4711}
 *
 * In an RDB file go the fields of AUX (without those that say where in a replication the snapshot stands: its data may be a selection of the source's),
 * function libraries, scripts and what modules keep beside their keys. Sizes of tables and slots (RESIZEDB, SLOT_INFO) are hints, which are left out.
 * Scribes put into a struct out, which keeps any trouble with the disk to itself.
 * Sources: src/rdb.c and src/aof.c of Redis 4.0 to 8.0 and Valkey 8.0 to 9.1.
 * Thread: the link's applier. */
#ifndef KEYFERRY_EXPORT_SCRIBE_H
#define KEYFERRY_EXPORT_SCRIBE_H

#include "decode/snapshot.h"
#include "export/out.h"

#define SCRIBE_NO_DATABASE (-1)

enum scribe_kind { SCRIBE_RDB, SCRIBE_AOF, SCRIBE_JSONL };

struct scribe;

/* `out` outlives it. */
struct scribe *scribe_new(enum scribe_kind kind, struct out *out);
void scribe_free(struct scribe *scribe);

/* The database that is selected at the end of the file; SCRIBE_NO_DATABASE: at its beginning, none. Set when a file is begun, gone on with, or cut back. */
void scribe_select(struct scribe *scribe, int64_t db);
int64_t scribe_database(const struct scribe *scribe);

/* An event of the snapshot; `place`: the decoder's. False: a damaged value (ERROR_SOURCE), or a sorter's file (ERROR_INTERNAL). */
bool scribe_snapshot(struct scribe *scribe, const struct event *event, const struct snapshot_place *place,
		     struct error *error) WARN_UNUSED;
/* Behind the last of them. */
void scribe_snapshot_end(struct scribe *scribe, const struct snapshot_place *place);
/* A command of the stream, as it has to be written: event->argv, and event->raw where it is these as RESP. Not for SCRIBE_RDB. */
void scribe_command(struct scribe *scribe, const struct event *event);

#endif
