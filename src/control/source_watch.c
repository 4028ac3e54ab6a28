#include "control/source_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 200 /* whether all links are connected */
#define LOST_INTERVAL_US 1000000
#define CALM_INTERVAL_US 10000000
#define CLUSTER_INTERVAL_US 2000000 /* a master that gets its first slot is not followed before */
#define TIMEOUT_MS 3000             /* for a node to answer: another is asked then */

struct source_watch {
	struct source_watch_options options;
	const struct source_watch_events *events;
	void *owner;
	struct deployment *source; /* of its own; NULL: not reached yet */
	struct followers followers;
	struct loop *loop;
	struct timer *timer;
	bool cluster;
	uint64_t read_at_us; /* when the map was read last */
	bool due;
	atomic_bool stop;
	pthread_t thread;
};

/* ---- matching ---- */

static bool has_replica(const struct shard *shard, const struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < shard->replica_count; i++)
		if (endpoint_equal(&shard->replicas[i], endpoint))
			return true;
	return false;
}

static bool has_ended(const struct followers *followers, uint32_t link)
{
	return followers->masters[link].host[0] == '\0';
}

/* The free shard that holds most of the link's slots. */
static uint32_t most_slots(const struct followers *followers, const struct topology *topology, uint32_t link, const bool *taken)
{
	uint32_t *counts = memory_alloc_zero(topology->shard_count, sizeof(*counts));
	uint32_t best = NO_SHARD;

	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (followers->link_of_slot[slot] == link && topology->owner[slot] != SHARD_NONE)
			counts[topology->owner[slot]]++;
	for (uint32_t i = 0; i < topology->shard_count; i++)
		if (!taken[i] && counts[i] > 0 && (best == NO_SHARD || counts[i] > counts[best]))
			best = i;
	free(counts);
	return best;
}

void followers_match(const struct followers *followers, const struct topology *topology, uint32_t *shards)
{
	bool *taken = memory_alloc_zero(topology->shard_count, sizeof(*taken));

	for (uint32_t link = 0; link < followers->count; link++)
		shards[link] = NO_SHARD;
	for (int step = 0; step < 3; step++) {
		for (uint32_t link = 0; link < followers->count; link++) {
			const struct endpoint *master = &followers->masters[link];
			uint32_t found = NO_SHARD;

			if (shards[link] != NO_SHARD || has_ended(followers, link))
				continue;
			for (uint32_t i = 0; i < topology->shard_count && found == NO_SHARD; i++) {
				const struct shard *shard = &topology->shards[i];

				if (!taken[i] && ((step == 0 && endpoint_equal(&shard->master, master)) ||
						  (step == 1 && has_replica(shard, master))))
					found = i;
			}
			if (step == 2)
				found = most_slots(followers, topology, link, taken);
			shards[link] = found;
			if (found != NO_SHARD)
				taken[found] = true;
		}
	}
	free(taken);
}

/* ---- reading ---- */

static bool is_followed(const uint32_t *shards, uint32_t count, uint32_t shard)
{
	for (uint32_t link = 0; link < count; link++)
		if (shards[link] == shard)
			return true;
	return false;
}

/* Links for shards that have none. Returns shards[], with theirs. */
static uint32_t *add_links(struct source_watch *watch, uint32_t *shards)
{
	const struct topology *topology = deployment_topology(watch->source);
	struct followers *followers = &watch->followers;

	for (uint32_t shard = 0; topology->cluster && shard < topology->shard_count; shard++) {
		uint32_t link = followers->count;

		if (is_followed(shards, followers->count, shard) || !watch->events->came(watch->owner, watch->source, shard))
			continue;
		followers->count++;
		followers->masters = memory_realloc_array(followers->masters, followers->count, sizeof(followers->masters[0]));
		followers->masters[link] = topology->shards[shard].master;
		shards = memory_realloc_array(shards, followers->count, sizeof(*shards));
		shards[link] = shard;
	}
	return shards;
}

static void follow(struct source_watch *watch)
{
	const struct topology *topology = deployment_topology(watch->source);
	struct followers *followers = &watch->followers;
	uint32_t *shards = memory_alloc_zero(followers->count, sizeof(*shards));

	followers_match(followers, topology, shards);
	for (uint32_t link = 0; link < followers->count; link++) {
		if (shards[link] != NO_SHARD && watch->events->seen(watch->owner, link, watch->source, shards[link]))
			followers->masters[link] = topology->shards[shards[link]].master;
	}
	shards = add_links(watch, shards);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		for (uint32_t link = 0; link < followers->count; link++)
			if (topology->owner[slot] != SHARD_NONE && shards[link] == topology->owner[slot])
				followers->link_of_slot[slot] = link;
	watch->events->mapped(watch->owner, followers->link_of_slot);
	for (uint32_t link = 0; link < followers->count; link++)
		if (shards[link] == NO_SHARD && !has_ended(followers, link) && watch->events->left(watch->owner, link))
			followers->masters[link] = (struct endpoint){0};
	free(shards);
}

static void read_map(struct source_watch *watch)
{
	const struct source_watch_options *options = &watch->options;
	uint32_t timeout = options->connect_timeout_ms < TIMEOUT_MS ? options->connect_timeout_ms : TIMEOUT_MS;
	struct error error;
	bool ok;

	if (!watch->source) {
		watch->source = deployment_open_until(watch->loop, options->source, options->client_name, timeout, ERROR_SOURCE,
						      &watch->stop, &error);
		ok = watch->source != NULL;
	} else {
		ok = deployment_refresh(watch->source, &error);
	}
	if (ok)
		follow(watch);
	else /* the links tell that they have lost their source, and go on trying */
		log_debug("the source's map cannot be read: %s", error.text);
	watch->read_at_us = clock_monotonic_us();
}

/* ---- the thread ---- */

static void on_timer(void *owner)
{
	struct source_watch *watch = owner;
	uint64_t since = clock_monotonic_us() - watch->read_at_us;

	watch->due = since >= (watch->cluster ? CLUSTER_INTERVAL_US : CALM_INTERVAL_US) ||
		     (since >= LOST_INTERVAL_US && !watch->events->calm(watch->owner));
	if (watch->due)
		loop_stop(watch->loop);
}

static void *watch_main(void *argument)
{
	struct source_watch *watch = argument;

	log_set_label("source");
	while (!atomic_load(&watch->stop)) {
		timer_repeat(watch->timer, LOOK_MS, LOOK_MS);
		loop_run(watch->loop);
		timer_stop(watch->timer);
		if (watch->due && !atomic_load(&watch->stop))
			read_map(watch);
		watch->due = false;
	}
	deployment_free(watch->source);
	watch->source = NULL;
	return NULL;
}

static void watch_free(struct source_watch *watch)
{
	timer_free(watch->timer);
	loop_free(watch->loop);
	free(watch->followers.masters);
	free((char *)watch->options.client_name);
	free(watch);
}

struct source_watch *source_watch_start(const struct source_watch_options *options, const struct source_watch_events *events,
					void *owner, struct error *error)
{
	struct source_watch *watch = memory_alloc_zero(1, sizeof(*watch));
	struct followers *followers = &watch->followers;
	const struct topology *topology = options->topology;
	int failed;

	watch->options = *options;
	watch->options.client_name = memory_strdup(options->client_name);
	watch->options.topology = NULL; /* it is the caller's, and may change */
	watch->events = events;
	watch->owner = owner;
	watch->read_at_us = clock_monotonic_us();
	watch->options.left = NULL;
	watch->cluster = topology->cluster;
	followers->count = topology->shard_count + options->left_count;
	followers->masters = memory_alloc_zero(followers->count, sizeof(followers->masters[0]));
	for (uint32_t i = 0; i < options->left_count; i++)
		followers->masters[topology->shard_count + i] = options->left[i];
	for (uint32_t i = 0; i < topology->shard_count; i++)
		followers->masters[i] = topology->shards[i].master;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		followers->link_of_slot[slot] = topology->owner[slot] == SHARD_NONE ? NO_SHARD : topology->owner[slot];
	watch->loop = loop_new();
	watch->timer = timer_new(watch->loop, on_timer, watch);
	failed = pthread_create(&watch->thread, NULL, watch_main, watch);
	if (!failed)
		return watch;
	error_set_errno(error, ERROR_INTERNAL, failed, "cannot start a thread to watch the source");
	watch_free(watch);
	return NULL;
}

void source_watch_stop(struct source_watch *watch)
{
	if (!watch)
		return;
	/* The loop remembers it, should the thread be reading the map just now. */
	atomic_store(&watch->stop, true);
	loop_stop(watch->loop);
	pthread_join(watch->thread, NULL);
	watch_free(watch);
}
