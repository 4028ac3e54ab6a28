#include "sink/outage.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sink/sink_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void outages_free(struct outages *outages)
{
	while (outages->first) {
		struct outage *outage = outages->first;

		outages->first = outage->next;
		free(outage);
	}
}

void outages_take_over(struct outages *outages, struct outages *before)
{
	outages->first = before->first;
	before->first = NULL;
	for (struct outage *outage = outages->first; outage; outage = outage->next)
		outage->again = outage->in_flight - outage->found;
}

static struct outage *find(const struct outages *outages, const struct endpoint *endpoint)
{
	for (struct outage *outage = outages->first; outage; outage = outage->next)
		if (endpoint_equal(&outage->endpoint, endpoint))
			return outage;
	return NULL;
}

bool outage_exists(const struct outages *outages, const struct endpoint *endpoint)
{
	return find(outages, endpoint) != NULL;
}

void outage_begin(struct sink *sink, const struct node *node, const struct error *error)
{
	struct outage *outage = find(&sink->outages, node_endpoint(node));

	if (!outage) {
		outage = memory_alloc_zero(1, sizeof(*outage));
		outage->endpoint = *node_endpoint(node);
		outage->since_us = clock_monotonic_us();
		outage->offset = sink_offset_before(sink, sink->window.position);
		snprintf(outage->why, sizeof(outage->why), "%.300s", error->text);
		outage->next = sink->outages.first;
		sink->outages.first = outage;
	}
	outage->back = false; /* lost once more before all was known: it goes on */
}

void outage_take(struct sink *sink, const struct endpoint *endpoint, struct unit *unit)
{
	struct outage *outage = find(&sink->outages, endpoint), *earlier = sink->outages.of_slot[unit->slot];

	/* One that was unsure before stays its first outage's. */
	if ((unit->flags & UNIT_UNSURE) || unit->question || !outage)
		return;
	unit->flags |= UNIT_UNSURE;
	if (!earlier)
		sink->outages.of_slot[unit->slot] = earlier = outage;
	earlier->in_flight++;
}

void outage_resolve(struct sink *sink, struct unit *unit, bool found)
{
	struct outage *outage = sink->outages.of_slot[unit->slot];

	unit->flags &= (uint16_t)~UNIT_UNSURE;
	if (!outage)
		return;
	if (found)
		outage->found++;
	else
		outage->again++;
}

void outage_back(struct sink *sink, const struct node *node)
{
	struct outage *outage = find(&sink->outages, node_endpoint(node));

	if (!outage)
		return;
	outage->back = true;
	outage->end_us = clock_monotonic_us();
}

void outage_replaced(struct sink *sink, const struct endpoint *endpoint, const struct endpoint *successor)
{
	struct outage *outage = find(&sink->outages, endpoint);

	if (!outage)
		return;
	outage->replaced = true;
	outage->successor = *successor;
	outage->end_us = clock_monotonic_us();
}

static void tell(struct sink *sink, const struct outage *outage)
{
	char peer[ENDPOINT_TEXT_MAX], other[ENDPOINT_TEXT_MAX];
	double seconds = (double)(outage->end_us - outage->since_us) / 1e6;
	struct incident incident;

	endpoint_format(&outage->endpoint, peer);
	if (outage->replaced)
		incident = incident_make(INCIDENT_TARGET_FAILOVER, outage->offset,
					 "failover of the target: %s is the master now, in place of %s (%s), after %.1f s",
					 endpoint_format(&outage->successor, other), peer, outage->why, seconds);
	else
		incident = incident_make(INCIDENT_TARGET_RECONNECTED, outage->offset,
					 "target %s: connected again after %.1f s (%s)", peer, seconds, outage->why);
	if (outage->in_flight == 0)
		incident_add_text(&incident, "; nothing was under way");
	else if (sink->marker)
		incident_add_text(&incident,
				  "; of %" PRIu32 " commands under way %" PRIu32 " were found applied and %" PRIu32 " sent again",
				  outage->in_flight, outage->found, outage->again);
	else
		incident_add_text(
			&incident,
			"; %" PRIu32
			" commands were under way and are sent again, so some of them may be applied twice (checkpoint: local)",
			outage->in_flight);
	if (outage->offset >= 0)
		incident_add_text(&incident, "; it goes on behind offset %" PRId64, outage->offset);
	else
		incident_add_text(&incident, "; it goes on in the snapshot");
	incident_add_cost(&incident, "seconds", seconds);
	incident_add_cost(&incident, "in_flight", outage->in_flight);
	incident_add_cost(&incident, "found_applied", outage->found);
	incident_add_cost(&incident, "sent_again", outage->again);
	sink->events->tell(sink->owner, &incident);
}

static void forget(struct outages *outages, struct outage *outage)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (outages->of_slot[slot] == outage)
			outages->of_slot[slot] = NULL;
	free(outage);
}

void outages_tell(struct sink *sink)
{
	struct outage **at = &sink->outages.first, *outage;

	while ((outage = *at)) {
		bool over = outage->back || outage->replaced;
		/* A node that had lost its slots before it went is nobody's matter. */
		bool gone =
			!over && slot_moves_bare(sink, &outage->endpoint) && !slot_moves_pending(sink->moves, &outage->endpoint);

		if ((!over && !gone) || outage->found + outage->again < outage->in_flight) {
			at = &outage->next;
			continue;
		}
		*at = outage->next;
		if (over)
			tell(sink, outage);
		forget(&sink->outages, outage);
	}
}
