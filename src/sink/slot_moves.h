/* Slots that went from one node of the target to another, gathered: told when no more have come for a second, or each ten seconds, and not slot by slot.
 * Where the whole node was replaced, that is a failover.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_SLOT_MOVES_H
#define KEYFERRY_SINK_SLOT_MOVES_H

#include "net/endpoint.h"
#include "peer/topology.h"

struct sink;

struct slot_move {
	struct slot_move *next;
	struct endpoint from, to;
	uint32_t count;
	uint16_t lowest, highest;
	bool failover; /* `to` has `from` as its replica now, or is all of a standalone target */
	uint64_t first_us, last_us;
	int64_t offset; /* up to which everything was applied when it began; -1: in the snapshot */
};

void slot_moves_free(struct slot_move *first);
/* Are some of this node's not told yet? */
bool slot_moves_pending(const struct slot_move *first, const struct endpoint *from);
/* No slot of the target belongs to it any more. */
bool slot_moves_bare(const struct sink *sink, const struct endpoint *endpoint);
/* The slot's owner is to be the node `to` and was `from`. */
void slot_moves_note(struct sink *sink, uint16_t slot, const struct endpoint *from, const struct endpoint *to);
/* A map was read: who has become whose replica? */
void slot_moves_look(struct sink *sink, const struct topology *topology);
/* Tells those that are over; each second. */
void slot_moves_tell(struct sink *sink);

#endif
