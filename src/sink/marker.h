/* The marker: lets commands of the stream to the target in such a way that each is applied once, whatever is lost on the way (mark.h, docs/delivery.md).
 *
 *   unit --> gathering (its slot) --> flight --> node --> answered --> the slot's next flight
 *
 * A flight is what one slot has on its way, and a slot has one at most. It is either a single replay-safe command, sent as it is (on a cluster), or
 *
 *     MULTI; all commands that the slot has waiting, up to a bound; the slot's mark; EXEC
 *
 * so that the mark is true at every moment: it covers a command if and only if that has been executed; but for safe ones, which may have been executed in front of it.
 * While a flight is out, the slot's next commands gather: the higher the load, the larger the flights.
 * One at a time also keeps the order: nothing can overtake a command that the target has refused for the moment.
 *
 * A standalone target, which is one slot, would have nothing to do between a flight's answer and the next flight. So the next one is sent ahead, without its end: MULTI and
 * commands, which the server only keeps. When the flight before is answered, the mark and EXEC follow; was that one refused, DISCARD does.
 *
 * A node is opened (node_open) by its fence (fence.h), which reads the marks of its slots. A slot whose mark is not known (`stale`: at the start, and after the connection
 * to its node was lost) is held in its lane until it has been read; then what it covers is done, and the rest is sent.
 * Units of the snapshot go as they are, many at once: they may be applied twice. Once a slot has a mark, its part of the snapshot is done.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_MARKER_H
#define KEYFERRY_SINK_MARKER_H

#include "net/loop.h"
#include "sink/flight_bound.h"
#include "sink/lane.h"
#include "sink/mark.h"
#include "sink/node.h"

struct sink;
struct fence;

/* As the link is known in the target; all strings outlive the sink. */
struct marker_options {
	const char *task;
	const char *link; /* its id */
	const char *epoch;
	const char *token; /* of this process: differs from run to run */
	uint64_t
		*turn; /* of this process as the link's owner, outlives the sink; 0: it is not yet. NULL: nothing is remembered */
	uint32_t life; /* of this sink: another one for each of the process */
	const char *source;         /* for whoever reads the record: address of the source master */
	const struct mark *refused; /* by the run before (sink_refused()), copied */
	uint32_t refused_count;
	const struct mark_witness
		*witnesses; /* low marks that the target had, copied: where one is lower now, the target has lost something */
	uint32_t witness_count;
};

struct flight {
	struct unit carrier; /* what the node sees; first, so that it can be turned into its flight */
	struct unit_list members;
	uint32_t count;
	uint64_t bytes;           /* of its members */
	uint32_t full_of;         /* units that the bound allowed when it was full; 0: it is not */
	bool record;              /* it brings the link's record */
	bool low;                 /* it brings its node's low mark, and nothing else */
	struct mark_low low_mark; /* that it brings; of a standalone target's record likewise */
	bool discarded;           /* sent ahead and given up: DISCARD stands where EXEC would */
	uint64_t ended_us;        /* when its end was sent */
	struct mark mark;         /* that it brings */
	struct slice *pieces;
	uint32_t piece_room;
	char *text; /* of what is short, and of its last commands */
	size_t text_len;
	struct flight *all, *spare;
};

struct marker {
	struct marker_options options;
	uint32_t slots; /* 1 or SLOT_COUNT */
	uint16_t record_slot;
	char *task_key;
	struct mark *marks; /* as far as known */
	bool *stale;
	bool *low_found;            /* of a stale slot that is known to have had a low mark: it was read, and is no lower */
	struct mark_low *lows;      /* of each slot, as far as it is known to have one */
	uint64_t *plain;            /* end of the last unit that was applied without a mark */
	struct mark_low lost_floor; /* floor of nodes that were lost, as long as slots of theirs are stale */
	char **histories; /* of servers, as fences found them: run id and replication id. Both the same: nothing can have been lost meanwhile */
	uint32_t history_count;
	uint32_t *history; /* of each slot, when its mark was read: from 1; 0: not known */
	bool in_stream;    /* so was the low-water position, when last looked at */
	uint64_t low_due;  /* position at which low marks do not wait for their time */
	struct unit_list *gathering;
	uint16_t *pending; /* ring of slots that have something gathered and may have nothing out */
	bool *is_pending;
	uint32_t pending_head, pending_count;
	char **selects; /* SELECT of each database, made when first needed */
	struct flight *all, *spare;
	uint32_t gathered;         /* standalone: units in gathering[0], */
	uint64_t gathered_bytes;   /* and their bytes */
	struct flight *ahead;      /* standalone: sent without its end */
	struct flight_bound bound; /* standalone: of a flight, by how soon flights are answered */
	uint64_t way_us;           /* cluster: about the shortest time in which a flight was answered lately */
	struct timer *record_timer;
	uint32_t records_out;
	int64_t recorded;           /* record's offset, as last sent */
	bool taken, taking;         /* the record's owner is this process; it is being told so */
	bool kill_denied;           /* told once */
	char owner[MARK_OWNER_MAX]; /* as it stands in the target: "<token>:<turn>" */
	uint32_t serial;            /* of node names */
	struct fence *fences;
	char (*ended)
		[MARK_ID_LEN +
		 1]; /* tokens of the processes whose connections were ended: what of theirs is found as owner came before that */
	uint32_t ended_count;
	struct mark *refused; /* commands below their slot's mark that were refused for good; ascending */
	uint32_t refused_count;
};

struct marker *marker_new(struct sink *sink, const struct marker_options *options);
void marker_free(struct marker *marker);

/* Owners are counted, so that one that the target has forgotten can be told from a successor. Of what is no owner: 0. */
uint64_t marker_turn(struct slice owner);
void marker_take_turn(struct marker *marker, uint64_t turn);
/* A name for a connection, by which a successor finds it (fence.h): another one each time; to be freed. */
char *marker_connection_name(struct sink *sink);
/* The text of the link's record (mark.h); returns its length. */
size_t marker_put_record(const struct sink *sink, struct mark mark, int64_t offset, uint32_t db, char out[MARK_RECORD_MAX]);

/* A command was refused for good and the link stops: when the operator has mended the target, it is the one to go on with, whatever the mark says. */
void marker_refuse(struct sink *sink, struct unit *unit);
/* It is applied after all. */
void marker_accept(struct sink *sink, const struct unit *unit);
/* Is it let through by marks? Units of the snapshot and questions are not: they go as they are. */
static inline bool marker_is_guarded(const struct unit *unit)
{
	return unit->offset >= 0 && !unit->question;
}
/* Of a new unit, when it is handed in. */
void marker_place(struct sink *sink, struct unit *unit);
/* Its slot's mark says that it is applied. */
bool marker_covers(const struct sink *sink, const struct unit *unit);
/* It is done; in no list any more. */
void marker_skip(struct sink *sink, struct unit *unit);
/* A unit of the stream, whose slot is not held. */
void marker_put(struct sink *sink, struct unit *unit);
/* The slot is held from now on: what it has gathered goes to its lane. */
void marker_hold(struct sink *sink, struct lane *lane);
/* The slot's flight was answered, or its lane let go of it. */
void marker_more(struct sink *sink, uint16_t slot);
/* Sends what is gathered, as far as it may. */
void marker_send(struct sink *sink);
/* A flight was answered, and executed; that of a low mark too. */
void marker_executed(struct sink *sink, const struct flight *flight);
/* What a single unit travels as: itself, or a flight. */
struct unit *marker_wrap(struct sink *sink, struct node *node, struct unit *unit);
/* May the lane's slot be tried? Drops what is applied; asks for the mark where it is not known. */
bool marker_lane_ready(struct sink *sink, struct lane *lane, struct node *node);
/* The slot's mark is not known any more. */
static inline void marker_doubt(struct marker *marker, uint16_t slot)
{
	marker->stale[slot] = true;
	marker->low_found[slot] = false;
}
/* The connection is lost, or the node is. */
void marker_node_lost(struct sink *sink, struct node *node);
/* Takes a flight apart that did not happen on the node; its units, in order. */
struct unit_list marker_unwrap(struct sink *sink, struct node *node, struct unit *carrier);
static inline const struct unit *marker_first(const struct unit *unit)
{
	return unit->flags & UNIT_FLIGHT ? ((const struct flight *)unit)->members.head : unit;
}
/* Sends the record if the low-water position has moved since and nothing is in its way. True: one is on its way. */
bool marker_record(struct sink *sink);

/* flight.c: takes units off the front of `list` into a flight, up to so many units and bytes of them, at least one; with an empty list: nothing but the record. */
struct flight *flight_make(struct sink *sink, struct node *node, uint16_t slot, struct unit_list *list, uint32_t units,
			   uint64_t bytes);
/* Nothing but the low mark of the slot's node. */
struct flight *flight_make_low(struct sink *sink, uint16_t slot, struct mark_low low);
/* The same, without its end: it is open until one of these is called. */
struct flight *flight_begin(struct sink *sink, struct node *node, uint16_t slot, struct unit_list *list, uint32_t units,
			    uint64_t bytes);
void flight_end(struct sink *sink, struct flight *flight);
void flight_discard(struct flight *flight);
void flight_done(struct marker *marker, struct flight *flight);

#endif
