/* A link asks whether it may go on with what it has met: whose turn it is, what has to be applied before, and how it becomes the holder. */
#include "link/handover_inside.h"

#include "base/clock.h"

#include <string.h>

/* Keys of one slot, 16 bytes each; those beyond are fenced each time. */
#define KEYS_MAX (8u << 20)

/* Does the event belong to what the holder has been doing all along? */
static bool continues(const struct handover *handover, uint32_t link, const struct handover_event *event)
{
	uint32_t owner = handover->owners[event->slot];

	return holder_of(owner) == link && !event->slots && !(event->imports && exporter_of(owner) == HANDOVER_NOBODY);
}

static bool is_of(const struct handover_event *event, uint16_t slot)
{
	return event->slots ? event->slots[slot / 64] >> (slot % 64) & 1 : event->slot == slot;
}

/* The first slot that both events are of; SLOT_COUNT: there is none. */
static uint32_t common_slot(const struct handover_event *a, const struct handover_event *b)
{
	if (!a->slots)
		return is_of(b, a->slot) ? a->slot : SLOT_COUNT;
	if (!b->slots)
		return is_of(a, b->slot) ? b->slot : SLOT_COUNT;
	for (uint32_t word = 0; word < SLOT_COUNT / 64; word++)
		if (a->slots[word] & b->slots[word])
			return 64 * word + (uint32_t)__builtin_ctzll(a->slots[word] & b->slots[word]);
	return SLOT_COUNT;
}

/* `other` waits too, with an event of the same slot, and all before that is applied: whose turn is it? Not ours, if our event was received by the source's master after
 * the other's fence. Else what the holder goes on with comes before what takes the slot from it; and if the holder itself takes it back, somebody else has had it first. */
bool handover_goes_first(const struct handover *handover, uint32_t link, const struct handover_event *event, uint32_t other)
{
	const struct member *member = handover->members[other];
	const struct fence *fence = &member->fences[link];
	uint32_t slot;

	if (!member->waiting || member->ends || handover->members[link]->ends || member->applied < member->event.start)
		return false;
	slot = common_slot(event, &member->event);
	/* Of two that have the slots brought, the fences may not be known: neither source says that they are the other's. */
	if (slot == SLOT_COUNT || (fence->known ? event->end > fence->need : !event->slots || !member->event.slots))
		return false;
	/* It goes on by itself: the slot has been taken from it since, and what it waits with is older. */
	if (handover_is_free(handover, other, (uint16_t)slot, member->event.imports))
		return false;
	if (continues(handover, link, event))
		return true;
	if (continues(handover, other, &member->event))
		return false;
	return holder_of(handover->owners[slot]) != link && (holder_of(handover->owners[slot]) == other || link < other);
}

/* What was brought is the former owner's no more when that one's master says so itself, as the waiter's does. Until then it may have something to delete. */
static bool agree(struct member *waiter, struct member *member, const struct handover_event *event, struct fence *fence)
{
	uint64_t digest, answered_us;

	if (!fence->own_us && waiter->source.owners &&
	    !waiter->source.owners(waiter->source.owner, fence->since_us, event->slots, &fence->own_digest, &fence->own_us))
		return false;
	if (waiter->source.owners && member->source.owners) {
		if (!member->source.owners(member->source.owner, fence->own_us, event->slots, &digest, &answered_us))
			return false;
		if (digest != fence->own_digest) {
			fence->own_us = 0;
			fence->since_us = clock_monotonic_us();
			return false;
		}
		fence->since_us = answered_us;
	}
	fence->agreed = true;
	return true;
}

/* Has `other` applied what the event has to come behind? */
static bool is_behind(struct handover *handover, uint32_t link, const struct handover_event *event, uint32_t other)
{
	struct member *waiter = handover->members[link], *member = handover->members[other];
	struct fence *fence = &waiter->fences[other];

	if (member->gone)
		return true;
	if (!fence->asked || event->end > fence->covers || fence->generation != member->generation ||
	    (event->brought && fence->brought != event->end)) {
		*fence = (struct fence){.asked = true,
					.generation = member->generation,
					.looked_at = -1,
					.brought = event->brought ? event->end : 0};
		if (waiter->ends) {
			fence->covers = event->end;
			fence->since_us = waiter->read_us;
		} else if (event->brought ||
			   !waiter->source.executed(waiter->source.owner, event->end, &fence->since_us, &fence->covers)) {
			fence->covers = event->received;
			fence->since_us = clock_monotonic_us();
		}
	}
	if (!fence->known && (!event->brought || fence->agreed || agree(waiter, member, event, fence)))
		fence->known = handover_fence_of(member, fence->since_us, &fence->need);
	if (!fence->known)
		return event->slots && handover_goes_first(handover, link, event, other);
	if (member->applied < fence->need && member->wanted < fence->need)
		member->wanted = fence->need;
	return has_reached(member, fence->need) || (waiter->waiting && fence->cleared == waiter->wait_number) ||
	       handover_goes_first(handover, link, event, other);
}

/* The exporter has done with a key before the holder begins with it, for good: until it imports it again, and so is the holder. */
static bool is_begun(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	const struct move *move = handover_find_move(handover, event->slot);

	if (!move || event->imports || event->key_count == 0 || holder_of(handover->owners[event->slot]) != link)
		return false;
	for (uint32_t i = 0; i < event->key_count; i++)
		if (!hash_set_has(&move->keys, event->keys[i]))
			return false;
	return true;
}

static void begin_keys(struct handover *handover, const struct handover_event *event)
{
	struct move *move = handover_find_move(handover, event->slot);

	for (uint32_t i = 0; move && i < event->key_count; i++)
		hash_set_add(&move->keys, event->keys[i], KEYS_MAX);
}

/* Who has, or had, one of the event's slots; all, where it is not known who had it in between. */
void handover_collect_awaited(const struct handover *handover, uint32_t link, const struct handover_event *event,
			      bool has[HANDOVER_LINKS_MAX])
{
	uint32_t first = event->slots ? 0 : event->slot, last = event->slots ? SLOT_COUNT - 1 : event->slot;
	bool all = false;

	memset(has, 0, handover->count * sizeof(has[0]));
	for (uint32_t slot = first; slot <= last; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), exporter = exporter_of(handover->owners[slot]);

		if (!is_of(event, (uint16_t)slot))
			continue;
		all = all || (holder == link && exporter == HANDOVER_NOBODY);
		if (holder != HANDOVER_NOBODY)
			has[holder] = true;
		if (exporter != HANDOVER_NOBODY)
			has[exporter] = true;
	}
	if (all)
		memset(has, true, handover->count * sizeof(has[0]));
	has[link] = false;
}

static bool may_go(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	bool has[HANDOVER_LINKS_MAX], ok = true;

	handover_collect_awaited(handover, link, event, has);
	/* All are asked at once, so that no answer waits for another. */
	for (uint32_t other = 0; other < handover->count; other++)
		ok = (!has[other] || is_behind(handover, link, event, other)) && ok;
	return ok;
}

/* The event goes on behind the fences that it has asked for. */
static void rely(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	for (uint32_t other = 0; other < handover->count; other++) {
		const struct fence *fence = &handover->members[link]->fences[other];
		struct member *member = handover->members[other];

		if (other != link && fence->known && event->end <= fence->covers && fence->generation == member->generation &&
		    fence->need > member->relied)
			member->relied = fence->need;
	}
}

/* `sync`: it is on the disk when this returns, and what was taken before it. */
static bool take(struct handover *handover, uint32_t link, uint16_t slot, bool sync, uint16_t *ret_from, struct error *error)
{
	uint16_t from = holder_of(handover->owners[slot]);

	if (from == link)
		return true;
	if (handover->file && from != HANDOVER_NOBODY)
		handover_file_rely(handover->file, handover_name_of(handover, from), handover->members[from]->relied);
	if (handover->file && !handover_file_add(handover->file, slot, handover->members[link]->name,
						 handover_name_of(handover, from), sync, error))
		return false;
	handover->owners[slot] = pack((uint16_t)link, from);
	handover->done_for[slot] = HANDOVER_NOBODY;
	if (from != HANDOVER_NOBODY)
		handover_add_move(handover, slot);
	handover->members[link]->counters.slots++;
	*ret_from = from;
	return true;
}

static bool take_all(struct handover *handover, uint32_t link, const struct handover_event *event, uint16_t *ret_from,
		     struct error *error)
{
	uint32_t last = SLOT_COUNT;

	if (!event->slots)
		return take(handover, link, event->slot, true, ret_from, error);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (is_of(event, (uint16_t)slot) && holder_of(handover->owners[slot]) != link)
			last = slot;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		if (!is_of(event, (uint16_t)slot))
			continue;
		if (handover->file)
			handover_file_job(handover->file, (uint16_t)slot, event->job);
		if (!take(handover, link, (uint16_t)slot, slot == last, ret_from, error))
			return false;
		handover->jobs[slot] = event->job;
	}
	return true;
}

/* This very job has brought the slots to it in an earlier run: who was to be waited for then has been, and may wait for this one now. */
static bool is_repeated(const struct handover *handover, uint32_t link, const struct handover_event *event)
{
	for (uint32_t slot = 0; event->slots && slot < SLOT_COUNT; slot++)
		if (is_of(event, (uint16_t)slot) &&
		    (holder_of(handover->owners[slot]) != link || handover->jobs[slot] != event->job))
			return false;
	return event->slots;
}

static void start_waiting(struct handover *handover, struct member *member, const struct handover_event *event)
{
	member->waiting = true;
	member->event = *event;
	member->wait_number = ++handover->waits;
	member->waiting_since_us = clock_monotonic_us();
	member->counters.waits++;
}

enum handover_answer handover_ask(struct handover *handover, uint32_t link, const struct handover_event *event,
				  uint16_t *ret_from, struct error *error)
{
	struct member *member = handover->members[link];
	enum handover_answer answer = HANDOVER_WAIT;

	*ret_from = HANDOVER_NOBODY;
	pthread_mutex_lock(&handover->lock);
	if (member->left) {
		answer = HANDOVER_WAIT; /* until it is stopped */
	} else if (handover_is_free(handover, link, event->slot, event->imports) || is_begun(handover, link, event) ||
		   is_repeated(handover, link, event)) {
		answer = HANDOVER_GO;
	} else if (may_go(handover, link, event)) {
		rely(handover, link, event);
		answer = take_all(handover, link, event, ret_from, error) ? HANDOVER_GO : HANDOVER_FAILED;
		if (answer == HANDOVER_GO)
			begin_keys(handover, event);
	} else if (!member->waiting) {
		start_waiting(handover, member, event);
	}
	if (answer == HANDOVER_GO)
		handover_stop_waiting(member);
	pthread_mutex_unlock(&handover->lock);
	return answer;
}

/* Are all behind the offsets that they had when the map was read? */
static bool may_end(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	bool has[HANDOVER_LINKS_MAX] = {false}, ok = true;

	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), exporter = exporter_of(handover->owners[slot]);

		if (!is_awaited(handover, link, (uint16_t)slot))
			continue;
		if (holder != HANDOVER_NOBODY)
			has[holder] = true;
		if (exporter != HANDOVER_NOBODY)
			has[exporter] = true;
	}
	/* All are asked at once, so that no answer waits for another. */
	for (uint32_t other = 0; other < handover->count; other++)
		ok = (!has[other] || other == link || is_behind(handover, link, event, other)) && ok;
	return ok;
}

enum handover_answer handover_ask_end(struct handover *handover, uint32_t link, int64_t offset)
{
	const struct handover_event event = {.start = offset, .end = offset, .received = offset};
	struct member *member = handover->members[link];
	enum handover_answer answer = HANDOVER_WAIT;

	pthread_mutex_lock(&handover->lock);
	if (handover->readings >= member->map_due) {
		if (!member->ends || member->end_reading != handover->readings) {
			/* Those of the snapshot's keys, or of an earlier reading, may be from before the slots moved. */
			memset(member->fences, 0, HANDOVER_LINKS_MAX * sizeof(member->fences[0]));
			handover_stop_waiting(member);
			start_waiting(handover, member, &event);
			member->ends = true;
			member->end_reading = handover->readings;
		}
		if (may_end(handover, link, &event)) {
			answer = HANDOVER_GO;
			rely(handover, link, &event);
			for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
				if (handover->mapped[slot] == link)
					handover->done_for[slot] = (uint16_t)link;
			handover_stop_waiting(member);
		}
	}
	pthread_mutex_unlock(&handover->lock);
	return answer;
}

void handover_forget(struct handover *handover, uint32_t link)
{
	pthread_mutex_lock(&handover->lock);
	handover_stop_waiting(handover->members[link]);
	pthread_mutex_unlock(&handover->lock);
}
