#include "control/links.h"

#include "base/clock.h"
#include "base/memory.h"
#include "control/rates.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct place {
	struct link *link;
	pthread_mutex_t lock; /* of the rates */
	struct rate commands, bytes;
};

struct links {
	pthread_rwlock_t
		lock; /* held for reading while a link of the set is looked at by other threads, for writing while one is taken out or the limits are changed */
	_Atomic uint32_t count;
	bool limited; /* by other limits than those of the task's options */
	uint64_t records_per_second, bytes_per_second;
	struct place *places[LINK_PLACES_MAX];
};

struct links *links_new(void)
{
	struct links *links = memory_alloc_zero(1, sizeof(*links));

	pthread_rwlock_init(&links->lock, NULL);
	return links;
}

void links_free(struct links *links)
{
	if (!links)
		return;
	for (uint32_t i = 0; i < links->count; i++) {
		link_free(links->places[i]->link);
		pthread_mutex_destroy(&links->places[i]->lock);
		free(links->places[i]);
	}
	pthread_rwlock_destroy(&links->lock);
	free(links);
}

uint32_t links_count(const struct links *links)
{
	return links->count;
}

void links_add(struct links *links, struct link *link)
{
	struct place *place = memory_alloc_zero(1, sizeof(*place));

	pthread_mutex_init(&place->lock, NULL);
	place->link = link;
	pthread_rwlock_wrlock(&links->lock);
	if (links->limited)
		link_limit(link, links->records_per_second, links->bytes_per_second);
	links->places[links->count] = place;
	links->count++;
	pthread_rwlock_unlock(&links->lock);
}

struct link *links_take(struct links *links, uint32_t place)
{
	struct link *link;

	pthread_rwlock_wrlock(&links->lock);
	link = links->places[place]->link;
	links->places[place]->link = NULL;
	pthread_rwlock_unlock(&links->lock);
	return link;
}

struct link *links_at(const struct links *links, uint32_t place)
{
	return links->places[place]->link;
}

bool links_status(struct links *links, uint32_t place, struct link_status *ret)
{
	struct place *at = links->places[place];
	bool there;

	pthread_rwlock_rdlock(&links->lock);
	there = at->link != NULL;
	if (there) {
		link_status(at->link, ret);
		pthread_mutex_lock(&at->lock);
		ret->commands_per_second = rate_per_second(&at->commands);
		ret->bytes_per_second = rate_per_second(&at->bytes);
		pthread_mutex_unlock(&at->lock);
	}
	pthread_rwlock_unlock(&links->lock);
	return there;
}

void links_limit(struct links *links, uint64_t records_per_second, uint64_t bytes_per_second)
{
	pthread_rwlock_wrlock(&links->lock);
	links->limited = true;
	links->records_per_second = records_per_second;
	links->bytes_per_second = bytes_per_second;
	for (uint32_t i = 0; i < links->count; i++)
		if (links->places[i]->link)
			link_limit(links->places[i]->link, records_per_second, bytes_per_second);
	pthread_rwlock_unlock(&links->lock);
}

void links_sample(struct links *links)
{
	uint64_t now = clock_monotonic_us();
	uint32_t count = links->count;

	for (uint32_t i = 0; i < count; i++) {
		struct place *place = links->places[i];
		struct link_status status;

		if (!links_status(links, i, &status))
			continue;
		pthread_mutex_lock(&place->lock);
		rate_sample(&place->commands, status.applier.sink.keys + status.applier.sink.commands, now);
		rate_sample(&place->bytes, status.applier.bytes_done, now);
		pthread_mutex_unlock(&place->lock);
	}
}
