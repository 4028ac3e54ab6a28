#include "sink/marker.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sink/fence.h"
#include "sink/floor.h"
#include "sink/sink_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* On a cluster, as many safe units in a row are worth being sent one by one; with more the slot is a busy one, and a flight of all is cheaper.
 * Where answers take long it is the round trips that count: one alone, and no more. */
#define LONE_MAX 4
#define LONE_MAX_FAR 2

#define RECORD_MS 100 /* how often the record is brought up to date, at least */

/* Whoever compares both sides (verify/) learns from the record how far the target is; what the source goes on writing to can be compared only if it is fresh. */
static void on_record_timer(void *owner)
{
	sink_settle(owner);
}

struct marker *marker_new(struct sink *sink, const struct marker_options *options)
{
	struct marker *marker = memory_alloc_zero(1, sizeof(*marker));

	marker->options = *options;
	marker->slots = sink->cluster ? SLOT_COUNT : 1;
	marker->task_key = memory_printf(MARK_TASK_PREFIX "%s", options->task);
	marker->record_slot = sink->cluster ? slot_of_key(slice_of_string(marker->task_key)) : 0;
	marker->marks = memory_alloc_zero(marker->slots, sizeof(marker->marks[0]));
	marker->stale = memory_alloc_zero(marker->slots, sizeof(marker->stale[0]));
	marker->low_found = memory_alloc_zero(marker->slots, sizeof(marker->low_found[0]));
	marker->gathering = memory_alloc_zero(marker->slots, sizeof(marker->gathering[0]));
	marker->pending = memory_alloc_zero(marker->slots, sizeof(marker->pending[0]));
	marker->is_pending = memory_alloc_zero(marker->slots, sizeof(marker->is_pending[0]));
	for (uint32_t i = 0; i < marker->slots; i++) {
		marker->marks[i] = MARK_NONE;
		marker->stale[i] = true;
	}
	marker->recorded = -1;
	marker->record_timer = timer_new(sink->options.loop, on_record_timer, sink);
	timer_repeat(marker->record_timer, RECORD_MS, RECORD_MS);
	if (options->turn && *options->turn > 0)
		marker_take_turn(marker, *options->turn);
	marker->lows = memory_alloc_zero(marker->slots, sizeof(marker->lows[0]));
	marker->history = memory_alloc_zero(marker->slots, sizeof(marker->history[0]));
	marker->plain = memory_alloc_zero(marker->slots, sizeof(marker->plain[0]));
	for (uint32_t i = 0; i < options->witness_count; i++)
		if (options->witnesses[i].slot < marker->slots)
			marker->lows[options->witnesses[i].slot] = options->witnesses[i].low;
	marker->options.witnesses = NULL;
	flight_bound_init(&marker->bound, sink->options.in_flight_commands, sink->options.in_flight_bytes);
	if (options->refused_count > 0) {
		marker->refused = memory_alloc_zero(options->refused_count, sizeof(marker->refused[0]));
		memcpy(marker->refused, options->refused, options->refused_count * sizeof(marker->refused[0]));
		marker->refused_count = options->refused_count;
	}
	return marker;
}

void marker_free(struct marker *marker)
{
	if (!marker)
		return;
	while (marker->fences)
		fence_free(marker->fences);
	while (marker->all) {
		struct flight *flight = marker->all;

		marker->all = flight->all;
		free(flight->pieces);
		free(flight->text);
		free(flight);
	}
	for (uint32_t i = 0; marker->selects && i < DATABASES_MAX; i++)
		free(marker->selects[i]);
	timer_free(marker->record_timer);
	free(marker->ended);
	free(marker->selects);
	free(marker->refused);
	free(marker->task_key);
	free(marker->marks);
	free(marker->stale);
	free(marker->low_found);
	free(marker->lows);
	free(marker->plain);
	for (uint32_t i = 0; i < marker->history_count; i++)
		free(marker->histories[i]);
	free(marker->histories);
	free(marker->history);
	free(marker->gathering);
	free(marker->pending);
	free(marker->is_pending);
	free(marker);
}

uint64_t marker_turn(struct slice owner)
{
	const uint8_t *colon = owner.len ? memchr(owner.data, ':', owner.len) : NULL;
	uint64_t turn;

	return colon && slice_to_uint64(slice_make(colon + 1, (size_t)(owner.data + owner.len - colon - 1)), &turn) &&
			       turn < UINT64_MAX
		       ? turn
		       : 0;
}

void marker_take_turn(struct marker *marker, uint64_t turn)
{
	marker->taken = true;
	if (marker->options.turn)
		*marker->options.turn = turn;
	snprintf(marker->owner, sizeof(marker->owner), "%s:%llu", marker->options.token, (unsigned long long)turn);
}

char *marker_connection_name(struct sink *sink)
{
	const struct marker_options *options = &sink->marker->options;

	return memory_printf("%s:%s:%s:%u-%u", sink->options.name, options->link, options->token, options->life,
			     ++sink->marker->serial);
}

static bool is_refused(const struct marker *marker, const struct unit *unit, uint32_t *at)
{
	for (uint32_t i = 0; i < marker->refused_count; i++) {
		if (marker->refused[i].offset == unit->offset && marker->refused[i].sub == unit->sub) {
			*at = i;
			return true;
		}
	}
	return false;
}

void marker_refuse(struct sink *sink, struct unit *unit)
{
	struct marker *marker = sink->marker;
	uint32_t at;

	unit->flags |= UNIT_REFUSED;
	if (is_refused(marker, unit, &at))
		return;
	marker->refused = memory_realloc_array(marker->refused, marker->refused_count + 1, sizeof(marker->refused[0]));
	marker->refused[marker->refused_count++] = (struct mark){unit->offset, unit->sub};
}

void marker_accept(struct sink *sink, const struct unit *unit)
{
	struct marker *marker = sink->marker;
	uint32_t at;

	if (marker->refused_count > 0 && is_refused(marker, unit, &at))
		memmove(marker->refused + at, marker->refused + at + 1,
			(--marker->refused_count - at) * sizeof(marker->refused[0]));
}

void marker_place(struct sink *sink, struct unit *unit)
{
	struct spool *spool = sink->options.spool;
	uint32_t at;

	unit->offset = spool ? spool_offset_of(spool, unit->start) : unit->flags & UNIT_KEY ? -1 : (int64_t)unit->start;
	unit->sub = sink_number(sink, unit->start);
	if (!unit->question)
		sink_set_number(sink, unit->start, unit->sub + 1);
	/* Its refusal was no effect of being applied again. */
	if (sink->marker->refused_count > 0 && is_refused(sink->marker, unit, &at))
		unit->flags &= (uint16_t)~UNIT_RESENT;
}

bool marker_covers(const struct sink *sink, const struct unit *unit)
{
	uint32_t at;

	if (unit->question)
		return false;
	if ((unit->flags & UNIT_FOUND) && sink->marker->marks[unit->slot].offset == unit->offset)
		return false;
	return mark_covers(sink->marker->marks[unit->slot], unit->offset, unit->sub) &&
	       !(sink->marker->refused_count > 0 && is_refused(sink->marker, unit, &at));
}

void marker_skip(struct sink *sink, struct unit *unit)
{
	if (unit->flags & UNIT_COUNTED)
		sink->counters.already_applied++;
	if (unit->flags & UNIT_UNSURE)
		outage_resolve(sink, unit, true);
	window_done(&sink->window, unit);
	idle_start(sink->turn);
}

static void make_pending(struct marker *marker, uint16_t slot)
{
	if (marker->is_pending[slot])
		return;
	marker->is_pending[slot] = true;
	marker->pending[(marker->pending_head + marker->pending_count++) % marker->slots] = slot;
}

void marker_put(struct sink *sink, struct unit *unit)
{
	if (marker_covers(sink, unit)) {
		marker_skip(sink, unit);
		return;
	}
	unit_list_append(&sink->marker->gathering[unit->slot], unit);
	sink->marker->gathered++;
	sink->marker->gathered_bytes += unit->size;
	if (sink->busy[unit->slot] == 0)
		make_pending(sink->marker, unit->slot);
}

void marker_hold(struct sink *sink, struct lane *lane)
{
	struct unit_list *list = &sink->marker->gathering[lane->slot];
	struct unit *unit;

	while ((unit = unit_list_take(list)))
		unit_list_append(&lane->waiting, unit);
	sink->marker->gathered = 0;
	sink->marker->gathered_bytes = 0;
}

void marker_more(struct sink *sink, uint16_t slot)
{
	if (sink->busy[slot] == 0 && sink->marker->gathering[slot].head)
		make_pending(sink->marker, slot);
}

static bool is_far(const struct marker *marker)
{
	return marker->way_us > FLIGHT_FAR_US;
}

static bool is_safe(const struct unit *unit)
{
	return unit->flags & UNIT_REPLAY_SAFE && !(unit->flags & UNIT_TRANSACTION);
}

/* The first of a few safe ones goes as it is: that costs less than a transaction around it. */
static bool goes_alone(const struct sink *sink, const struct unit_list *list)
{
	const struct unit *unit = list->head;
	uint32_t count = 0, most = is_far(sink->marker) ? LONE_MAX_FAR : LONE_MAX;

	if (!sink->cluster)
		return false;
	for (; unit && is_safe(unit) && count < most; unit = unit->next)
		count++;
	return count > 0 && count < most && !unit;
}

static void taken(struct marker *marker, const struct flight *flight)
{
	marker->gathered -= flight->count;
	marker->gathered_bytes -= flight->bytes;
}

static struct unit *next_flight(struct sink *sink, struct node *node, uint16_t slot)
{
	struct marker *marker = sink->marker;
	struct unit_list *list = &marker->gathering[slot];
	struct flight *flight;
	uint32_t units;

	if (goes_alone(sink, list))
		return unit_list_take(list);
	if (sink->cluster) {
		units = is_far(marker) ? FLIGHT_UNITS_FAR : FLIGHT_UNITS_MAX;
		return &flight_make(sink, node, slot, list, units, (uint64_t)FLIGHT_BYTES_MAX * units / FLIGHT_UNITS_MAX)
				->carrier;
	}
	flight = flight_make(sink, node, slot, list, marker->bound.units, marker->bound.bytes);
	taken(marker, flight);
	return &flight->carrier;
}

static void send_slot(struct sink *sink, uint16_t slot)
{
	struct marker *marker = sink->marker;
	struct unit_list *list = &marker->gathering[slot];
	struct node *node = sink->owner_of[slot];

	if (sink->busy[slot] > 0)
		return;
	if (!list->head)
		return;
	if (!node || !node_ready(node) || marker->stale[slot]) {
		sink_hold_slot(sink, slot);
		return;
	}
	sink_put_on_node(sink, node, next_flight(sink, node, slot));
}

/* The flight before was answered: well, or its units wait in the slot's lane. */
static void end_ahead(struct sink *sink)
{
	struct flight *flight = sink->marker->ahead;

	if (lanes_find(&sink->lanes, 0))
		flight_discard(flight);
	else
		flight_end(sink, flight);
	sink->marker->ahead = NULL;
}

static bool is_whole(const struct marker *marker)
{
	return marker->gathered >= marker->bound.units || marker->gathered_bytes >= marker->bound.bytes;
}

/* Only a whole flight's worth: what is sent ahead gets no company any more. */
static void send_ahead(struct sink *sink)
{
	struct marker *marker = sink->marker;
	struct node *node = sink->owner_of[0];

	if (marker->ahead && sink->busy[0] == 1)
		end_ahead(sink);
	if (marker->ahead || sink->busy[0] != 1 || !is_whole(marker) || marker->stale[0] || lanes_find(&sink->lanes, 0) ||
	    !node || !node_ready(node) || sink->busy_node[0] != node)
		return;
	marker->ahead = flight_begin(sink, node, 0, &marker->gathering[0], marker->bound.units, marker->bound.bytes);
	taken(marker, marker->ahead);
	sink_put_on_node(sink, node, &marker->ahead->carrier);
}

void marker_executed(struct sink *sink, const struct flight *flight)
{
	struct marker *marker = sink->marker;
	uint64_t took_us = clock_monotonic_us() - flight->ended_us;

	if (sink->cluster)
		marker->way_us = took_us < marker->way_us ? took_us : marker->way_us + (took_us - marker->way_us) / 256;
	else if (!flight->low)
		flight_bound_learn(&marker->bound, took_us, flight->full_of == marker->bound.units);
}

void marker_send(struct sink *sink)
{
	struct marker *marker = sink->marker;

	while (marker->pending_count > 0) {
		uint16_t slot = marker->pending[marker->pending_head];

		marker->pending_head = (marker->pending_head + 1) % marker->slots;
		marker->pending_count--;
		marker->is_pending[slot] = false;
		send_slot(sink, slot);
	}
	if (!sink->cluster)
		send_ahead(sink);
}

struct unit *marker_wrap(struct sink *sink, struct node *node, struct unit *unit)
{
	struct unit_list list = {0};

	if (!marker_is_guarded(unit) || (sink->cluster && is_safe(unit)))
		return unit;
	unit_list_append(&list, unit);
	return &flight_make(sink, node, unit->slot, &list, 1, 0)->carrier;
}

bool marker_lane_ready(struct sink *sink, struct lane *lane, struct node *node)
{
	if (sink->marker->stale[lane->slot]) {
		node = sink->owner_of[lane->slot]; /* not the one that ASK names */
		if (node && node_ready(node))
			fence_want(sink, node);
		return false;
	}
	while (lane->waiting.head && marker_covers(sink, lane->waiting.head))
		marker_skip(sink, unit_list_take(&lane->waiting));
	return true;
}

void marker_node_lost(struct sink *sink, struct node *node)
{
	struct marker *marker = sink->marker;

	fence_node_lost(marker, node);
	floor_node_lost(sink, node);
	for (uint32_t slot = 0; slot < marker->slots; slot++)
		if (sink->owner_of[slot] == node || (sink->busy[slot] > 0 && sink->busy_node[slot] == node))
			marker_doubt(marker, (uint16_t)slot);
}

struct unit_list marker_unwrap(struct sink *sink, struct node *node, struct unit *carrier)
{
	struct flight *flight = (struct flight *)carrier;
	struct unit_list members = flight->members;

	if (flight->record || !sink->cluster)
		sink->marker->recorded = -1;
	if (flight->low)
		floor_answered(sink, node, flight, false);
	if (flight == sink->marker->ahead)
		sink->marker->ahead = NULL;
	flight_done(sink->marker, flight);
	return members;
}

bool marker_record(struct sink *sink)
{
	struct marker *marker = sink->marker;
	struct unit_list none = {0};
	struct node *node = sink->owner_of[marker->record_slot];
	/* A standalone target's record covers all that was answered; on a cluster it does what a low mark does for a node, for whoever has no work directory. */
	int64_t offset = sink->cluster ? floor_lowest(sink).offset : sink_offset_before(sink, sink->window.position);

	if (marker->records_out > 0)
		return true;
	if (!sink->cluster && marker->lows[0].known && offset < marker->lows[0].offset)
		return false;
	if (offset < 0 || offset == marker->recorded || sink->busy[marker->record_slot] > 0 ||
	    marker->gathering[marker->record_slot].head || lanes_find(&sink->lanes, marker->record_slot) ||
	    marker->stale[marker->record_slot] || !node || !node_ready(node))
		return false;
	/* A standalone target's record is the mark as well, so what it says must be below everything that is on its way: nothing is. */
	sink_put_on_node(sink, node, &flight_make(sink, node, marker->record_slot, &none, 0, 0)->carrier);
	marker->recorded = offset;
	return true;
}
