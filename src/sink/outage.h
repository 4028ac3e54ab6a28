/* The outages of the target's nodes: what was under way when a connection was lost, how much of that was found applied and how much sent again; told once, when
 * all of it is known and the node is back, or another one has its slots.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_OUTAGE_H
#define KEYFERRY_SINK_OUTAGE_H

#include "base/error.h"
#include "sink/node.h"
#include "wire/slot.h"

struct sink;

struct outage {
	struct outage *next;
	struct endpoint endpoint;
	bool back;     /* the node is ready again */
	bool replaced; /* its slots are another node's: */
	struct endpoint successor;
	uint64_t since_us, end_us;
	uint32_t in_flight;    /* commands, and keys of the snapshot, that were under way */
	uint32_t found, again; /* of these */
	int64_t offset;        /* up to which everything was applied then; -1: in the snapshot */
	char why[320];
};

struct outages {
	struct outage *first;
	struct outage *of_slot[SLOT_COUNT]; /* where units of the slot are unsure; else NULL or one that is over */
};

void outages_free(struct outages *outages);
/* From the sink before. What was unsure there is handed in again. */
void outages_take_over(struct outages *outages, struct outages *before);
bool outage_exists(const struct outages *outages, const struct endpoint *endpoint);
/* The node's connection, which was ready, is lost. */
void outage_begin(struct sink *sink, const struct node *node, const struct error *error);
/* The unit was under way on that node. */
void outage_take(struct sink *sink, const struct endpoint *endpoint, struct unit *unit);
/* What came of it; of an unsure unit, when it is done. */
void outage_resolve(struct sink *sink, struct unit *unit, bool found);
/* The node is ready again. */
void outage_back(struct sink *sink, const struct node *node);
/* All slots of the node are another one's. */
void outage_replaced(struct sink *sink, const struct endpoint *endpoint, const struct endpoint *successor);
/* Tells those that are over; each second. */
void outages_tell(struct sink *sink);

#endif
