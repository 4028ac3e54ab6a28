/* A source transaction being gathered, from MULTI to EXEC, minus what the task does not copy, and then its parts.
 *
 *   MULTI, commands, EXEC --> part, part, ... : a part is one MULTI and EXEC with the commands of one slot, in their order
 *
 * At a standalone target, and at a cluster when all keys lie in one slot, there is one part: the transaction as it is. No cluster has transactions over several
 * slots, so there every slot gets its own, and commands that are made of one key each (MSET, DEL) are split among them. A command that itself
 * needs several slots, or all masters, is a part of its own ("whole"): what stands before it comes before, what stands behind it after.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_TRANSACTION_H
#define KEYFERRY_LINK_TRANSACTION_H

#include "base/arena.h"
#include "decode/event.h"
#include "route/route.h"
#include "sink/sink.h"

/* Bytes of commands of one slot that stand side by side. */
struct transaction_run {
	struct slice bytes;
	uint32_t commands;
	uint32_t db; /* they run in */
	uint16_t slot;
	bool made;                 /* not the source's bytes: they lie in `made` below */
	bool script;               /* holds a script call */
	bool unsafe;               /* holds a command that is not replay-safe */
	const struct event *whole; /* instead of bytes */
};

struct transaction {
	bool open;      /* between MULTI and EXEC */
	uint64_t start; /* spool position of MULTI */
	uint32_t db;    /* of its first command: selected before it */
	struct transaction_run *runs;
	uint32_t run_count, run_room;
	uint32_t commands; /* that are copied */
	uint16_t slot;     /* of the last command that has one */
	struct arena made; /* of what is not the source's bytes */
	struct route_splitter splitter;
	/* the parts: of the runs between two whole commands, ordered by slot */
	bool handing_out; /* transaction_close() was called, and transaction_next() has more */
	uint32_t parts_given;
	uint32_t next_run;
	uint64_t *order; /* slot and index of each run */
	uint32_t order_room, order_count, order_at;
	struct sink_piece *pieces;
	uint32_t piece_room;
};

void transaction_free(struct transaction *transaction);
/* What is under way is given up. */
void transaction_forget(struct transaction *transaction);
/* `multi`: the event that it begins with. MULTI and EXEC are ours (SINK_MULTI, SINK_EXEC), whatever the source's looked like. */
void transaction_begin(struct transaction *transaction, const struct event *multi);
/* A command that is copied; its arguments are copied too where raw.data is NULL. SELECTs of the source are not handed in: where a command runs in another
 * database than the one before it, a part holds a SELECT of its own, for the target may not have these databases, or other numbers for them.
 * On a cluster: false for what cannot be done there; ERROR_CONFLICT. */
bool transaction_command(struct transaction *transaction, const struct event *event, bool cluster,
			 struct error *error) WARN_UNUSED;
/* EXEC has come. */
void transaction_close(struct transaction *transaction);

struct transaction_part {
	const struct event *whole; /* a command for itself, its position that of MULTI; NULL: the rest counts */
	bool last;
	uint16_t slot;
	uint32_t db, db_after; /* selected before it, by the last SELECT inside */
	const struct sink_piece *
		pieces; /* from SINK_MULTI to SINK_EXEC; valid until the next call, the bytes until the next transaction begins */
	uint32_t piece_count, replies;
	uint16_t flags; /* unit flags */
};
/* The next part in the order in which they are to be applied; those between two whole ones concern different slots. False: there are no more. */
bool transaction_next(struct transaction *transaction, struct transaction_part *ret);

#endif
