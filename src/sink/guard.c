#include "sink/guard.h"

#include "base/memory.h"
#include "sink/fence.h"
#include "sink/sink_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* On a cluster, as many safe units in a row are worth being sent one by one; with more the slot is a busy one, and a flight of all is cheaper. */
#define LONE_MAX 4

struct guard *guard_new(struct sink *sink, const struct guard_options *options)
{
	struct guard *guard = memory_alloc_zero(1, sizeof(*guard));

	guard->options = *options;
	guard->slots = sink->cluster ? SLOT_COUNT : 1;
	guard->task_key = memory_printf(MARK_TASK_PREFIX "%s", options->task);
	guard->record_slot = sink->cluster ? slot_of_key(slice_of_string(guard->task_key)) : 0;
	guard->marks = memory_alloc_zero(guard->slots, sizeof(guard->marks[0]));
	guard->stale = memory_alloc_zero(guard->slots, sizeof(guard->stale[0]));
	guard->gathering = memory_alloc_zero(guard->slots, sizeof(guard->gathering[0]));
	guard->pending = memory_alloc_zero(guard->slots, sizeof(guard->pending[0]));
	guard->is_pending = memory_alloc_zero(guard->slots, sizeof(guard->is_pending[0]));
	for (uint32_t i = 0; i < guard->slots; i++) {
		guard->marks[i] = MARK_NONE;
		guard->stale[i] = true;
	}
	guard->recorded = -1;
	if (options->refused_count > 0) {
		guard->refused = memory_alloc_zero(options->refused_count, sizeof(guard->refused[0]));
		memcpy(guard->refused, options->refused, options->refused_count * sizeof(guard->refused[0]));
		guard->refused_count = options->refused_count;
	}
	return guard;
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	while (guard->fences)
		fence_free(guard->fences);
	while (guard->all) {
		struct flight *flight = guard->all;

		guard->all = flight->all;
		free(flight->pieces);
		free(flight->text);
		free(flight);
	}
	for (uint32_t i = 0; guard->selects && i < DATABASES_MAX; i++)
		free(guard->selects[i]);
	free(guard->selects);
	free(guard->refused);
	free(guard->task_key);
	free(guard->marks);
	free(guard->stale);
	free(guard->gathering);
	free(guard->pending);
	free(guard->is_pending);
	free(guard);
}

static bool is_refused(const struct guard *guard, const struct unit *unit, uint32_t *at)
{
	for (uint32_t i = 0; i < guard->refused_count; i++) {
		if (guard->refused[i].offset == unit->offset && guard->refused[i].sub == unit->sub) {
			*at = i;
			return true;
		}
	}
	return false;
}

void guard_refuse(struct sink *sink, struct unit *unit)
{
	struct guard *guard = sink->guard;
	uint32_t at;

	unit->flags |= UNIT_REFUSED;
	if (is_refused(guard, unit, &at))
		return;
	guard->refused = memory_realloc_array(guard->refused, guard->refused_count + 1, sizeof(guard->refused[0]));
	guard->refused[guard->refused_count++] = (struct mark){unit->offset, unit->sub};
}

void guard_accept(struct sink *sink, const struct unit *unit)
{
	struct guard *guard = sink->guard;
	uint32_t at;

	if (guard->refused_count > 0 && is_refused(guard, unit, &at))
		memmove(guard->refused + at, guard->refused + at + 1, (--guard->refused_count - at) * sizeof(guard->refused[0]));
}

void guard_place(struct sink *sink, struct unit *unit)
{
	struct spool *spool = sink->options.spool;
	uint32_t at;

	unit->offset = spool ? spool_offset_of(spool, unit->start) : unit->flags & UNIT_KEY ? -1 : (int64_t)unit->start;
	unit->sub = unit->start == sink->last_start && sink->last_sub != UINT32_MAX ? sink->last_sub + 1 : 0;
	sink->last_start = unit->start;
	sink->last_sub = unit->sub;
	/* Its refusal was no effect of being applied again. */
	if (sink->guard->refused_count > 0 && is_refused(sink->guard, unit, &at))
		unit->flags &= (uint16_t)~UNIT_RESENT;
}

bool guard_covers(const struct sink *sink, const struct unit *unit)
{
	uint32_t at;

	return mark_covers(sink->guard->marks[unit->slot], unit->offset, unit->sub) &&
	       !(sink->guard->refused_count > 0 && is_refused(sink->guard, unit, &at));
}

void guard_skip(struct sink *sink, struct unit *unit)
{
	if (unit->flags & UNIT_COUNTED)
		sink->counters.already_applied++;
	window_done(&sink->window, unit);
	idle_start(sink->turn);
}

static void make_pending(struct guard *guard, uint16_t slot)
{
	if (guard->is_pending[slot])
		return;
	guard->is_pending[slot] = true;
	guard->pending[(guard->pending_head + guard->pending_count++) % guard->slots] = slot;
}

void guard_put(struct sink *sink, struct unit *unit)
{
	if (guard_covers(sink, unit)) {
		guard_skip(sink, unit);
		return;
	}
	unit_list_append(&sink->guard->gathering[unit->slot], unit);
	if (sink->busy[unit->slot] == 0)
		make_pending(sink->guard, unit->slot);
}

void guard_hold(struct sink *sink, struct lane *lane)
{
	struct unit_list *list = &sink->guard->gathering[lane->slot];
	struct unit *unit;

	while ((unit = unit_list_take(list)))
		unit_list_append(&lane->waiting, unit);
}

void guard_more(struct sink *sink, uint16_t slot)
{
	if (sink->busy[slot] == 0 && sink->guard->gathering[slot].head)
		make_pending(sink->guard, slot);
}

static bool is_safe(const struct unit *unit)
{
	return unit->flags & UNIT_REPLAY_SAFE && !(unit->flags & UNIT_TRANSACTION);
}

/* The first of a few safe ones goes as it is: that costs less than a transaction around it. */
static bool goes_alone(const struct sink *sink, const struct unit_list *list)
{
	const struct unit *unit = list->head;
	uint32_t count = 0;

	if (!sink->cluster)
		return false;
	for (; unit && is_safe(unit) && count < LONE_MAX; unit = unit->next)
		count++;
	return count > 0 && count < LONE_MAX && !unit;
}

static void send_slot(struct sink *sink, uint16_t slot)
{
	struct guard *guard = sink->guard;
	struct unit_list *list = &guard->gathering[slot];
	struct node *node = sink->owner_of[slot];
	struct unit *unit;

	if (sink->busy[slot] > 0)
		return;
	if (!list->head)
		return;
	if (!node || !node_ready(node) || guard->stale[slot]) {
		sink_hold_slot(sink, slot);
		return;
	}
	unit = goes_alone(sink, list) ? unit_list_take(list) : &flight_make(sink, node, slot, list, FLIGHT_UNITS_MAX)->carrier;
	sink_put_on_node(sink, node, unit);
}

void guard_send(struct sink *sink)
{
	struct guard *guard = sink->guard;

	while (guard->pending_count > 0) {
		uint16_t slot = guard->pending[guard->pending_head];

		guard->pending_head = (guard->pending_head + 1) % guard->slots;
		guard->pending_count--;
		guard->is_pending[slot] = false;
		send_slot(sink, slot);
	}
}

struct unit *guard_wrap(struct sink *sink, struct node *node, struct unit *unit)
{
	struct unit_list list = {0};

	if (unit->offset < 0 || (sink->cluster && is_safe(unit)))
		return unit;
	unit_list_append(&list, unit);
	return &flight_make(sink, node, unit->slot, &list, 1)->carrier;
}

bool guard_lane_ready(struct sink *sink, struct lane *lane, struct node *node)
{
	if (sink->guard->stale[lane->slot]) {
		node = sink->owner_of[lane->slot]; /* not the one that ASK names */
		if (node && node_ready(node))
			fence_want(sink, node);
		return false;
	}
	while (lane->waiting.head && guard_covers(sink, lane->waiting.head))
		guard_skip(sink, unit_list_take(&lane->waiting));
	return true;
}

void guard_node_lost(struct sink *sink, const struct node *node)
{
	struct guard *guard = sink->guard;

	fence_node_lost(guard, node);
	for (uint32_t slot = 0; slot < guard->slots; slot++)
		if (sink->owner_of[slot] == node || (sink->busy[slot] > 0 && sink->busy_node[slot] == node))
			guard->stale[slot] = true;
}

struct unit_list guard_unwrap(struct sink *sink, struct unit *carrier)
{
	struct flight *flight = (struct flight *)carrier;
	struct unit_list members = flight->members;

	if (flight->record || !sink->cluster)
		sink->guard->recorded = -1;
	flight_done(sink->guard, flight);
	return members;
}

bool guard_record(struct sink *sink)
{
	struct guard *guard = sink->guard;
	struct unit_list none = {0};
	struct node *node = sink->owner_of[guard->record_slot];
	int64_t offset = sink_offset_before(sink, sink->window.position);

	if (guard->records_out > 0)
		return true;
	if (offset < 0 || offset == guard->recorded || sink->busy[guard->record_slot] > 0 || guard->gathering[guard->record_slot].head ||
	    lanes_find(&sink->lanes, guard->record_slot) || guard->stale[guard->record_slot] || !node || !node_ready(node))
		return false;
	/* A standalone target's record is the mark as well, so what it says must be below everything that is on its way: nothing is. */
	sink_put_on_node(sink, node, &flight_make(sink, node, guard->record_slot, &none, 0)->carrier);
	guard->recorded = offset;
	return true;
}
