/* A link: one source master's pipeline to the target, with its two threads.
 *
 *   receiver thread:  source socket -> spool, acknowledgements, heartbeat; or files -> spool   (its own loop)
 *   applier thread:   spool -> decode -> outlet (a deployment or a file), state file (its own loop)
 *
 * They meet in the spool, and in a few atomics and wake-ups. Everything a link keeps lies in its folder: spool/ and state.json.
 * Thread: link_*() are called by the control thread; `changed` comes from any thread. */
#ifndef KEYFERRY_LINK_LINK_H
#define KEYFERRY_LINK_LINK_H

#include "link/applier.h"
#include "link/delays.h"
#include "sink/checkpoint.h"
#include "source/input.h"
#include "wire/tally.h"

struct link;

enum link_phase {
	LINK_CONNECTING, /* nothing received yet */
	LINK_SNAPSHOT,   /* the snapshot is received or applied; of files: until everything is applied */
	LINK_STREAMING,
	LINK_STOPPED,
	LINK_FAILED,
	LINK_FINISHED, /* everything of a source of files is applied; or the target is a file that is complete */
};

struct link_options {
	const struct task_options *task;
	struct deployment *source, *target; /* options and TLS; outlive the link */
	const struct input
		*input; /* files instead of a source server, inspected; outlives the link. Then source is NULL, and of what
	                                        * follows only the target's, dir, changed and owner count */
	const struct file_target
		*file; /* a file instead of target servers; outlives the link. Then target and target_topology are NULL */
	const struct topology *target_topology;
	struct target_abilities abilities; /* of the target's servers; of a file: of the source's */
	struct endpoint master;            /* of the source shard: heartbeat and sampling */
	struct endpoint receive_from;      /* the same, or one of its replicas */
	bool cluster;                      /* the source is one; then: */
	uint16_t slot; /* any slot of the shard, for the heartbeat's tag; of a shard that has none any more: any */
	bool only_link;
	struct server_info source_info; /* of the source master; all 0: it is not known, and needed for source.mode scan alone */
	struct expiry_plan expiry;
	uint64_t source_keys; /* that the source master held when it was asked; for the progress */
	const struct checkpoint_link
		*known; /* what the target knows of this source's link; NULL: nothing. Used by link_open() alone */
	struct handover
		*handover; /* the task's, which the link joins; outlives it. NULL: nothing is to be handed over (handover.h) */
	const char *dir;   /* the link's folder; exists */
	struct incidents *incidents;    /* of the task; outlives the link */
	struct target_masters *masters; /* likewise; NULL: the target is a file, or nobody wants to know */
	void (*changed)(void *owner);   /* failed, gave up: look at the status; must only wake somebody */
	void *owner;
};

struct link_status {
	enum link_phase phase;
	struct error error;             /* kind ERROR_NONE: none */
	char source[ENDPOINT_TEXT_MAX]; /* host:port, or the path of the files */
	const char *target_path;        /* of the file that is written; NULL: the target is servers */
	bool connected;                 /* to the source, and receiving */
	bool away; /* it should be, and is not; of a server alone. receiver.away says why, where it is known */
	struct source_status receiver; /* its `away` is there only while the link's is */
	struct applier_status applier;
	struct spool_origin origin;
	int64_t received_offset;       /* -1: not in the stream */
	int64_t source_offset;         /* sampled; -1: unknown */
	bool files;                    /* the source is files: all of their bytes count as the snapshot's */
	uint64_t snapshot_bytes_total; /* 0: not known */
	uint64_t snapshot_keys_total;  /* about: what the source held at the start */
	uint64_t spool_bytes;          /* received, not applied yet */
	uint64_t spool_disk_bytes;
	uint64_t spool_max_bytes; /* that it may hold */
	bool resumed;
	uint64_t incidents[INCIDENT_KINDS]; /* how many of each kind since the start */
	const struct tally *applied;        /* commands since the start, the link's; NULL: none are counted */
	const struct delays *delays;        /* likewise */
	double commands_per_second;         /* records applied, of snapshot and stream, over the last seconds */
	double bytes_per_second;            /* spool bytes applied */
};

/* Opens the spool and the state; nothing runs yet. */
struct link *link_open(const struct link_options *options, struct error *error) WARN_UNUSED;
/* Whether an earlier run has left a position to go on from. */
bool link_has_history(const struct link *link);
bool link_start(struct link *link, struct error *error) WARN_UNUSED;
/* Stops decoding, waits for what is in flight (at most deadline_ms), writes the state, ends both threads. */
void link_stop(struct link *link, uint32_t deadline_ms);
void link_free(struct link *link); /* stopped, or never started */
void link_status(struct link *link, struct link_status *ret);
/* Is it connected to its source? (any) */
bool link_connected(const struct link *link);
/* The source shard has another master, or is to be read from another of its servers; `slot` is any slot of it. Not for a link of files. Not while
 * link_start() or link_stop() is under way. (any) */
void link_move(struct link *link, const struct endpoint *master, const struct endpoint *receive_from, uint16_t slot);
/* The slots that the source shard owns now; until it is told, none. The heartbeat gets a name in one of them. (any) */
void link_take_slots(struct link *link, const struct topology *source, uint32_t shard);
/* Its number in the handover that it was given, and its id in the target's marks. (any) */
uint32_t link_member(const struct link *link);
const char *link_id(const struct link *link);
/* Records and bytes per second from now on; 0: unlimited. (any) */
void link_limit(struct link *link, uint64_t records_per_second, uint64_t bytes_per_second);
/* Where it reads from, as last told. (any) */
void link_endpoints(struct link *link, struct endpoint *ret_master, struct endpoint *ret_receive_from);

#endif
