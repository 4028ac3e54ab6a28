/* The source's map, reading after reading: moves come to their end by it, masters are seen to have gone, and links that begin anew follow it. */
#include "link/handover_inside.h"

#include "base/clock.h"

#include <string.h>

/* A master that does not answer any more. */
#define READINGS_TO_GO 10

/* The map says that all of it is the holder's, and has said so before: what the exporter has done with it lies before its offset of now. */
static bool has_settled(struct handover *handover, struct move *move, const uint16_t *owners)
{
	uint32_t owner = handover->owners[move->slot];
	struct member *exporter = handover->members[exporter_of(owner)];
	int64_t need;

	if (owners[move->slot] != holder_of(owner)) {
		move->readings = 0;
		return false;
	}
	if (exporter->gone)
		return true;
	if (++move->readings == READINGS_TO_SETTLE)
		move->since_us = clock_monotonic_us();
	return move->readings >= READINGS_TO_SETTLE && handover_fence_of(exporter, move->since_us, &need) &&
	       has_reached(exporter, need);
}

static bool has_slots(const uint16_t *owners, uint32_t link)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (owners[slot] == link)
			return true;
	return false;
}

/* A master that was taken out of the cluster and shut down. Returns how many have gone just now. */
static uint32_t look_for_gone(struct handover *handover, const uint16_t *owners)
{
	uint64_t now = clock_monotonic_us(), generation;
	uint32_t gone = 0;
	int64_t offset;

	for (uint32_t i = 0; i < handover->count; i++) {
		struct member *member = handover->members[i];
		bool was_gone = member->gone;

		if (member->left)
			continue;
		if (has_slots(owners, i))
			member->empty = 0;
		else if (++member->empty == READINGS_TO_LEAVE)
			member->empty_us = now;
		if (member->empty == 0 || member->source.fence(member->source.owner, member->read_us, &generation, &offset))
			member->silent = 0;
		else
			member->silent++;
		/* What lies in its spool still comes before what others do. */
		member->gone =
			member->silent >= READINGS_TO_GO && member->applied >= member->source.received(member->source.owner);
		gone += member->gone && !was_gone;
		member->read_us = now;
	}
	return gone;
}

/* ---- what the map says before a stream does ---- */

/* Who is not behind what its source had done by then. */
struct laggards {
	uint64_t us;
	uint32_t count;
	uint16_t one;
};

static void find_laggards(const struct handover *handover, uint64_t us, struct laggards *ret)
{
	int64_t need;

	*ret = (struct laggards){.us = us};
	for (uint32_t i = 0; i < handover->count; i++) {
		const struct member *member = handover->members[i];

		if (member->gone || (handover_fence_of(member, us, &need) && has_reached(member, need)))
			continue;
		ret->count++;
		ret->one = (uint16_t)i;
	}
}

/* What the new holder does now comes behind that. */
static void rely_on_all(struct handover *handover, uint64_t us, uint16_t to)
{
	int64_t need;

	for (uint32_t i = 0; i < handover->count; i++) {
		struct member *member = handover->members[i];

		/* Who is in a snapshot has nothing of the slot that could be sent again. */
		if (i == to || member->gone || member->applied < 0 || !handover_fence_of(member, us, &need) ||
		    need <= member->relied)
			continue;
		member->relied = need;
		if (handover->file)
			handover_file_rely(handover->file, member->name, need);
	}
}

/* The map has given the slot to another link than the table, twice in a row. The holder has taken a new snapshot since, so it will not tell of that any more; if all others are behind what
 * their masters had done by then too, nobody has anything to do there before the new one. */
static void follow(struct handover *handover, uint16_t slot, uint16_t to, struct laggards *laggards)
{
	const struct member *holder = handover->members[holder_of(handover->owners[slot])];
	uint64_t us = handover->agreed_us[slot];
	struct error error;
	int64_t need;

	if (holder->snapshot < 0 || !handover_fence_of(holder, us, &need) || holder->snapshot < need)
		return;
	if (laggards->us != us)
		find_laggards(handover, us, laggards);
	if (laggards->count > 1 || (laggards->count == 1 && laggards->one != to))
		return;
	rely_on_all(handover, us, to);
	handover_give_slot(handover, slot, to, HANDOVER_NOBODY);
	handover->done_for[slot] = HANDOVER_NOBODY;
	handover->jobs[slot] = 0;
	handover->agreed_us[slot] = 0;
	/* As where a move ends: not being able to say so costs waits alone. */
	if (handover->file && !handover_file_add(handover->file, slot, handover_name_of(handover, to), NULL, false, &error))
		error_clear(&error);
}

static void follow_map(struct handover *handover, const uint16_t *owners)
{
	uint64_t now = clock_monotonic_us();
	struct laggards laggards = {0};

	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), to = owners[slot];

		if (to == HANDOVER_NOBODY || holder == HANDOVER_NOBODY || holder == to || handover->mapped[slot] != to ||
		    handover->members[to]->left)
			handover->agreed_us[slot] = 0;
		else if (handover->agreed_us[slot] == 0)
			handover->agreed_us[slot] = now;
		else
			follow(handover, (uint16_t)slot, to, &laggards);
	}
}

struct handover_news handover_map(struct handover *handover, const uint16_t *owners)
{
	struct handover_news news = {0};
	struct error error;

	pthread_mutex_lock(&handover->lock);
	follow_map(handover, owners);
	memcpy(handover->mapped, owners, sizeof(handover->mapped));
	handover->readings++;
	news.gone = look_for_gone(handover, owners);
	for (uint32_t i = handover->move_count; i-- > 0;) {
		struct move *move = &handover->moves[i];
		uint16_t slot = move->slot;

		if (!has_settled(handover, move, owners))
			continue;
		if (handover->file && exporter_of(handover->owners[slot]) != HANDOVER_NOBODY)
			handover_file_rely(handover->file, handover_name_of(handover, exporter_of(handover->owners[slot])),
					   handover->members[exporter_of(handover->owners[slot])]->relied);
		handover->owners[slot] = pack(holder_of(handover->owners[slot]), HANDOVER_NOBODY);
		/* Not being able to say so costs waits alone: it is said again when the slot settles after the next start. */
		if (handover->file &&
		    !handover_file_add(handover->file, slot, handover_name_of(handover, holder_of(handover->owners[slot])), NULL,
				       false, &error))
			error_clear(&error);
		handover_end_move(handover, move);
		news.settled++;
	}
	handover_forget_rings(handover);
	pthread_mutex_unlock(&handover->lock);
	return news;
}
