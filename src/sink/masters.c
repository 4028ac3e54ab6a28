/* Whose the slots are: the target's masters, by the latest map and what MOVED has told since. */
#include "sink/sink_state.h"
#include "sink/slot_moves.h"

void sink_own(struct sink *sink, uint16_t slot, const struct endpoint *master)
{
	struct node *before = sink->owner_of[slot], *now = sink_node_at(sink, master);

	sink->owner_of[slot] = now;
	if (!before || before == now)
		return;
	slot_moves_note(sink, slot, node_endpoint(before), master);
	/* It may be a replica that was promoted, while its old master still answers. A node that has slots already is no replica of anybody. */
	if (sink->marker && now && !node_ready(now))
		sink->marker->stale[slot] = true;
}

void sink_met(struct sink *sink, uint16_t slot, const struct endpoint *master)
{
	sink_own(sink, slot, master);
	if (sink->owner_of[slot] && !node_ready(sink->owner_of[slot]))
		node_floor(sink->owner_of[slot])->unmapped = true;
}

uint32_t sink_master_slots(const struct sink *sink, uint16_t *out, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < (sink->cluster ? SLOT_COUNT : 1u) && count < max; slot++) {
		bool seen = false;

		for (uint32_t i = 0; i < count && !seen; i++)
			seen = sink->owner_of[out[i]] == sink->owner_of[slot];
		if (!seen && sink->owner_of[slot])
			out[count++] = (uint16_t)slot;
	}
	return count;
}

const struct endpoint *sink_master(const struct sink *sink, uint16_t slot)
{
	return node_endpoint(sink->owner_of[slot]);
}

uint64_t sink_map_number(const struct sink *sink)
{
	return sink->map_number;
}

uint32_t sink_masters(const struct sink *sink, struct endpoint *out, uint32_t max)
{
	uint16_t slots[TOPOLOGY_SHARDS_MAX];
	uint32_t count = sink_master_slots(sink, slots, max < TOPOLOGY_SHARDS_MAX ? max : TOPOLOGY_SHARDS_MAX);

	for (uint32_t i = 0; i < count; i++)
		out[i] = *node_endpoint(sink->owner_of[slots[i]]);
	return count;
}
