#include "api/workers.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
	struct job *next;
	void *what;
	bool slow;
};

struct workers {
	void (*work)(void *job);
	pthread_t threads[WORKERS_COUNT];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **last;
	uint32_t waiting, slow; /* of the latter: under way */
	bool ended;
};

/* The first that may be begun, out of the list; NULL: none. */
static struct job *next_job(struct workers *workers)
{
	for (struct job **at = &workers->first; *at; at = &(*at)->next) {
		struct job *job = *at;

		if (job->slow && workers->slow == WORKERS_SLOW)
			continue;
		*at = job->next;
		if (workers->last == &job->next)
			workers->last = at;
		workers->waiting--;
		workers->slow += job->slow;
		return job;
	}
	return NULL;
}

static void *run(void *owner)
{
	struct workers *workers = owner;
	struct job *job;

	pthread_mutex_lock(&workers->lock);
	while (true) {
		while (!(job = next_job(workers)) && !(workers->ended && !workers->first))
			pthread_cond_wait(&workers->changed, &workers->lock);
		if (!job)
			break;
		pthread_mutex_unlock(&workers->lock);
		workers->work(job->what);
		pthread_mutex_lock(&workers->lock);
		workers->slow -= job->slow;
		/* A slow one may wait for its turn, and the end for the last. */
		pthread_cond_broadcast(&workers->changed);
		free(job);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

struct workers *workers_new(void (*work)(void *job))
{
	struct workers *workers = memory_alloc_zero(1, sizeof(*workers));

	workers->work = work;
	workers->last = &workers->first;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->changed, NULL);
	for (int i = 0; i < WORKERS_COUNT; i++) {
		if (pthread_create(&workers->threads[i], NULL, run, workers) != 0) {
			fprintf(stderr, "keyferry: cannot start a thread\n");
			abort();
		}
	}
	return workers;
}

void workers_end(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->ended = true;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	for (int i = 0; i < WORKERS_COUNT; i++)
		pthread_join(workers->threads[i], NULL);
}

void workers_free(struct workers *workers)
{
	pthread_cond_destroy(&workers->changed);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}

bool workers_take(struct workers *workers, void *what, bool slow)
{
	bool room;

	pthread_mutex_lock(&workers->lock);
	room = workers->waiting < WORKERS_WAITING && !workers->ended;
	if (room) {
		struct job *job = memory_alloc_zero(1, sizeof(*job));

		job->what = what;
		job->slow = slow;
		*workers->last = job;
		workers->last = &job->next;
		workers->waiting++;
		pthread_cond_broadcast(&workers->changed);
	}
	pthread_mutex_unlock(&workers->lock);
	return room;
}
