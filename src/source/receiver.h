/* The receiver: a replica of one source master that puts everything it is sent into the link's spool.
 *
 *   connecting -> handshake -> waiting (the master prepares) -> snapshot -> streaming
 *        ^------------- any failure: back off (with jitter), PSYNC from the spool's end ------------'
 *
 * Connects, authenticates, announces itself (REPLCONF listening-port, capa eof, capa psync2, and to Valkey its version), asks for PSYNC at
 * the spool's end, takes the snapshot in both forms, verifies its checksum, then the stream; acknowledges the applied offset each second and
 * whenever asked. Losing the master, for whatever reason, is a normal day: it comes back by itself and never gives up, except for reasons that
 * only the operator can mend before anything was ever received (see `gave_up`).
 * Reading stops while the spool has no room or the disk is full, and goes on by itself.
 * Thread: the receiver's loop; functions marked (any) from every thread. */
#ifndef KEYFERRY_SOURCE_RECEIVER_H
#define KEYFERRY_SOURCE_RECEIVER_H

#include "base/incident.h"
#include "net/loop.h"
#include "peer/server.h"
#include "source/source.h"
#include "spool/spool.h"

struct receiver;

enum receiver_state {
	RECEIVER_CONNECTING,
	RECEIVER_HANDSHAKE,
	RECEIVER_WAITING,
	RECEIVER_SNAPSHOT,
	RECEIVER_STREAMING,
	RECEIVER_STOPPED
};

/* Told on the receiver's thread. `text` arguments are finished sentences for the log. */
struct receiver_events {
	/* Something an operator wants to read beside what is told by the next one. */
	void (*note)(void *owner, int log_level, const char *text);
	/* Lost and connected again, failover, full resync, spool or disk full. */
	void (*tell)(void *owner, const struct incident *incident);
	/* The source insists on a full resync while the spool holds an older history. The applier must let go of all views; then
	 * receiver_resync_ready() lets the receiver go on (it keeps the connection alive meanwhile). Not called for an empty spool. */
	void (*resync)(void *owner);
	/* Before anything was ever received, a cause that waiting does not mend: wrong password, no permission, not a Redis, refused
	 * certificate. The receiver has stopped. */
	void (*gave_up)(void *owner, const struct error *error);
};

struct receiver_options {
	struct endpoint endpoint; /* the master; receiver_move() changes it */
	const struct credentials *credentials;
	struct tls_context *tls;
	const char *tls_name;
	const char *name; /* for CLIENT SETNAME */
	uint32_t connect_timeout_ms;
	uint32_t repl_timeout_ms; /* silence after which the connection is given up; 0: 60,000 */
	struct spool *spool;
	bool master; /* always that of one shard of a cluster: what has become the replica of another shard's master sends what that one's link receives too, so it
	                                        * is not followed there */
	bool snapshot; /* false: stream only. Then the first PSYNC asks for the history's end as the master's INFO
	                                        * tells it; a snapshot sent all the same is read and thrown away. */
};

struct receiver *receiver_new(struct loop *loop, const struct receiver_options *options, const struct receiver_events *events,
			      void *owner);
void receiver_start(struct receiver *receiver);
/* Closes the connection; the spool is flushed. No callback after this. */
void receiver_stop(struct receiver *receiver);
void receiver_free(struct receiver *receiver);
void receiver_resync_ready(struct receiver *receiver); /* (any) */
void receiver_begin_anew(struct receiver *receiver);   /* (any) the applier has let go of the spool, and needs a full resync */
void receiver_move(struct receiver *receiver,
		   const struct endpoint *endpoint); /* the shard has another master: reconnect there */

/* (any) The replication offset up to which everything is applied; acknowledged to the source each second, at once if `now`. Until it is told in a generation,
 * the snapshot is not applied, and 0 is acknowledged: WAIT at the source and the offset in its INFO tell the truth. */
void receiver_set_applied(struct receiver *receiver, int64_t offset, bool now);

/* (any) A snapshot of its counters. */
struct receiver_status {
	enum receiver_state state;
	uint64_t snapshot_bytes_total; /* 0: not known (diskless) */
	uint64_t snapshot_bytes_received;
	uint64_t bytes_received; /* since start, all kinds */
	uint64_t reconnects;
	uint64_t resyncs;       /* full resyncs after the first */
	uint64_t last_heard_us; /* clock_monotonic_us() of the last byte */
	struct away_status away;
};
struct receiver_status receiver_status(const struct receiver *receiver);

struct source receiver_as_source(struct receiver *receiver);

#endif
