/* Whose the slots are: the target's masters, by the latest map and what MOVED has told since. */
#include "base/clock.h"
#include "sink/sink_state.h"
#include "sink/slot_moves.h"

#include <string.h>

/* So long is a lower epoch taken for an old map; then for a cluster that counts anew (reset, or restored from old files). Longer than an election takes. */
#define OLD_CLAIMS_US 15000000ULL

static void own(struct sink *sink, uint16_t slot, const struct endpoint *master)
{
	struct node *before = sink->owner_of[slot], *now = sink_node_at(sink, master);

	sink->owner_of[slot] = now;
	if (!before || before == now)
		return;
	sink->masters_number++;
	slot_moves_note(sink, slot, node_endpoint(before), master);
	/* It may be a replica that was promoted, while its old master still answers. A node that has slots already is no replica of anybody. */
	if (sink->marker && now && !node_ready(now))
		marker_doubt(sink->marker, slot);
}

/* A failover or a move gives the slot's new owner an epoch above that of all others, so a claim of a lower one is what the slot's past looks like to a
 * node that has not heard the news. */
bool sink_take_map(struct sink *sink, const struct topology *topology)
{
	uint64_t now = clock_monotonic_us();
	bool anew = sink->old_claims_since_us && now - sink->old_claims_since_us > OLD_CLAIMS_US, fresh = true;

	if (!sink->cluster) {
		own(sink, 0, &topology->shards[0].master);
		return true;
	}
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		const struct shard *shard = topology->owner[slot] == SHARD_NONE ? NULL : &topology->shards[topology->owner[slot]];

		/* A slot that this node does not know an owner of keeps the one it had: MOVED or CLUSTERDOWN will tell. */
		if (!shard)
			continue;
		if (!anew && shard->epoch && shard->epoch < sink->owner_epoch[slot]) {
			fresh = false;
			continue;
		}
		sink->owner_epoch[slot] = shard->epoch;
		own(sink, (uint16_t)slot, &shard->master);
	}
	if (fresh)
		sink->old_claims_since_us = 0;
	else if (!sink->old_claims_since_us)
		sink->old_claims_since_us = now;
	return fresh;
}

void sink_take_after(struct sink *sink, struct sink *before)
{
	for (uint32_t slot = 0; slot < (sink->cluster ? SLOT_COUNT : 1u); slot++)
		if (before->owner_of[slot])
			own(sink, (uint16_t)slot, node_endpoint(before->owner_of[slot]));
	sink->masters_number = before->masters_number;
	memcpy(sink->owner_epoch, before->owner_epoch, sizeof(sink->owner_epoch));
	sink->old_claims_since_us = before->old_claims_since_us;
	sink->moves = before->moves;
	before->moves = NULL;
	outages_take_over(&sink->outages, &before->outages);
	refresh_want(sink->refresh); /* one that the sink before had wanted may not have been answered */
}

void sink_met(struct sink *sink, uint16_t slot, const struct endpoint *master)
{
	struct node *before = sink->owner_of[slot];

	own(sink, slot, master);
	/* Of what epoch its claim is the next map tells; above the one before it is in any case. */
	if (sink->owner_of[slot] != before && sink->owner_epoch[slot])
		sink->owner_epoch[slot]++;
	if (sink->owner_of[slot] && !node_ready(sink->owner_of[slot]))
		node_floor(sink->owner_of[slot])->unmapped = true;
}

uint32_t sink_master_slots(const struct sink *sink, uint16_t *out, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < (sink->cluster ? SLOT_COUNT : 1u) && count < max; slot++) {
		bool seen =
			slot > 0 && sink->owner_of[slot] == sink->owner_of[slot - 1]; /* slots of a master mostly lie together */

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

uint64_t sink_masters_number(const struct sink *sink)
{
	return sink->masters_number;
}

uint32_t sink_masters(const struct sink *sink, struct endpoint *out, uint32_t max)
{
	uint16_t slots[TOPOLOGY_SHARDS_MAX];
	uint32_t count = sink_master_slots(sink, slots, max < TOPOLOGY_SHARDS_MAX ? max : TOPOLOGY_SHARDS_MAX);

	for (uint32_t i = 0; i < count; i++)
		out[i] = *node_endpoint(sink->owner_of[slots[i]]);
	return count;
}
