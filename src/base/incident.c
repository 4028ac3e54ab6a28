#include "base/incident.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum log_level level;
} kinds[INCIDENT_KINDS] = {
	[INCIDENT_RESUMED] = {"resumed", LOG_INFO},
	[INCIDENT_SOURCE_LOST] = {"source_lost", LOG_WARNING},
	[INCIDENT_SOURCE_RECONNECTED] = {"source_reconnected", LOG_WARNING},
	[INCIDENT_SOURCE_FAILOVER] = {"source_failover", LOG_WARNING},
	[INCIDENT_LINK_ADDED] = {"link_added", LOG_INFO},
	[INCIDENT_LINK_ENDED] = {"link_ended", LOG_INFO},
	[INCIDENT_LINKS_DEADLOCKED] = {"links_deadlocked", LOG_WARNING},
	[INCIDENT_SNAPSHOT_BEGUN] = {"snapshot_begun", LOG_INFO},
	[INCIDENT_FULL_RESYNC] = {"full_resync", LOG_WARNING},
	[INCIDENT_SNAPSHOT_APPLIED] = {"snapshot_applied", LOG_INFO},
	[INCIDENT_TARGET_WAITS] = {"target_waits", LOG_WARNING},
	[INCIDENT_TARGET_GOES_ON] = {"target_goes_on", LOG_INFO},
	[INCIDENT_TARGET_RECONNECTED] = {"target_reconnected", LOG_WARNING},
	[INCIDENT_TARGET_FAILOVER] = {"target_failover", LOG_WARNING},
	[INCIDENT_TARGET_SLOTS_MOVED] = {"target_slots_moved", LOG_INFO},
	[INCIDENT_TARGET_ROLLED_BACK] = {"target_rolled_back", LOG_ERROR},
	[INCIDENT_PREDECESSOR_FENCED] = {"predecessor_fenced", LOG_WARNING},
	[INCIDENT_STOOD_DOWN] = {"stood_down", LOG_ERROR},
	[INCIDENT_DISK_FULL] = {"disk_full", LOG_ERROR},
	[INCIDENT_DISK_FREE] = {"disk_free", LOG_INFO},
	[INCIDENT_SPOOL_FULL] = {"spool_full", LOG_WARNING},
	[INCIDENT_SPOOL_FREE] = {"spool_free", LOG_INFO},
	[INCIDENT_FAILED] = {"failed", LOG_ERROR},
	[INCIDENT_VERIFIED] = {"verified", LOG_INFO},
	[INCIDENT_VERIFY_DIFFERENT] = {"verify_different", LOG_WARNING},
	[INCIDENT_VERIFY_FAILED] = {"verify_failed", LOG_WARNING},
};

const char *incident_kind_name(enum incident_kind kind)
{
	return kinds[kind].name;
}

enum log_level incident_kind_level(enum incident_kind kind)
{
	return kinds[kind].level;
}

struct incident incident_make(enum incident_kind kind, int64_t offset, const char *format, ...)
{
	struct incident incident = {.kind = kind, .offset = offset};
	va_list args;

	va_start(args, format);
	vsnprintf(incident.text, sizeof(incident.text), format, args);
	va_end(args);
	return incident;
}

void incident_add_text(struct incident *incident, const char *format, ...)
{
	size_t len = strlen(incident->text);
	va_list args;

	va_start(args, format);
	vsnprintf(incident->text + len, sizeof(incident->text) - len, format, args);
	va_end(args);
}

void incident_add_cost(struct incident *incident, const char *name, double value)
{
	assert(incident->cost_count < INCIDENT_COSTS_MAX);
	incident->costs[incident->cost_count++] = (struct incident_cost){name, value};
}

void incident_log(const struct incident *incident, const char *link)
{
	struct log_field fields[INCIDENT_COSTS_MAX + 2];
	/* Each is a line of its own (docs/events.md); those who tell them gather what belongs together. */
	struct log_line line = {.level = incident_kind_level(incident->kind),
				.link = link,
				.kind = incident_kind_name(incident->kind),
				.fields = fields,
				.unlimited = true};

	if (incident->cause)
		fields[line.field_count++] = (struct log_field){.name = "cause", .text = incident->cause};
	if (incident->offset >= 0)
		fields[line.field_count++] = (struct log_field){.name = "offset", .number = (double)incident->offset};
	for (uint32_t i = 0; i < incident->cost_count; i++)
		fields[line.field_count++] =
			(struct log_field){.name = incident->costs[i].name, .number = incident->costs[i].value};
	log_line_write(&line, "%s", incident->text);
}

/* ---- the list ---- */

struct incidents {
	pthread_mutex_t lock;
	uint32_t most, count, next; /* ring: `next` is written next */
	struct incident *ring;
};

struct incidents *incidents_new(uint32_t most)
{
	struct incidents *incidents = memory_alloc_zero(1, sizeof(*incidents));

	pthread_mutex_init(&incidents->lock, NULL);
	incidents->most = most;
	incidents->ring = memory_alloc_zero(most, sizeof(incidents->ring[0]));
	return incidents;
}

void incidents_free(struct incidents *incidents)
{
	if (!incidents)
		return;
	pthread_mutex_destroy(&incidents->lock);
	free(incidents->ring);
	free(incidents);
}

void incidents_add(struct incidents *incidents, const char *link, const struct incident *incident)
{
	struct incident *place;

	pthread_mutex_lock(&incidents->lock);
	place = &incidents->ring[incidents->next];
	*place = *incident;
	place->at_ms = clock_wall_ms();
	snprintf(place->link, sizeof(place->link), "%s", link);
	incidents->next = (incidents->next + 1) % incidents->most;
	if (incidents->count < incidents->most)
		incidents->count++;
	pthread_mutex_unlock(&incidents->lock);
}

struct incident *incidents_copy(struct incidents *incidents, uint32_t *ret_count)
{
	struct incident *copy;

	pthread_mutex_lock(&incidents->lock);
	copy = memory_alloc_zero(incidents->count ? incidents->count : 1, sizeof(copy[0]));
	for (uint32_t i = 0; i < incidents->count; i++)
		copy[i] = incidents->ring[(incidents->next + incidents->most - incidents->count + i) % incidents->most];
	*ret_count = incidents->count;
	pthread_mutex_unlock(&incidents->lock);
	return copy;
}
