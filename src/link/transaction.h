/* A source transaction being gathered: from MULTI to EXEC, as runs of bytes of the stream, minus what the task does not copy.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_TRANSACTION_H
#define KEYFERRY_LINK_TRANSACTION_H

#include "base/arena.h"
#include "decode/event.h"
#include "route/route.h"
#include "sink/sink.h"

struct transaction {
	bool open;
	uint64_t start;          /* spool position of MULTI */
	uint32_t db;             /* of its first command: selected before it */
	uint32_t db_after;       /* of its last command */
	struct sink_piece *runs; /* bytes to send; neighbours are one run */
	uint32_t run_count, run_room;
	uint32_t replies;  /* MULTI, each command, EXEC */
	uint32_t commands; /* that are copied */
	bool has_slot;
	uint16_t slot;
	bool script;       /* holds a script call */
	struct arena made; /* of bytes that are not the source's */
	bool unsafe;       /* holds a command that is not replay-safe */
};

void transaction_free(struct transaction *transaction);
/* `multi`: the event that it begins with. MULTI and EXEC are ours (SINK_MULTI, SINK_EXEC), whatever the source's looked like. */
void transaction_begin(struct transaction *transaction, const struct event *multi);
/* EXEC; then it is whole. */
void transaction_end(struct transaction *transaction);
/* Bytes that go along. */
void transaction_add(struct transaction *transaction, struct slice bytes);
/* A command that is copied; its arguments are copied too where raw.data is NULL. Where it runs in another database than the one before it, a SELECT goes before
 * it; those of the source do not, for the target may not have these databases, or other numbers for them. On a cluster: false when it does not fit into the transaction's slot; the error says why. */
bool transaction_command(struct transaction *transaction, const struct event *event, bool cluster,
			 struct error *error) WARN_UNUSED;

#endif
