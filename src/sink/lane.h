/* Lanes: the slots that are held, each with its units in order, until the cause is over.
 *
 *   free --hold--> held (in-flight units of the slot are awaited) --all answered, cause over--> probing (its first unit alone)
 *     ^                 ^---------------- the probe met the cause again ------------------------------' |
 *     '------------------------------------ the probe was answered: the rest follows -------------------'
 *
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_LANE_H
#define KEYFERRY_SINK_LANE_H

#include "net/endpoint.h"
#include "sink/unit.h"
#include "wire/slot.h"

struct lane {
	struct unit_list waiting;
	struct unit *probe; /* sent alone, not answered yet */
	uint64_t held_since_us;
	uint64_t retry_at_us; /* not before */
	uint32_t backoff_ms;  /* 0: the cause needs no waiting (MOVED) */
	bool one_by_one;      /* the slot is migrating: each unit is a probe */
	uint32_t passed;      /* probes in a row that needed no ASKING */
	bool asking;          /* the next probe goes to `ask` behind ASKING */
	struct endpoint ask;
	uint16_t slot;
	uint32_t index; /* in lanes.held */
};

struct lanes {
	struct lane *of_slot[SLOT_COUNT]; /* NULL: free */
	struct lane **held;
	uint32_t held_count;
	uint32_t held_room;
};

void lanes_free(struct lanes *lanes);
static inline struct lane *lanes_find(const struct lanes *lanes, uint16_t slot)
{
	return lanes->of_slot[slot];
}
/* The slot's lane, made if it is free. */
struct lane *lanes_hold(struct lanes *lanes, uint16_t slot);
/* The lane must be empty. */
void lanes_release(struct lanes *lanes, struct lane *lane);
/* Waits before the next probe: at least `first_ms`, doubling up to 2 s. */
void lane_back_off(struct lane *lane, uint32_t first_ms, uint64_t now_us);

#endif
