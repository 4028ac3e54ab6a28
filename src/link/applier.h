/* The applier: one link's way from the spool to the target.
 *
 *   spool --view--> decode (snapshot, then stream) --> outlet: transform --> route --> sink, or a file --> low-water position --> state file,
 *                                                                                                                               release of the spool
 *
 * It decodes while the outlet has room, in portions, so that replies are read in between. Commands for all nodes of a cluster stand between
 * barriers: what came before is answered first, what comes after waits.
 * A full resync parks it: what is in flight is awaited, then it lets go of the spool and begins again with the new generation.
 * Thread: the link's applier thread, but for the functions marked (any).
 * Errors end it: told once by `failed`. */
#ifndef KEYFERRY_LINK_APPLIER_H
#define KEYFERRY_LINK_APPLIER_H

#include "link/expiry.h"
#include "link/handover.h"
#include "link/recorder.h"
#include "link/state.h"
#include "sink/target_masters.h"
#include "source/heartbeat.h"
#include "source/source.h"
#include "task/options.h"

struct applier;

struct applier_events {
	void (*note)(void *owner, int log_level, const char *text);
	void (*tell)(void *owner, const struct incident *incident); /* of the snapshot, and what the outlet tells */
	void (*failed)(void *owner, const struct error *error);
	void (*parked)(void *owner); /* after applier_park(): the spool is free for a new generation */
	void (*drained)(
		void *owner); /* after applier_drain(): all is answered (or the deadline has passed) and the state is written */
	void (*finished)(void *owner); /* a file is complete: nothing of what the source still sends is wanted */
};

struct applier_options {
	struct loop *loop;
	const struct task_options *task;
	const struct file_target *file; /* the target is a file, and no deployment; outlives it */
	struct deployment *target;
	const struct topology *topology;
	struct target_abilities abilities;             /* of the target's servers; of a file: of the source's */
	bool only_link;                                /* the source has one master: FLUSHALL means the whole target */
	bool (*owns)(void *owns_owner, uint16_t slot); /* if not: does the source master own that slot? */
	void *owns_owner;
	struct expiry_plan expiry;
	const char *name; /* of its connections */
	const char *state_path;
	const char *names_path;  /* dispatch.h */
	bool brought_before;     /* dispatch.h */
	struct scripts *scripts; /* outlives it; NULL: none are remembered */
	struct spool *spool;
	struct source source;        /* is told what is applied */
	const char *token;           /* of this process, for the record in the target (sink/marker.h) */
	const char *source_name;     /* of the source, likewise */
	struct handover *handover;   /* of the slots of the source's masters; NULL: there is one master, or no stream */
	uint32_t member;             /* its number there */
	struct heartbeat *heartbeat; /* tells what the source's offset was when; NULL: the source is files */
	struct target_masters
		*masters; /* of the task: is told what is learned of them; outlives it. NULL: nobody wants to know */
	struct tally *
		tally; /* of the commands that are applied, and of how long they took; both outlive it. NULL: nobody wants to know */
	struct delays *delays;
};

struct applier *applier_new(const struct applier_options *options, const struct link_state *state,
			    const struct applier_events *events, void *owner);
void applier_free(struct applier *applier);
/* There is more in the spool, or a new generation. */
void applier_wake(struct applier *applier);
void applier_park(struct applier *applier);
/* Awaits what is in flight, but no longer than deadline_ms; and no longer than a second without progress, where the next run finds out what came of it. */
void applier_drain(struct applier *applier, uint32_t deadline_ms);

/* From its next portion on, which applier_wake() brings about; 0: unlimited. (any) */
void applier_limit(struct applier *applier, uint64_t records_per_second, uint64_t bytes_per_second);

/* What it publishes. */
struct applier_status {
	uint64_t generation;    /* of the spool, that all this is about */
	bool streaming;         /* the snapshot is applied, and no other is about to begin */
	bool finished;          /* the target is a file, and complete */
	bool caught_up;         /* the source's offset as it was after the snapshot (or the start) has been applied */
	uint64_t position;      /* low-water */
	int64_t applied_offset; /* -1 in the snapshot */
	uint64_t snapshot_bytes_done;
	uint64_t bytes_done;         /* spool bytes applied since start */
	int64_t lag_ms;              /* -1: not known yet */
	enum guard_form expiry_form; /* in which times of expiry are written */
	bool expiry_ready;           /* LIVE, and nothing from before is on its way any more (link/expiry.h) */
	uint64_t expiry_switches;
	uint64_t last_move; /* dispatch_last_move() */
	struct dispatch_counters dispatch;
	struct sink_counters sink;
	uint64_t rollbacks;      /* times that the target had lost, or might have lost, what it had acknowledged */
	uint64_t rollback_bytes; /* of the spool, applied again for that */
	uint64_t file_bytes;     /* of a file that is written */
	struct handover_counters handover;
	char waiting_for[256]; /* or "" */
};
/* (any) */
struct applier_status applier_status(struct applier *applier);

#endif
