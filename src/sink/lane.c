#include "sink/lane.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

#define BACKOFF_MAX_MS 2000

void lanes_free(struct lanes *lanes)
{
	while (lanes->held_count > 0) {
		struct lane *lane = lanes->held[--lanes->held_count];

		lanes->of_slot[lane->slot] = NULL;
		free(lane);
	}
	free(lanes->held);
	lanes->held = NULL;
	lanes->held_room = 0;
}

struct lane *lanes_hold(struct lanes *lanes, uint16_t slot)
{
	struct lane *lane = lanes->of_slot[slot];

	if (lane)
		return lane;
	if (lanes->held_count == lanes->held_room) {
		lanes->held_room = lanes->held_room ? lanes->held_room * 2 : 16;
		lanes->held = memory_realloc_array(lanes->held, lanes->held_room, sizeof(lanes->held[0]));
	}
	lane = memory_alloc_zero(1, sizeof(*lane));
	lane->slot = slot;
	lane->index = lanes->held_count;
	lanes->held[lanes->held_count++] = lane;
	lanes->of_slot[slot] = lane;
	return lane;
}

void lanes_release(struct lanes *lanes, struct lane *lane)
{
	struct lane *last = lanes->held[--lanes->held_count];

	assert(!lane->waiting.head && !lane->probe);
	last->index = lane->index;
	lanes->held[last->index] = last;
	lanes->of_slot[lane->slot] = NULL;
	free(lane);
}

void lane_back_off(struct lane *lane, uint32_t first_ms, uint64_t now_us)
{
	lane->backoff_ms = lane->backoff_ms ? lane->backoff_ms * 2 : first_ms;
	if (lane->backoff_ms > BACKOFF_MAX_MS)
		lane->backoff_ms = BACKOFF_MAX_MS;
	lane->retry_at_us = now_us + (uint64_t)lane->backoff_ms * 1000;
}
