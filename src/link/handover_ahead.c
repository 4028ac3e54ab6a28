/* What a link that waits is asked to look for ahead of what it applies, and what is counted. */
#include "link/handover_inside.h"

#include <string.h>

bool handover_question(struct handover *handover, uint32_t link, struct handover_question *ret)
{
	struct member *asked = handover->members[link];
	bool found = false;

	pthread_mutex_lock(&handover->lock);
	for (uint32_t i = 0; i < handover->count && !found; i++) {
		struct member *member = handover->members[i];
		struct fence *fence = &member->fences[link];

		if (i == link || !member->waiting || !fence->known || fence->generation != asked->generation ||
		    asked->applied >= fence->need || fence->covers < member->event.end ||
		    (fence->looked == member->wait_number && fence->looked_at == asked->applied))
			continue;
		found = true;
		fence->looked = member->wait_number;
		fence->looked_at = asked->applied;
		*ret = (struct handover_question){
			.asker = i,
			.number = member->wait_number,
			.slot = member->event.slot,
			.imports = member->event.imports,
			.ends = member->ends,
			.until = fence->need,
			.key_count = member->event.key_count,
		};
		memcpy(ret->keys, member->event.keys, sizeof(ret->keys));
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
		if (found == HANDOVER_NONE)
			member->fences[link].cleared = question->number;
		else if (found == HANDOVER_LATER)
			member->fences[link].looked = 0;
	}
	pthread_mutex_unlock(&handover->lock);
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
