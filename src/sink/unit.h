/* A unit: what goes to the target and is answered as a whole. One command, a pair (RESTORE and PEXPIREAT), or a source transaction
 * with its MULTI and EXEC.
 *
 * Units are made in the order of the spool and stand in one ring in that order (window.h) until they are done; meanwhile each is in exactly one list:
 *
 *   node.queue   routed, its bytes not all written yet          node.sent   written, replies outstanding
 *   lane.waiting its slot is held: order is kept, it goes out when the cause is over
 *
 * Its bytes stay readable until the unit leaves the ring (in the window's memory, or in the spool, which is not released before), so it can be
 * sent again at any time.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_UNIT_H
#define KEYFERRY_SINK_UNIT_H

#include "base/slice.h"

/* enough for header, value and tail of any single command; transactions with gaps have theirs in the window's memory */
#define UNIT_INLINE_PIECES 3

enum unit_flag {
	UNIT_KEY = 1 << 0,         /* a key of the snapshot: BUSYKEY and nil follow the conflict policy */
	UNIT_TRANSACTION = 1 << 1, /* MULTI ... EXEC of the source */
	UNIT_SCRIPT = 1 << 2,      /* holds a script call: its error may be what the source saw as well */
	UNIT_REPLAY_SAFE = 1 << 3, /* sending it a second time, with what follows it, does no harm */
	UNIT_RESENT = 1 << 4,      /* an earlier sending, of this run or the one before, may have been executed */
	UNIT_ANY_ERROR = 1 << 5,   /* an error reply of the server is no reason to stop (function that is there already) */
	UNIT_COUNTED = 1 << 6,     /* a record for limits and counters */
	UNIT_DONE = 1 << 7,
	UNIT_PLACE =
		1
		<< 9, /* RENAME or RENAMENX of a rewritten key: 0 says that the key exists; resent, "no such key" that it was done */
	UNIT_MODULE = 1 << 10, /* the value is a module's: a target without that module refuses it */
	UNIT_ASKING = 1 << 8,  /* goes out behind ASKING: its slot is being imported by the node */
	UNIT_REFUSED =
		1 << 11, /* its flight was executed, and it was refused for good: it is to be tried again by the next run */
	UNIT_FOUND =
		1
		<< 13, /* of an event whose units are found anew each time it is applied: that one of them is applied says nothing of the others */
	UNIT_UNSURE =
		1 << 15, /* was under way when its connection was lost, and it is not known yet what came of it (outage.h) */
	UNIT_FLIGHT = 1 << 12, /* it is the carrier of a flight (flight.h), and no unit of the window */
	UNIT_OPEN =
		1
		<< 14, /* pieces and replies are added while it is on a node; what there is is written, and nothing of others behind it */
};

struct question; /* question.h */

struct unit {
	struct unit *next;    /* in the list it is in */
	uint64_t start, end;  /* spool positions */
	int64_t offset;       /* replication offset of `start`; -1: in the snapshot. Set and used where the target keeps marks */
	uint32_t sub;         /* which of the units of its event it is, from 0 */
	uint32_t exec_at;     /* in a flight: the member of EXEC's array that its first reply is */
	uint64_t size;        /* bytes of all pieces */
	uint64_t memory_end;  /* the window's memory may be reused up to here once this unit has left */
	struct slice *pieces; /* `inline_pieces`, or an array in the window's memory */
	uint32_t piece_count;
	void *own_memory;          /* of what did not fit into the window's memory; freed when it leaves */
	uint32_t db;               /* database it has to run in */
	uint32_t db_after;         /* database selected on the connection after it */
	uint32_t db_stream;        /* database selected in the source's stream at `end`: kept with the position */
	uint32_t replies;          /* expected, SELECT and ASKING before it not counted */
	uint32_t answered;         /* of these, prefix replies included */
	uint32_t prefix_replies;   /* of SELECT and ASKING as sent this time */
	struct question *question; /* somebody wants to know its replies; NULL: nobody does */
	uint16_t slot;
	uint16_t flags;
	uint16_t command; /* its command_number(); 0 in the snapshot */
	struct slice inline_pieces[UNIT_INLINE_PIECES];
};

struct unit_list {
	struct unit *head, *tail;
};

static inline void unit_list_append(struct unit_list *list, struct unit *unit)
{
	unit->next = NULL;
	if (list->tail)
		list->tail->next = unit;
	else
		list->head = unit;
	list->tail = unit;
}

static inline struct unit *unit_list_take(struct unit_list *list)
{
	struct unit *unit = list->head;

	if (unit) {
		list->head = unit->next;
		if (!list->head)
			list->tail = NULL;
		unit->next = NULL;
	}
	return unit;
}

/* Inserts by position, units of one event by their number; what arrives is nearly always the latest. */
void unit_list_insert(struct unit_list *list, struct unit *unit);

#endif
