/* What a link that waits is asked to look for ahead of what it applies, and what is counted. */
#include "link/handover_inside.h"

#include <string.h>

bool handover_question(struct handover *handover, uint32_t link, struct handover_question *ret)
{
	struct member *asked = handover->members[link];
	bool found = false;

	pthread_mutex_lock(&handover->lock);
	/* In turn: one whose answer has to wait, and is asked for again at once, does not keep the others from theirs. */
	for (uint32_t turn = 1; turn <= handover->count && !found; turn++) {
		uint32_t i = (asked->asker + turn) % handover->count;
		struct member *member = handover->members[i];
		struct fence *fence = &member->fences[link];

		if (i == link || !member->waiting || !fence->known || fence->generation != asked->generation ||
		    has_reached(asked, fence->need) || fence->covers < member->event.end ||
		    (fence->looked == member->wait_number && fence->looked_at == asked->applied))
			continue;
		found = true;
		asked->asker = i;
		fence->looked = member->wait_number;
		fence->looked_at = asked->applied;
		*ret = (struct handover_question){
			.asker = i,
			.number = member->wait_number,
			.slot = member->event.slot,
			.imports = member->event.imports,
			.ends = member->ends || member->event.slots,
			.until = fence->need,
			.key_count = member->event.key_count,
		};
		memcpy(ret->keys, member->event.keys, sizeof(ret->keys));
		if (member->event.slots)
			memcpy(ret->slots, member->event.slots, sizeof(ret->slots));
		for (uint32_t slot = 0; slot < SLOT_COUNT && member->ends; slot++)
			ret->slots[slot / 64] |= (uint64_t)is_awaited(handover, i, (uint16_t)slot) << (slot % 64);
	}
	pthread_mutex_unlock(&handover->lock);
	return found;
}

void handover_answer(struct handover *handover, uint32_t link, const struct handover_question *question,
		     enum handover_found found)
{
	struct member *member = handover->members[question->asker];

	pthread_mutex_lock(&handover->lock);
	if (member->waiting && member->wait_number == question->number) {
		struct fence *fence = &member->fences[link];

		fence->found = found == HANDOVER_SOME || found == HANDOVER_FULL ? question->number : 0;
		fence->found_at = fence->looked_at;
		if (found == HANDOVER_NONE)
			fence->cleared = question->number;
		else if (found == HANDOVER_LATER || found == HANDOVER_FULL)
			fence->looked = 0;
	}
	pthread_mutex_unlock(&handover->lock);
}

uint64_t handover_rounds(const struct handover *handover)
{
	return handover->rounds;
}

struct handover_counters handover_counters(const struct handover *handover, uint32_t link)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&handover->lock; /* no part of what the caller sees as constant */
	struct handover_counters counters;

	pthread_mutex_lock(lock);
	counters = handover->members[link]->counters;
	pthread_mutex_unlock(lock);
	return counters;
}
