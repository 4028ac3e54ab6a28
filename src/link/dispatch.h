/* The dispatch: decides of each event what the target is sent, and hands it to the sink.
 *
 *   event -> transform -> adapt -> (transaction being gathered) -> route -> sink, or crossing -> sink
 *
 * Five things make the link wait before the next event is decoded (dispatch_ready):
 *   barrier   a command for all masters of a cluster: what came before is answered first, what comes after waits
 *   clearing  FLUSHDB or FLUSHALL that goes key by key (clearing.h)
 *   room      one event has become more than the sink has room for
 *   learning  a command that is not in the table: the target is asked for its keys
 *   rewriting a large key that the target cannot take as it is goes there in many commands, as there is room
 *   crossing  a command, alone or in a transaction, needs several slots of a cluster
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_DISPATCH_H
#define KEYFERRY_LINK_DISPATCH_H

#include "link/adapt.h"
#include "link/clearing.h"
#include "link/crossing.h"
#include "link/lag.h"
#include "link/learner.h"
#include "link/transaction.h"
#include "sink/sink.h"
#include "task/options.h"

struct dispatch;

struct dispatch_options {
	struct loop *loop;
	const struct task_options *task;
	struct deployment *target;
	const struct topology *topology;
	struct target_abilities abilities;
	const char *names_path; /* where the names of a second snapshot are kept; NULL: nowhere (the source is files) */
	bool brought_before; /* the target knew the link when its work directory was begun: to the target its first snapshot may be a second one */
	bool only_link;
	bool (*owns)(void *owns_owner, uint16_t slot); /* not the only link: does its source master own that slot? */
	void *owns_owner;
	const char *name;        /* of connections */
	struct lag *lag;         /* is told of heartbeats */
	struct scripts *scripts; /* is told of what brings a script; NULL: none are remembered */
	void (*note)(void *owner, int log_level, const char *text); /* a finished sentence for the log */
	void (*go_on)(void *owner); /* what was waited for has come: call dispatch_ready() again, not from within this call */
	/* What came before a barrier must never be applied again, so its position has to be kept now (FLUSHALL has taken the target's marks along). False: it
	 * could not be, ask dispatch_ready() again later. NULL: nobody cares. */
	bool (*save)(void *owner);
	/* What is applied again, after the target has fallen back, cannot be made exact by that: a new snapshot is needed. `why`: a sentence's beginning. */
	void (*beyond_repair)(void *owner, const char *why);
	void *owner;
};

struct dispatch *dispatch_new(const struct dispatch_options *options);
void dispatch_free(struct dispatch *dispatch);

struct dispatch_start {
	bool own_data;       /* the target may hold what this link has brought */
	uint64_t generation; /* of the spool */
	uint64_t position;   /* where applying begins */
	uint64_t
		replay_until; /* what begins below it is applied again, because nodes of the target have fallen back, each to another moment */
	bool in_snapshot;
};
/* A new sink, at a place outside transactions. */
void dispatch_begin(struct dispatch *dispatch, struct sink *sink, const struct dispatch_start *start);
/* A position is about to be kept: what it relies on is on the disk. */
bool dispatch_sync(struct dispatch *dispatch, struct error *error) WARN_UNUSED;
/* A position behind the snapshot has been kept. */
void dispatch_snapshot_kept(struct dispatch *dispatch);
/* The commands that the target has told of; for the stream decoder. */
const struct command_table *dispatch_commands(const struct dispatch *dispatch);

/* How times of expiry are written from now on; at the beginning GUARD_OFF. */
void dispatch_set_times(struct dispatch *dispatch, const struct guard_times *times);
/* adapt_last_move() */
uint64_t dispatch_last_move(const struct dispatch *dispatch);

/* Handles one event (EVENT_SNAPSHOT_END too: as progress). `db_stream`: selected in the stream behind it; `valkey`: the snapshot is a VALKEY one. The event's memory has
 * to stay until dispatch_ready() answers true. False: the link has to stop; ERROR_CONFLICT. */
bool dispatch_event(struct dispatch *dispatch, const struct event *event, uint32_t db_stream, bool valkey,
		    struct error *error) WARN_UNUSED;

enum dispatch_state { DISPATCH_READY, DISPATCH_WAITS, DISPATCH_FAILED };
/* May the next event be decoded? FAILED fills error. */
enum dispatch_state dispatch_ready(struct dispatch *dispatch, struct error *error);
/* A transaction's MULTI has come, its EXEC not yet: its bytes are held. */
bool dispatch_in_transaction(const struct dispatch *dispatch);
/* Of one event, a part has been handed in and the rest waits: it should not end there. */
bool dispatch_half_done(const struct dispatch *dispatch);
/* Does it wait for the sink to be idle, or to have room? Then dispatch_ready() has to be asked again whenever something was answered. */
bool dispatch_at_barrier(const struct dispatch *dispatch);

struct dispatch_counters {
	uint64_t expired_keys;   /* of the snapshot, past their time: not created */
	uint64_t left_out;       /* keys and commands that the selection leaves out */
	uint64_t conflicts;      /* that could not be transformed and were skipped, as on_conflict says */
	uint64_t rewritten_keys; /* of the snapshot, sent as ordinary commands */
	uint64_t lossy_keys;     /* of these, with something left out */
	uint64_t empty_keys;     /* of the snapshot, collections without elements */
	uint64_t
		unsupported_keys; /* of the snapshot, longer than the target takes; those that it refuses are in the sink's counters */
	uint64_t unsupported_commands;  /* that the target does not know, policy target.unsupported: skip */
	struct adapt_counters commands; /* of the stream */
	struct crossing_counters crossings;
	uint64_t transactions_split; /* of the source, whose keys lie in several slots */
	struct clearing_leftovers leftovers;
};
struct dispatch_counters dispatch_counters(const struct dispatch *dispatch);

#endif
