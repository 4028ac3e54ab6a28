/* Inside the dispatch: its state, and what its two files call of each other. For dispatch.c and dispatch_wait.c alone.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_DISPATCH_STATE_H
#define KEYFERRY_LINK_DISPATCH_STATE_H

#include "link/clearing.h"
#include "link/crossing.h"
#include "link/dispatch.h"
#include "link/leftovers.h"
#include "link/libraries.h"
#include "link/rewriting.h"
#include "link/unsupported.h"
#include "transform/transform.h"

#define DISPATCH_MASTERS_MAX TOPOLOGY_SHARDS_MAX

enum barrier { BARRIER_NONE, BARRIER_BEFORE, BARRIER_AFTER };

struct dispatch {
	struct dispatch_options options;
	struct sink *sink;
	bool own_data;
	uint64_t generation;
	uint32_t db_stream; /* of the event under way */
	bool valkey;
	struct transform *transform;
	struct adapt *adapt;
	const struct command_info *script_load, *function_delete; /* their rows */
	struct libraries *libraries;            /* of the target's masters; NULL: it has no functions, or one master */
	uint64_t map_number;                    /* of the sink, as the libraries know it */
	uint16_t masters[DISPATCH_MASTERS_MAX]; /* a slot of each, for what is sent to all of them in no order */
	uint32_t master_count;                  /* 0: not looked up yet */
	uint64_t masters_number;                /* of the sink's map, when they were */
	/* what an event has become and is not handed in yet, and where it ends */
	struct transform_output pending;
	uint32_t pending_at;
	uint64_t pending_end;
	struct transaction transaction;
	uint64_t transaction_end; /* behind its EXEC */
	/* FLUSHDB or FLUSHALL inside that has to go key by key: begun at EXEC, if by then it is all that there is to do */
	struct event flush;
	struct slice flush_argv[2];
	bool has_flush;
	bool removes; /* the clearing under way is of leftovers */
	struct route_splitter splitter;
	/* an event for all masters waits for what came before it, or is waited for */
	enum barrier barrier;
	struct event barrier_event;
	uint16_t barrier_flags;            /* of its units */
	struct slice library_arguments[4]; /* the command that a library or script of the snapshot becomes */
	/* a command waits until the target has told its keys */
	struct command_table *learned;
	struct learner *learner;
	bool learning, learned_it;
	struct event unknown;
	struct rewriting *rewriting;
	struct crossing *crossing;
	uint64_t crossing_end; /* the position behind the command that it does */
	uint64_t replay_until; /* dispatch_start */
	bool beyond_repair;    /* told; nothing more is handed in */
	uint64_t waits_begun;  /* barriers and crossings so far */
	struct unsupported *unsupported;
	struct clearing *clearing;
	struct leftovers *leftovers;
	struct guard_times times;
	struct dispatch_counters counters;
};

static inline void dispatch_progress(struct dispatch *dispatch, uint64_t position)
{
	sink_progress(dispatch->sink, position, dispatch->db_stream);
}

/* dispatch.c */
/* Does on_conflict let it be skipped? Then that is told and counted. */
bool dispatch_skips(struct dispatch *dispatch, const struct error *error);
/* The same, and then it is passed over. */
bool dispatch_refused(struct dispatch *dispatch, const struct event *event, const struct error *error);
uint16_t dispatch_function_flags(const struct dispatch *dispatch, const struct event *event);
/* Masters that have joined the target are looked after. */
void dispatch_watch_masters(struct dispatch *dispatch);
/* The command that the target was asked about, now that it has answered. */
bool dispatch_unknown(struct dispatch *dispatch, struct error *error);
/* Hands in what is pending, as far as there is room and nothing is waited for. */
enum dispatch_state dispatch_hand_in(struct dispatch *dispatch, struct error *error);

/* dispatch_wait.c */
void dispatch_begin_barrier(struct dispatch *dispatch, const struct event *event, uint16_t flags);
/* `end`: the position behind it. */
bool dispatch_begin_crossing(struct dispatch *dispatch, const struct event *event, uint64_t end, struct error *error);
bool dispatch_end_transaction(struct dispatch *dispatch, uint64_t end, struct error *error);
/* Something that was begun has to be done before anything else is handed in. */
bool dispatch_waits(const struct dispatch *dispatch);

#endif
