/* The floor: the position below which everything is applied and cannot be lost unnoticed; where applying would have to go on if the target came back older.
 *
 * Servers replicate asynchronously, and a master may come back as it was some time ago: a replica that lagged was promoted, or it was started from an old RDB. It is then
 * as it was at one moment of its own history: all that it had executed before that moment is there, marks too, and nothing of what came later. A slot's mark tells what of that
 * slot is there, but not that something is missing: a slot may have had nothing to do for days. So each master is given a *low mark* some times a second, in one of its slots:
 * the low-water position as it was when the low mark was sent. What lies below that position had been answered by then, so it was executed before the low mark. Hence:
 *
 *   found, in whatever state the master is,    all of this link for this master below the low mark is there
 *   lower than it was known to be, or gone     the master has lost something
 *
 * Between two low marks a master may lose something without its low mark going back. So the position that is kept (sink_kept()) is never above a master's low mark, unless nothing
 * was sent there since. To be found lower is what witnesses are for: the low marks that are known to be written, in the state file too.
 * What is then sent again is what the slots' marks do not cover, as after any restart.
 * A standalone target's record, written with every transaction, is its low mark; only while the snapshot is applied it has one of its own.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_FLOOR_H
#define KEYFERRY_SINK_FLOOR_H

#include "sink/marker.h"

/* A position as a low mark says it; and back. UINT64_MAX: the spool has not had it. */
struct mark_low floor_mark(const struct sink *sink, uint64_t position, uint32_t db);
uint64_t floor_position(const struct sink *sink, struct mark_low low);

/* A unit goes to the node. */
void floor_touch(struct sink *sink, struct node *node, const struct unit *unit);
/* The lowest of all nodes. */
struct mark_low floor_lowest(const struct sink *sink);
/* A turn is over: sends low marks where much has been applied since the last ones. */
void floor_turn(struct sink *sink);
/* Sends low marks where they are due; `now`: wherever they would change anything. True: some are under way. */
bool floor_send(struct sink *sink, bool now);
/* A flight with a low mark, or with a standalone target's record, that had gone to the node. `done`: it was executed. */
void floor_answered(struct sink *sink, struct node *node, const struct flight *flight, bool done);
void floor_node_lost(struct sink *sink, struct node *node);

#endif
