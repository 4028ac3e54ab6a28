/* The scanner: a source master that is read by SCAN and DUMP and followed by keyspace notifications, where PSYNC is denied.
 *
 *   listener --keys that were told of--> backlog --.
 *   SCAN     --names-------------------------------+--> reader --> scan_writer --> spool
 *                                                          names <--'
 *
 *   subscribe -> pass over all keys (the snapshot) -> follow: each key that was told of is read again ... -> pass (when something was missed) -> follow ...
 *
 * It listens before it scans, so no change is missed; keys told of during the snapshot are read again behind it. Each reading is of the key as it is then, and
 * readings reach the target in the order in which they were made: every key comes to its last value, though not through all values in between, and
 * transactions are not kept together.
 *
 * Passes. What happens while nobody listens (a lost subscription, a restart), more keys than the backlog holds, and what servers tell nobody of (FLUSHDB, FLUSHALL,
 * SWAPDB: seen in INFO commandstats) make another pass: all keys are read once more, as commands of the stream, beside the changes. What an earlier pass
 * brought and this one does not find (source/names.h) is read again and, where it is gone, deleted.
 * A restart begins a new generation: the snapshot is made anew.
 *
 * Time. An offset is a position in the spool, and nothing that the source knows. Where the source stood is sampled by a barrier: everything that was done before it
 * is in the spool once all keys told of until then are answered; that is fed to the heartbeat (source/heartbeat.h). So lag and "caught up" mean what they mean
 * with PSYNC.
 *
 * Pace. A key that changes all the time is not read all the time (source/backlog.h).
 * Thread: the source's loop; functions marked (any) from every thread. */
#ifndef KEYFERRY_SOURCE_SCANNER_H
#define KEYFERRY_SOURCE_SCANNER_H

#include "base/incident.h"
#include "net/loop.h"
#include "source/heartbeat.h"
#include "source/names.h"
#include "source/source.h"
#include "spool/spool.h"

struct scanner;

/* Told on the scanner's thread. */
struct scanner_events {
	void (*note)(void *owner, int log_level, const char *text);
	/* Lost and connected again, another server is read, all keys are read anew after a restart, disk full. */
	void (*tell)(void *owner, const struct incident *incident);
	/* The spool holds an older history: the applier must let go of all views; then source_ops.resync_ready. */
	void (*resync)(void *owner);
	/* A cause that waiting does not mend. The scanner has stopped. */
	void (*failed)(void *owner, const struct error *error);
};

struct scanner_options {
	struct client_options client;    /* of the server that is read */
	const struct task_options *task; /* databases, scan, snapshot, timeouts */
	bool pexpiretime;                /* the server has it: Redis 7.0, every Valkey */
	bool streams;                    /* Redis 5.0 */
	bool readonly;                   /* a replica of a cluster */
	const char *dir;                 /* the link's folder */
	struct names *names;             /* becomes the scanner's */
	struct spool *spool;
};

struct scanner *scanner_new(struct loop *loop, const struct scanner_options *options, const struct scanner_events *events,
			    void *owner);
/* Is fed with samples; before the start. */
void scanner_set_heartbeat(struct scanner *scanner, struct heartbeat *heartbeat);
/* The shard has another master, or another server is to be read: a pass over all keys of that one follows. */
void scanner_move(struct scanner *scanner, const struct endpoint *endpoint, bool readonly);
struct source scanner_as_source(struct scanner *scanner);

#endif
