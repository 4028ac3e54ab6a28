/* What a link knows of slots: which its source has, and what it tells the others of a task (handover.h). */
#include "link/link_inside.h"

#include <string.h>

bool link_owns_slot(void *owner, uint16_t slot)
{
	struct link *link = owner;

	/* What another link has still to do there may need the keys, whatever the map says already. */
	return (atomic_load(&link->slots[slot / 64]) >> (slot % 64) & 1) &&
	       (!link->options.handover || handover_is_done_with(link->options.handover, link->member, slot));
}

/* The heartbeat's slot has gone to another shard: it gets another one. */
static void name_heartbeat(struct link *link, const struct topology *source, uint32_t shard)
{
	uint32_t first = 0;
	bool renames;

	while (first < SLOT_COUNT && source->owner[first] != shard)
		first++;
	if (!link->options.cluster || first == SLOT_COUNT)
		return;
	pthread_mutex_lock(&link->lock);
	renames = source->owner[link->options.slot] != shard;
	if (renames)
		link->options.slot = (uint16_t)first;
	pthread_mutex_unlock(&link->lock);
	if (!renames)
		return;
	atomic_store(&link->rename, true);
	wake_send(link->receiver_wake);
}

void link_take_slots(struct link *link, const struct topology *source, uint32_t shard)
{
	for (uint32_t word = 0; word < SLOT_COUNT / 64; word++) {
		uint64_t bits = 0;

		for (uint32_t bit = 0; bit < 64; bit++)
			bits |= (uint64_t)(source->owner[64 * word + bit] == shard) << bit;
		atomic_store(&link->slots[word], bits);
	}
	name_heartbeat(link, source, shard);
}

static bool source_executed(void *owner, int64_t offset, uint64_t *ret_us, int64_t *ret_to)
{
	const struct link *link = owner;

	return heartbeat_executed(link->heartbeat, spool_origin(link->spool).replid, offset, ret_us, ret_to);
}

static bool source_fence(void *owner, uint64_t us, uint64_t *ret_generation, int64_t *ret_offset)
{
	const struct link *link = owner;
	struct spool_origin origin = spool_origin(link->spool);
	bool same;

	if (!heartbeat_fence(link->heartbeat, origin.replid, us, ret_offset, &same)) {
		heartbeat_ticket(link->heartbeat); /* for its sample; asking again is asking for the same one */
		return false;
	}
	*ret_generation = same ? origin.generation : 0;
	return true;
}

static int64_t source_received(void *owner)
{
	struct spool *spool = ((struct link *)owner)->spool;

	return spool_origin(spool).generation > 0 && spool_snapshot_end(spool) != SPOOL_UNKNOWN
		       ? spool_offset_before(spool, spool_end(spool))
		       : -1;
}

static bool source_ended(void *owner, int64_t *ret_offset)
{
	struct link *link = owner;
	struct spool_origin origin = spool_origin(link->spool);

	return origin.generation > 0 && heartbeat_ended(link->heartbeat, origin.replid, ret_offset);
}

static bool source_owners(void *owner, uint64_t us, const uint64_t *slots, uint64_t *ret_digest, uint64_t *ret_answered_us)
{
	return heartbeat_owners(((struct link *)owner)->heartbeat, us, slots, ret_digest, ret_answered_us);
}

uint32_t link_join(struct link *link)
{
	const struct handover_source source = {source_executed, source_fence, source_received, source_ended, source_owners, link};
	const char *slash = strrchr(link->options.dir, '/');

	return handover_join(link->options.handover, slash ? slash + 1 : link->options.dir, &source);
}

uint32_t link_member(const struct link *link)
{
	return link->member;
}
