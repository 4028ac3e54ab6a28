/* What workers tell of themselves for /metrics: asked for when somebody wants to know, over the line that each has anyway, so that a worker that hangs is left with one more request at most. */
#include "base/clock.h"
#include "service/service_state.h"

#define FRESH_US 1000000 /* an answer so new is taken as it is: many who ask cost no more than one */

static void want(struct worker *worker, uint64_t since)
{
	if (worker->pidfd >= 0 && worker->metrics_us < since && !worker->metrics_wanted_us)
		worker->metrics_wanted_us = clock_monotonic_us();
}

/* Who has had its time is not waited for again before it has answered. */
static bool is_awaited(const struct worker *worker, uint64_t since, uint64_t patience_us)
{
	return worker->pidfd >= 0 && worker->metrics_us < since && worker->metrics_wanted_us &&
	       clock_monotonic_us() - worker->metrics_wanted_us < patience_us;
}

static bool all_told(const struct service *service, uint64_t since, uint64_t patience_us)
{
	for (size_t i = 0; i < service->count; i++)
		if (is_awaited(&service->entries[i]->worker, since, patience_us))
			return false;
	return true;
}

static json_t *gather(const struct service *service, uint64_t since)
{
	json_t *told = json_object();

	for (size_t i = 0; i < service->count; i++) {
		const struct entry *entry = service->entries[i];
		const struct worker *worker = &entry->worker;

		if (worker->pidfd >= 0 && worker->metrics_us >= since && worker->metrics)
			json_object_set(told, entry->row.name, worker->metrics);
		else if (worker->pidfd >= 0 || entry->wanted == WANTED_RUNNING)
			json_object_set_new(told, entry->row.name, json_null());
	}
	return told;
}

json_t *service_metrics(struct service *service, uint32_t patience_ms)
{
	uint64_t now = clock_monotonic_us(), since = now > FRESH_US ? now - FRESH_US : 0, patience_us = patience_ms * 1000ULL;
	struct timespec until = service_deadline(patience_ms);
	json_t *told;

	pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->count; i++)
		want(&service->entries[i]->worker, since);
	wake_send(service->wake);
	while (!service_stopping(service) && !all_told(service, since, patience_us))
		if (pthread_cond_timedwait(&service->changed, &service->lock, &until) != 0)
			break;
	told = gather(service, since);
	pthread_mutex_unlock(&service->lock);
	return told;
}

void worker_ask_metrics(struct worker *worker)
{
	if (!worker->metrics_wanted_us || worker->metrics_asked)
		return;
	worker->metrics_asked = true;
	worker_line_ask(worker->line, WORKER_METRICS, json_pack("{s:s}", "do", "metrics"));
}

void worker_take_metrics(struct entry *entry, const json_t *answer)
{
	struct worker *worker = &entry->worker;
	json_t *tree = json_object_get(answer, "metrics");

	json_decref(worker->metrics);
	worker->metrics = json_is_object(tree) ? json_incref(tree) : NULL;
	worker->metrics_us = clock_monotonic_us();
	worker->metrics_wanted_us = 0;
	worker->metrics_asked = false;
	pthread_cond_broadcast(&entry->service->changed);
}
