/* Links that wait for each other for good. Fences lie later than what is waited for (handover.h), so among links that are held back there may be some each of which waits for what another one of
 * them has to apply. Such a ring is told from links that are slow by what is known of each wait in it:
 *
 *   - the fence is known, and who is waited for has not reached it; it waits too, so it applies nothing;
 *   - it has looked ahead from where it stands now, and found something that comes before the fence, or cannot receive so far because its spool is full;
 *   - everybody else that one of them waits for stands in the ring as well, or waits for it: nobody is merely behind.
 *
 * That is looked at several times a second, and a ring that has not changed in any of it for so long has nothing that would change it. Time in which nobody looked (a process that was stopped) does
 * not count. */
#include "link/handover_inside.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_US 250000
#define LOOK_MAX_US (2 * LOOK_US) /* what a look counts for at most */

enum wait {
	WAIT_NONE, /* it is behind already, or need not be */
	WAIT_MAY_END,
	WAIT_FOR_GOOD, /* as long as the other one stands where it does */
};

static enum wait wait_for(const struct handover *handover, uint32_t link, uint32_t other)
{
	const struct member *waiter = handover->members[link], *member = handover->members[other];
	const struct handover_event *event = &waiter->event;
	const struct fence *fence = &waiter->fences[other];

	if (member->gone)
		return WAIT_NONE;
	if (!fence->asked || !fence->known || event->end > fence->covers || fence->generation != member->generation ||
	    (event->brought && fence->brought != event->end))
		return WAIT_MAY_END;
	if (has_reached(member, fence->need) || fence->cleared == waiter->wait_number ||
	    handover_goes_first(handover, link, event, other))
		return WAIT_NONE;
	return fence->found == waiter->wait_number && fence->found_at == member->applied ? WAIT_FOR_GOOD : WAIT_MAY_END;
}

/* Those that wait, and whom each of them waits for. */
struct ring {
	uint32_t count;
	uint32_t *links;
	bool *stuck; /* of each: waits for those alone that are stuck */
	bool *waits; /* count x count */
};

/* A snapshot's end does not wait for ever (applier_fence.c). */
static bool is_held(const struct member *member)
{
	return member->waiting && !member->ends && !member->left;
}

static void take_waits(const struct handover *handover, struct ring *ring, uint32_t at)
{
	bool has[HANDOVER_LINKS_MAX];
	uint32_t link = ring->links[at];

	handover_collect_awaited(handover, link, &handover->members[link]->event, has);
	for (uint32_t i = 0; i < ring->count; i++) {
		enum wait wait = has[ring->links[i]] ? wait_for(handover, link, ring->links[i]) : WAIT_NONE;

		has[ring->links[i]] = false;
		ring->waits[at * ring->count + i] = wait == WAIT_FOR_GOOD;
		ring->stuck[at] = ring->stuck[at] && wait != WAIT_MAY_END;
	}
	for (uint32_t other = 0; other < handover->count; other++)
		ring->stuck[at] = ring->stuck[at] && !(has[other] && wait_for(handover, link, other) != WAIT_NONE);
}

/* Stuck is who waits for somebody, and for nobody who is not stuck. True: there are fewer of them now. */
static bool leave_stuck(struct ring *ring)
{
	bool fewer = false;

	for (uint32_t i = 0; i < ring->count; i++) {
		bool waits = false, stuck = ring->stuck[i];

		for (uint32_t j = 0; j < ring->count && stuck; j++) {
			if (!ring->waits[i * ring->count + j])
				continue;
			waits = true;
			stuck = ring->stuck[j];
		}
		stuck = stuck && waits;
		fewer = fewer || stuck != ring->stuck[i];
		ring->stuck[i] = stuck;
	}
	return fewer;
}

/* In the ring is who is waited for there; who only waits for it may come and go. True: there are fewer of them now. */
static bool leave_awaited(struct ring *ring)
{
	bool fewer = false;

	for (uint32_t j = 0; j < ring->count; j++) {
		bool awaited = false;

		for (uint32_t i = 0; i < ring->count && !awaited; i++)
			awaited = ring->stuck[i] && ring->waits[i * ring->count + j];
		fewer = fewer || (ring->stuck[j] && !awaited);
		ring->stuck[j] = ring->stuck[j] && awaited;
	}
	return fewer;
}

static uint64_t mark_of(const struct handover *handover, const struct ring *ring, uint32_t *ret_links)
{
	uint64_t mark = 0;

	*ret_links = 0;
	for (uint32_t i = 0; i < ring->count; i++) {
		const struct member *member;
		int64_t facts[6] = {(int64_t)mark};

		if (!ring->stuck[i])
			continue;
		member = handover->members[ring->links[i]];
		facts[1] = ring->links[i];
		facts[2] = (int64_t)member->wait_number;
		facts[3] = (int64_t)member->generation;
		facts[4] = member->applied;
		facts[5] = member->snapshot;
		mark = handover_hash(facts, sizeof(facts));
		++*ret_links;
	}
	return mark;
}

static uint64_t find(const struct handover *handover, uint32_t *ret_links)
{
	struct ring ring = {0};
	uint64_t mark = 0;

	ring.links = memory_alloc_zero(handover->count, sizeof(ring.links[0]));
	for (uint32_t i = 0; i < handover->count; i++)
		if (is_held(handover->members[i]))
			ring.links[ring.count++] = i;
	*ret_links = 0;
	if (ring.count > 1) {
		ring.stuck = memory_alloc_zero(ring.count, sizeof(ring.stuck[0]));
		ring.waits = memory_alloc_zero((size_t)ring.count * ring.count, sizeof(ring.waits[0]));
		memset(ring.stuck, true, ring.count * sizeof(ring.stuck[0]));
		for (uint32_t i = 0; i < ring.count; i++)
			take_waits(handover, &ring, i);
		while (leave_stuck(&ring))
			continue;
		while (leave_awaited(&ring))
			continue;
		mark = mark_of(handover, &ring, ret_links);
	}
	free(ring.links);
	free(ring.stuck);
	free(ring.waits);
	return mark;
}

static void begin_round(struct handover *handover)
{
	struct ring_watch *watch = &handover->ring;

	handover->rounds++;
	watch->rounds++;
	watch->limit_us = 2 * watch->limit_us < HANDOVER_RING_MAX_US ? 2 * watch->limit_us : HANDOVER_RING_MAX_US;
	watch->mark = watch->stood_us = 0;
	for (uint32_t i = 0; i < handover->count; i++)
		handover->members[i]->ring_generation = handover->members[i]->generation;
}

bool handover_break_ring(struct handover *handover, uint64_t now_us, struct handover_ring *ret)
{
	struct ring_watch *watch = &handover->ring;
	uint64_t since, mark;
	bool due = false;

	pthread_mutex_lock(&handover->lock);
	since = now_us - watch->seen_us;
	if (since >= LOOK_US) {
		if (watch->limit_us == 0)
			watch->limit_us = HANDOVER_RING_US;
		mark = find(handover, &ret->links);
		if (mark == 0 || mark != watch->mark)
			watch->stood_us = 0;
		else
			watch->stood_us += since < LOOK_MAX_US ? since : LOOK_MAX_US;
		watch->mark = mark;
		watch->seen_us = now_us;
		due = mark != 0 && watch->stood_us >= watch->limit_us;
		ret->stood_us = watch->stood_us;
		if (due)
			begin_round(handover);
		ret->rounds = watch->rounds;
	}
	pthread_mutex_unlock(&handover->lock);
	return due;
}

void handover_forget_rings(struct handover *handover)
{
	struct ring_watch *watch = &handover->ring;

	if (watch->rounds == 0 || handover->move_count > 0)
		return;
	for (uint32_t i = 0; i < handover->count; i++) {
		const struct member *member = handover->members[i];

		if (!member->left && (member->generation == member->ring_generation || member->applied < 0 || member->waiting))
			return;
	}
	watch->rounds = 0;
	watch->limit_us = HANDOVER_RING_US;
}
