/* The source of a link: where the bytes in its spool come from, behind one table.
 *
 *   receiver   a server, as its replica (source/receiver.h)
 *   feeder     RDB and append-only files (source/feeder.h)
 *   scanner    a server, by SCAN, DUMP and keyspace notifications (source/scanner.h)
 *
 * A source has its own thread, on which it is started and stopped; it is the spool's writer. `self` is what its maker gave; the table's functions
 * get it back.
 * Thread: the source's own; functions marked (any) from every thread. */
#ifndef KEYFERRY_SOURCE_SOURCE_H
#define KEYFERRY_SOURCE_SOURCE_H

#include "source/away.h"

#include <stdbool.h>
#include <stdint.h>

struct source_status {
	bool connected;                /* bytes are coming, or may come at any time */
	bool complete;                 /* the spool has all that there will ever be */
	uint64_t snapshot_bytes_total; /* 0: not known */
	uint64_t bytes_received;       /* since start, all kinds */
	uint64_t reconnects;
	uint64_t resyncs;        /* new generations after the first; of a scanner passes after the first */
	struct away_status away; /* of a server that is not read; it may be known a moment before `connected` says so, or after */
};

struct source_ops {
	void (*start)(void *self);
	/* The spool is flushed; no callback after this. */
	void (*stop)(void *self);
	void (*free)(void *self);
	/* (any) The applier has let go of the spool, as the source had asked. */
	void (*resync_ready)(void *self);
	/* (any) The applier has let go of the spool and asks for a new generation: a full resync. NULL: there can be none. */
	void (*begin_anew)(void *self);
	/* (any) The offset up to which everything is applied. */
	void (*set_applied)(void *self, int64_t offset, bool now);
	/* (any) */
	struct source_status (*status)(const void *self);
};

struct source {
	const struct source_ops *ops; /* NULL: there is none */
	void *self;
};

#endif
