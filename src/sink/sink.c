#include "sink/sink_state.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sink/fence.h"
#include "sink/floor.h"
#include "wire/command.h"
#include "wire/rdb.h"
#include "wire/tally.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANE_TICK_MS 25 /* how often held slots are looked at */
#define HOUSEKEEPING_MS 1000
#define NODES_MAX 2048
#define ASKED_US 10000000ULL /* so long is a node kept that has no slots, but the mark of one on its way there */

void sink_note(struct sink *sink, enum log_level level, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink->events->note(sink->owner, (int)level, text);
}

static bool every_unit(void *owner, const struct unit *unit)
{
	(void)owner;
	(void)unit;
	return true;
}

void sink_fail(struct sink *sink, const struct error *error)
{
	struct unit_list unsent = {0};

	if (sink->failed)
		return;
	sink->failed = true;
	/* What is not on its way yet stays here: it would have to be applied again after the restart. */
	for (uint32_t i = 0; i < sink->node_count; i++)
		node_divert(sink->nodes[i], every_unit, NULL, &unsent);
	sink->events->failed(sink->owner, error);
}

/* ---- units on their way ---- */

void sink_put_on_node(struct sink *sink, struct node *node, struct unit *unit)
{
	sink->busy[unit->slot]++;
	sink->busy_node[unit->slot] = node;
	/* Questions change nothing, and marks alone are nothing that could be lost. */
	if (sink->marker && !unit->question && marker_first(unit))
		floor_touch(sink, node, unit);
	node_enqueue(node, unit);
}

struct lane *sink_hold_slot(struct sink *sink, uint16_t slot)
{
	struct lane *lane = lanes_find(&sink->lanes, slot);

	if (lane)
		return lane;
	lane = lanes_hold(&sink->lanes, slot);
	lane->held_since_us = clock_monotonic_us();
	if (sink->marker)
		marker_hold(sink, lane);
	if (!timer_active(sink->lane_timer))
		timer_repeat(sink->lane_timer, LANE_TICK_MS, LANE_TICK_MS);
	return lane;
}

static void submit(struct sink *sink, struct unit *unit)
{
	uint16_t slot = unit->slot;
	struct node *node = sink->owner_of[slot];
	struct lane *lane = lanes_find(&sink->lanes, slot);

	window_commit(&sink->window, unit);
	if (sink->marker)
		marker_place(sink, unit);
	if (sink->marker && !sink->marker->stale[slot] && !lane && marker_covers(sink, unit)) {
		marker_skip(sink, unit);
		return;
	}
	if (!lane && (!node || !node_ready(node) || (sink->busy[slot] > 0 && sink->busy_node[slot] != node) ||
		      (sink->marker && sink->marker->stale[slot])))
		lane = sink_hold_slot(sink, slot);
	if (lane)
		unit_list_append(&lane->waiting, unit);
	else if (sink->marker && marker_is_guarded(unit))
		marker_put(sink, unit);
	else
		sink_put_on_node(sink, node, unit);
}

struct lane *sink_hold(struct sink *sink, struct unit *unit)
{
	struct lane *lane = sink_hold_slot(sink, unit->slot);

	if (lane->probe == unit)
		lane->probe = NULL;
	unit->flags &= (uint16_t)~UNIT_ASKING;
	unit_list_insert(&lane->waiting, unit);
	sink->divert_wanted = true;
	sink->counters.retries++;
	return lane;
}

void sink_hold_all(struct sink *sink, struct unit_list list)
{
	struct unit *unit;

	while ((unit = unit_list_take(&list)))
		sink_hold(sink, unit);
}

/* The first `sent` were under way on the node that is lost. */
static void take_back(struct sink *sink, struct node *node, struct unit_list list, uint32_t sent)
{
	struct unit *unit;

	while ((unit = unit_list_take(&list))) {
		uint16_t slot = unit->slot;

		sink->busy[slot]--;
		if (sent > 0) {
			sent--;
			for (struct unit *at = unit->flags & UNIT_FLIGHT ? ((struct flight *)unit)->members.head : unit; at;
			     at = unit->flags & UNIT_FLIGHT ? at->next : NULL)
				outage_take(sink, node_endpoint(node), at);
		}
		if (!(unit->flags & UNIT_FLIGHT)) {
			sink_hold(sink, unit);
			continue;
		}
		sink_hold_all(sink, marker_unwrap(sink, node, unit));
		/* One without commands holds no slot, and what has gathered behind it would wait for ever. */
		marker_more(sink, slot);
	}
}

/* Slot held, and not the unit that probes it: it goes back to keep the order. */
static bool must_leave(void *owner, const struct unit *unit)
{
	const struct sink *sink = owner;
	const struct lane *lane = lanes_find(&sink->lanes, unit->slot);

	return lane && lane->probe != marker_first(unit);
}

static void divert(struct sink *sink)
{
	sink->divert_wanted = false;
	for (uint32_t i = 0; i < sink->node_count; i++) {
		struct unit_list out = {0};

		node_divert(sink->nodes[i], must_leave, sink, &out);
		take_back(sink, sink->nodes[i], out, 0);
	}
}

/* ---- nodes ---- */

void sink_release_rest(struct sink *sink, struct lane *lane)
{
	struct node *node = sink->owner_of[lane->slot];
	struct unit *unit;

	while ((unit = unit_list_take(&lane->waiting))) {
		if (sink->marker && marker_is_guarded(unit))
			marker_put(sink, unit);
		else if (sink->marker && marker_covers(sink, unit))
			marker_skip(sink, unit);
		else
			sink_put_on_node(sink, node, unit);
	}
	lanes_release(&sink->lanes, lane);
}

static void probe(struct sink *sink, struct lane *lane, struct node *node)
{
	struct unit *unit = unit_list_take(&lane->waiting);

	if (lane->asking)
		unit->flags |= UNIT_ASKING;
	lane->probe = unit;
	if (sink->marker) {
		uint16_t asking = unit->flags & UNIT_ASKING;

		unit = marker_wrap(sink, node, unit);
		unit->flags |= asking;
	}
	sink_put_on_node(sink, node, unit);
}

static void try_lanes(struct sink *sink)
{
	uint64_t now = clock_monotonic_us();

	for (uint32_t i = sink->lanes.held_count; i-- > 0;) {
		struct lane *lane = sink->lanes.held[i];
		struct node *node = sink->owner_of[lane->slot];

		if (sink->busy[lane->slot] > 0 || now < lane->retry_at_us)
			continue;
		if (lane->asking)
			node = sink_node_at(sink, &lane->ask);
		if (!node) {
			refresh_want(sink->refresh);
			continue;
		}
		if (!node_ready(node)) {
			node_connect(node);
			continue;
		}
		if (sink->marker && !marker_lane_ready(sink, lane, node))
			continue;
		if (!lane->waiting.head)
			lanes_release(&sink->lanes, lane);
		else
			probe(sink, lane, node);
	}
}

static void flush_nodes(struct sink *sink)
{
	if (sink->marker)
		marker_send(sink);
	for (uint32_t i = 0; i < sink->node_count; i++)
		node_flush(sink->nodes[i]);
}

static void on_turn(void *owner)
{
	struct sink *sink = owner;

	if (sink->failed)
		return;
	if (sink->divert_wanted)
		divert(sink);
	if (sink->marker)
		floor_turn(sink);
	if (sink->lanes.held_count > 0)
		try_lanes(sink);
	if (sink->lanes.held_count == 0) {
		timer_stop(sink->lane_timer);
		sink_waiting_ends(sink);
	}
	flush_nodes(sink);
	sink->events->applied(sink->owner);
	if (sink->room_wanted && !sink->failed && window_has_room(&sink->window)) {
		sink->room_wanted = false;
		sink->events->room(sink->owner);
	}
}

static void on_lane_timer(void *owner)
{
	on_turn(owner);
}

static void on_node_ready(void *owner, struct node *node)
{
	struct sink *sink = owner;

	if (sink->failed)
		return;
	if (sink->marker) {
		fence_start(sink, node);
		return;
	}
	outage_back(sink, node);
	idle_start(sink->turn);
}

static void on_node_lost(void *owner, struct node *node, const struct error *error)
{
	struct sink *sink = owner;
	struct unit_list units;
	uint32_t sent;

	sink->counters.reconnects++;
	if (sink->failed)
		return;
	if (sink->marker)
		marker_node_lost(sink, node);
	/* What cannot be reached at the start is waited for: nothing was lost. */
	if (node_was_ready(node))
		outage_begin(sink, node, error);
	units = node_take_units(node, &sent);
	take_back(sink, node, units, sent);
	/* The node that a slot migrates to may be gone for good: the old one is asked again. */
	for (uint32_t i = 0; i < sink->lanes.held_count; i++)
		if (endpoint_equal(&sink->lanes.held[i]->ask, node_endpoint(node)))
			sink->lanes.held[i]->asking = false;
	sink_remember_cause(sink, node_peer(node), error->text);
	refresh_want(sink->refresh);
	idle_start(sink->turn);
}

static const struct node_events node_callbacks = {on_node_ready, on_node_lost, sink_answered, sink_member_error};

struct node *sink_node_at(struct sink *sink, const struct endpoint *endpoint)
{
	const struct deployment_options *target = deployment_options(sink->options.target);
	struct node_options options = {
		.loop = sink->options.loop,
		.credentials = &target->credentials,
		.tls = deployment_tls(sink->options.target),
		.tls_name = target->tls.server_name,
		.name = sink->options.name,
		.connect_timeout_ms = sink->options.connect_timeout_ms,
		.import_source = sink->options.abilities.import_source,
		.spool = sink->options.spool,
	};
	char *name = NULL;
	struct node *node;

	for (uint32_t i = 0; i < sink->node_count; i++)
		if (endpoint_equal(node_endpoint(sink->nodes[i]), endpoint))
			return sink->nodes[i];
	if (sink->node_count == NODES_MAX)
		return NULL;
	if (sink->marker) {
		options.guarded = true;
		options.name = name = marker_connection_name(sink);
	}
	node = node_new(endpoint, &options, &node_callbacks, sink);
	free(name);
	sink->nodes = memory_realloc_array(sink->nodes, sink->node_count + 1, sizeof(sink->nodes[0]));
	sink->nodes[sink->node_count++] = node;
	node_connect(node);
	return node;
}

/* ---- topology ---- */

static uint32_t refresh_candidates(void *owner, struct endpoint *out, uint32_t max)
{
	struct sink *sink = owner;
	uint32_t count = 0;

	for (int ready = 1; ready >= 0; ready--)
		for (uint32_t i = 0; i < sink->node_count && count < max; i++)
			if (node_ready(sink->nodes[i]) == (bool)ready)
				out[count++] = *node_endpoint(sink->nodes[i]);
	return count;
}

static bool is_needed(const struct sink *sink, struct node *node)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (sink->owner_of[slot] == node)
			return true;
	for (uint32_t i = 0; i < sink->lanes.held_count; i++)
		if (sink->lanes.held[i]->asking && endpoint_equal(&sink->lanes.held[i]->ask, node_endpoint(node)))
			return true;
	return node_floor(node)->asked_us > 0 && clock_monotonic_us() - node_floor(node)->asked_us < ASKED_US;
}

static bool refresh_topology(void *owner, const struct topology *topology)
{
	struct sink *sink = owner;
	bool fresh = sink_take_map(sink, topology);

	slot_moves_look(sink, topology);
	sink->map_number++;
	sink->masters_number++;
	for (uint32_t i = 0; i < sink->node_count; i++)
		node_floor(sink->nodes[i])->unmapped = false;
	for (uint32_t i = sink->node_count; i-- > 0;) {
		struct node *node = sink->nodes[i];

		if (node_has_units(node) || is_needed(sink, node))
			continue;
		for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
			if (sink->busy_node[slot] == node)
				sink->busy_node[slot] = NULL;
		sink->nodes[i] = sink->nodes[--sink->node_count];
		if (sink->marker)
			marker_node_lost(sink, node);
		node_free(node);
	}
	idle_start(sink->turn);
	return fresh;
}

static const struct refresh_events refresh_callbacks = {refresh_candidates, refresh_topology};

static void on_housekeeping(void *owner)
{
	struct sink *sink = owner;

	for (uint32_t i = 0; i < sink->node_count; i++)
		node_check_silence(sink->nodes[i], sink->options.silence_timeout_ms);
	if (sink->lanes.held_count > 0)
		refresh_want(sink->refresh);
	sink_check_waiting(sink);
	slot_moves_tell(sink);
	outages_tell(sink);
	if (sink->marker && !sink->failed && floor_send(sink, false))
		flush_nodes(sink);
}

/* ---- public ---- */

int64_t sink_offset_before(const struct sink *sink, uint64_t position)
{
	return sink->options.spool ? spool_offset_before(sink->options.spool, position) : (int64_t)position - 1;
}

struct sink *sink_new(const struct sink_options *options, const struct sink_events *events, void *owner)
{
	struct sink *sink = memory_alloc_zero(1, sizeof(*sink));

	sink->options = *options;
	sink->events = events;
	sink->owner = owner;
	sink->cluster = options->topology->cluster;
	sink->event_start = UINT64_MAX;
	sink->multi = command_number(command_lookup(1, (const struct slice[]){SLICE("MULTI")}));
	if (options->marker)
		sink->marker = marker_new(sink, options->marker);
	window_init(&sink->window, options->in_flight_commands, sink->cluster ? SLOT_COUNT : 1, options->in_flight_bytes,
		    options->position, options->db);
	if (sink->marker)
		sink->marker->in_stream = sink_offset_before(sink, options->position) >= 0;
	sink->lane_timer = timer_new(options->loop, on_lane_timer, sink);
	sink->housekeeping = timer_new(options->loop, on_housekeeping, sink);
	timer_repeat(sink->housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
	sink->turn = idle_new(options->loop, on_turn, sink);
	sink->refresh = refresh_new(options->loop, options->target, sink->cluster, options->name, options->connect_timeout_ms,
				    &refresh_callbacks, sink);
	if (options->before)
		sink_take_after(sink, options->before);
	else
		sink_take_map(sink, options->topology);
	return sink;
}

void sink_free(struct sink *sink)
{
	if (!sink)
		return;
	refresh_free(sink->refresh);
	for (uint32_t i = 0; i < sink->node_count; i++)
		node_free(sink->nodes[i]);
	free(sink->nodes);
	lanes_free(&sink->lanes);
	outages_free(&sink->outages);
	slot_moves_free(sink->moves);
	marker_free(sink->marker);
	idle_free(sink->turn);
	timer_free(sink->lane_timer);
	timer_free(sink->housekeeping);
	window_free(&sink->window);
	free(sink);
}

bool sink_is_cluster(const struct sink *sink)
{
	return sink->cluster;
}

bool sink_has_room(const struct sink *sink)
{
	bool room = !sink->failed && window_has_room(&sink->window);

	if (!room)
		((struct sink *)sink)->room_wanted = true;
	return room;
}

bool sink_is_guarded(const struct sink *sink)
{
	return sink->marker != NULL;
}

const struct mark *sink_refused(const struct sink *sink, uint32_t *ret_count)
{
	*ret_count = sink->marker ? sink->marker->refused_count : 0;
	return sink->marker ? sink->marker->refused : NULL;
}

bool sink_settle(struct sink *sink)
{
	bool sent = false;

	if (sink->marker && !sink->failed) {
		sent = floor_send(sink, true);
		sent = marker_record(sink) || sent;
	}
	if (sent)
		flush_nodes(sink);
	return sent;
}

bool sink_idle(const struct sink *sink)
{
	return window_empty(&sink->window) && !(sink->marker && sink->marker->records_out > 0);
}

bool sink_awaits_answers(const struct sink *sink)
{
	for (uint32_t i = 0; i < sink->node_count; i++)
		if (node_ready(sink->nodes[i]) && node_has_units(sink->nodes[i]))
			return true;
	return false;
}

/* A cluster has database 0 alone, or since Valkey 9 perhaps more; what comes to it out of one that it has not (PUBLISH, FUNCTION LOAD) belongs to none. */
static uint32_t database_at(const struct sink *sink, uint32_t db)
{
	return sink->cluster && db >= sink->options.abilities.databases ? 0 : db;
}

static struct unit *new_unit(struct sink *sink, uint64_t start, uint64_t end, uint16_t slot, uint32_t db, uint32_t db_after,
			     uint32_t db_stream, uint16_t flags)
{
	struct unit *unit = window_new_unit(&sink->window);

	unit->start = start;
	unit->end = end;
	unit->slot = slot;
	unit->db = database_at(sink, db);
	unit->db_after = database_at(sink, db_after);
	unit->db_stream = db_stream;
	unit->flags = start < sink->options.sent_before ? flags | UNIT_RESENT : flags;
	return unit;
}

void sink_key(struct sink *sink, const struct event *event, uint64_t end, uint16_t slot, uint32_t db_stream, bool source_valkey)
{
	struct encode_options options = {
		.target = sink->options.abilities,
		.source_valkey = source_valkey,
		.replace = sink->options.conflict == CONFLICT_OVERWRITE,
		.spool = sink->options.spool,
	};
	struct unit *unit =
		new_unit(sink, event->start, end, slot, event->db, event->db, db_stream,
			 UNIT_KEY | UNIT_REPLAY_SAFE | UNIT_COUNTED |
				 (event->type == RDB_TYPE_MODULE_2 || event->type == RDB_TYPE_MODULE_PRE_GA ? UNIT_MODULE : 0));

	encode_key(&sink->window, unit, event, &options);
	submit(sink, unit);
}

void sink_encoded(struct sink *sink, const struct event *event, uint64_t end, uint16_t slot, uint32_t db_stream, uint16_t flags,
		  struct slice bytes, uint32_t replies)
{
	struct unit *unit = new_unit(sink, event->start, end, slot, event->db, event->db, db_stream, flags);
	uint8_t *memory = window_alloc(&sink->window, unit, bytes.len);

	memcpy(memory, bytes.data, bytes.len);
	unit->pieces[0] = slice_make(memory, bytes.len);
	unit->piece_count = 1;
	unit->replies = replies;
	unit->command = command_number(event->info);
	submit(sink, unit);
}

/* Of a unit that ends at `end`; of several for one command the last is counted, and none that is a part of a transaction. */
static uint16_t command_flags(const struct event *event, uint64_t end)
{
	uint16_t flags = event->kind == EVENT_COMMAND && end == event->end && end > event->start ? UNIT_COUNTED : 0;

	if (event->info && (event->info->flags & COMMAND_SCRIPT))
		flags |= UNIT_SCRIPT;
	if (event->info && command_is_replay_safe(event->info, event->argc, event->argv))
		flags |= UNIT_REPLAY_SAFE;
	return flags;
}

void sink_command(struct sink *sink, const struct event *event, uint16_t slot, uint32_t db_stream)
{
	struct unit *unit =
		new_unit(sink, event->start, event->end, slot, event->db, event->db, db_stream, command_flags(event, event->end));

	unit->pieces[0] = event->raw;
	unit->piece_count = 1;
	unit->replies = 1;
	unit->command = command_number(event->info);
	submit(sink, unit);
}

void sink_patched(struct sink *sink, const struct event *event, uint16_t slot, uint32_t db_stream, uint32_t at,
		  struct slice argument)
{
	struct unit *unit =
		new_unit(sink, event->start, event->end, slot, event->db, event->db, db_stream, command_flags(event, event->end));

	unit->command = command_number(event->info);
	encode_patched(&sink->window, unit, event->raw, event->argv[at], argument);
	submit(sink, unit);
}

void sink_arguments(struct sink *sink, const struct event *event, uint64_t end, uint16_t slot, uint32_t db_stream, uint16_t flags,
		    uint32_t argc, const struct slice *argv)
{
	struct unit *unit =
		new_unit(sink, event->start, end, slot, event->db, event->db, db_stream, command_flags(event, end) | flags);

	unit->command = command_number(event->info);
	encode_command(&sink->window, unit, argc, argv);
	submit(sink, unit);
}

/* What is made is copied, what is not is referenced. */
static void set_pieces(struct sink *sink, struct unit *unit, const struct sink_piece *pieces, uint32_t piece_count,
		       uint32_t replies)
{
	size_t array = piece_count > UNIT_INLINE_PIECES ? (piece_count + 1) * sizeof(struct slice) : 0;
	size_t made = 0;
	uint8_t *memory = NULL;

	for (uint32_t i = 0; i < piece_count; i++)
		made += pieces[i].made ? pieces[i].bytes.len : 0;
	/* One allocation: a unit has no more than one that the window's memory does not hold. */
	if (array + made > 0)
		memory = window_alloc(&sink->window, unit, array + made);
	if (array > 0) {
		unit->pieces = (struct slice *)(((uintptr_t)memory + sizeof(struct slice) - 1) / sizeof(struct slice) *
						sizeof(struct slice));
		memory += array;
	}
	for (uint32_t i = 0; i < piece_count; i++) {
		unit->pieces[i] = pieces[i].bytes;
		if (!pieces[i].made)
			continue;
		memcpy(memory, pieces[i].bytes.data, pieces[i].bytes.len);
		unit->pieces[i].data = memory;
		memory += pieces[i].bytes.len;
	}
	unit->piece_count = piece_count;
	unit->replies = replies;
}

void sink_transaction(struct sink *sink, uint64_t start, uint64_t end, uint16_t slot, uint32_t db, uint32_t db_after,
		      uint32_t db_stream, const struct sink_piece *pieces, uint32_t piece_count, uint32_t replies, uint16_t flags)
{
	struct unit *unit = new_unit(sink, start, end, slot, db, db_after, db_stream,
				     (uint16_t)(UNIT_TRANSACTION | (end > start ? UNIT_COUNTED : 0) | flags));

	unit->command = sink->multi;
	set_pieces(sink, unit, pieces, piece_count, replies);
	submit(sink, unit);
}

void sink_pieces(struct sink *sink, const struct event *event, uint16_t slot, uint32_t db_stream, uint16_t flags,
		 const struct sink_piece *pieces, uint32_t piece_count, uint32_t replies, struct question *question)
{
	struct unit *unit = new_unit(sink, event->start, event->start, slot, event->db, event->db, db_stream, flags);

	unit->question = question;
	set_pieces(sink, unit, pieces, piece_count, replies);
	submit(sink, unit);
}

bool sink_slot_idle(const struct sink *sink, uint16_t slot)
{
	const struct lane *lane = lanes_find(&sink->lanes, slot);

	return sink->busy[slot] == 0 && (!lane || !lane->waiting.head) && !(sink->marker && sink->marker->gathering[slot].head);
}

bool sink_may_have_sent(const struct sink *sink, uint64_t position)
{
	return position < sink->options.sent_before;
}

uint32_t sink_number(const struct sink *sink, uint64_t start)
{
	return start == sink->event_start ? sink->next_sub : 0;
}

void sink_set_number(struct sink *sink, uint64_t start, uint32_t number)
{
	sink->event_start = start;
	sink->next_sub = number;
}

void sink_count(struct sink *sink, const struct event *event)
{
	if (sink->options.tally)
		tally_add(sink->options.tally, command_number(event->info));
}

void sink_progress(struct sink *sink, uint64_t position, uint32_t db)
{
	window_progress(&sink->window, position, db);
}

void sink_flush(struct sink *sink)
{
	if (!sink->failed)
		flush_nodes(sink);
}

void sink_applied(const struct sink *sink, uint64_t *position, uint32_t *db)
{
	*position = sink->window.position;
	*db = sink->window.db;
}

uint64_t sink_latest(const struct sink *sink)
{
	return sink->window.latest;
}

struct sink_counters sink_counters(const struct sink *sink)
{
	struct sink_counters counters = sink->counters;

	counters.in_flight_bytes = sink->window.bytes;
	counters.in_flight_units = (uint32_t)(sink->window.tail - sink->window.head);
	counters.held_slots = sink->lanes.held_count;
	return counters;
}

const char *sink_waiting_for(const struct sink *sink)
{
	return sink->waiting_for;
}
