#include "sink/slot_moves.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sink/sink_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_US 1000000ULL
#define LONGEST_US 10000000ULL
#define FAILOVER_SEEN_US 5000000ULL

void slot_moves_free(struct slot_move *first)
{
	while (first) {
		struct slot_move *next = first->next;

		free(first);
		first = next;
	}
}

void slot_moves_note(struct sink *sink, uint16_t slot, const struct endpoint *from, const struct endpoint *to)
{
	struct slot_move *move = sink->moves;

	while (move && !(endpoint_equal(&move->from, from) && endpoint_equal(&move->to, to)))
		move = move->next;
	if (!move) {
		move = memory_alloc_zero(1, sizeof(*move));
		move->from = *from;
		move->to = *to;
		move->lowest = move->highest = slot;
		move->failover = !sink->cluster;
		move->first_us = clock_monotonic_us();
		move->offset = sink_offset_before(sink, sink->window.position);
		move->next = sink->moves;
		sink->moves = move;
	}
	move->count++;
	move->lowest = slot < move->lowest ? slot : move->lowest;
	move->highest = slot > move->highest ? slot : move->highest;
	move->last_us = clock_monotonic_us();
}

void slot_moves_look(struct sink *sink, const struct topology *topology)
{
	for (struct slot_move *move = sink->moves; move; move = move->next) {
		for (uint32_t i = 0; i < topology->shard_count; i++) {
			const struct shard *shard = &topology->shards[i];

			for (uint32_t k = 0; k < shard->replica_count; k++)
				move->failover |= endpoint_equal(&shard->master, &move->to) &&
						  endpoint_equal(&shard->replicas[k], &move->from);
		}
	}
}

bool slot_moves_pending(const struct slot_move *first, const struct endpoint *from)
{
	while (first && !endpoint_equal(&first->from, from))
		first = first->next;
	return first != NULL;
}

bool slot_moves_bare(const struct sink *sink, const struct endpoint *endpoint)
{
	for (uint32_t slot = 0; slot < (sink->cluster ? SLOT_COUNT : 1u); slot++)
		if (sink->owner_of[slot] && endpoint_equal(node_endpoint(sink->owner_of[slot]), endpoint))
			return false;
	return true;
}

static void tell(struct sink *sink, const struct slot_move *move)
{
	double seconds = (double)(move->last_us - move->first_us) / 1e6;
	char from[ENDPOINT_TEXT_MAX], to[ENDPOINT_TEXT_MAX], slots[32];
	struct incident incident;

	if (move->count > 1)
		snprintf(slots, sizeof(slots), "%u to %u", move->lowest, move->highest);
	else
		snprintf(slots, sizeof(slots), "%u", move->lowest);
	endpoint_format(&move->from, from);
	endpoint_format(&move->to, to);
	if (move->failover && slot_moves_bare(sink, &move->from)) {
		incident = incident_make(
			INCIDENT_TARGET_FAILOVER, move->offset,
			"failover of the target: %s is the master now, in place of %s, whose connection was not lost", to, from);
	} else {
		incident =
			incident_make(INCIDENT_TARGET_SLOTS_MOVED, move->offset,
				      "%" PRIu32 " slot%s of the target (%s) moved from %s to %s within %.1f s; the rest went on",
				      move->count, move->count == 1 ? "" : "s", slots, from, to, seconds);
	}
	if (move->offset >= 0)
		incident_add_text(&incident, "; everything up to offset %" PRId64 " was applied before", move->offset);
	incident_add_cost(&incident, "seconds", seconds);
	incident_add_cost(&incident, "slots", move->count);
	sink->events->tell(sink->owner, &incident);
}

void slot_moves_tell(struct sink *sink)
{
	uint64_t now = clock_monotonic_us();
	struct slot_move **at = &sink->moves, *move;

	while ((move = *at)) {
		if (now - move->last_us < QUIET_US && now - move->first_us < LONGEST_US) {
			at = &move->next;
			continue;
		}
		/* Replaced, or emptied by moves? A map that was read at once knows it as a replica too late. */
		if (!move->failover && slot_moves_bare(sink, &move->from) && !outage_exists(&sink->outages, &move->from) &&
		    now - move->last_us < FAILOVER_SEEN_US) {
			refresh_want(sink->refresh);
			at = &move->next;
			continue;
		}
		*at = move->next;
		/* Of a node that was lost the outage tells. */
		if (outage_exists(&sink->outages, &move->from) && slot_moves_bare(sink, &move->from))
			outage_replaced(sink, &move->from, &move->to);
		else
			tell(sink, move);
		free(move);
	}
}
