/* An RDB file read from beginning to end: its events one after the other, its checksum, in memory that does not grow with the
 * file.
 *
 * The file is mapped; what has been walked and summed is unloaded again. It must not be made shorter meanwhile (servers never
 * do: they write another file and rename it).
 * Thread: one. */
#ifndef KEYFERRY_CMD_RDB_FILE_H
#define KEYFERRY_CMD_RDB_FILE_H

#include "base/error.h"
#include "decode/event.h"
#include "decode/snapshot.h"

struct rdb_file {
	const char *path;
	int fd;
	const uint8_t *data;
	uint64_t size;
	uint64_t at;       /* the next event's first byte */
	uint64_t summed;   /* bytes in `crc` so far */
	uint64_t unloaded; /* bytes given back to the system */
	uint64_t crc;
	struct snapshot_decoder *decoder;
	/* keys read again; made when they are first needed */
	struct snapshot_decoder *rereader;
	uint8_t *reread_room;
	uint64_t reread_start; /* the part of `data` that the last one loaded, if any */
	uint64_t reread_end;
};

/* NONE: the server was told to write none, or is older than they are. */
enum rdb_checksum { RDB_CHECKSUM_NOT_SEEN, RDB_CHECKSUM_NONE, RDB_CHECKSUM_RIGHT, RDB_CHECKSUM_WRONG };

/* ERROR_USAGE: there is no such file, or it is not one. `path` must outlive the file. */
bool rdb_file_open(struct rdb_file *file, const char *path, struct error *error) WARN_UNUSED;
void rdb_file_close(struct rdb_file *file);

/* The next event; its slices are valid until the next call. *checksum is set at EVENT_SNAPSHOT_END; a wrong one
 * is an error in the event's place. False: the file is damaged or cut off, ERROR_SOURCE with the offset. Not to be called after
 * the end or an error. */
bool rdb_file_next(struct rdb_file *file, struct event *event, enum rdb_checksum *checksum, struct error *error) WARN_UNUSED;

/* A key that rdb_file_next() has handed out before, again: its database, start and end. Its slices are valid until the next call. */
bool rdb_file_read(struct rdb_file *file, uint32_t db, uint64_t start, uint64_t end, struct event *event,
		   struct error *error) WARN_UNUSED;

#endif
