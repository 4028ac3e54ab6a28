#include "link/server_outlet.h"

#include "base/memory.h"
#include "spool/spool.h"

#include <stdio.h>
#include <stdlib.h>

#define LOST_TAIL_MAX (64u << 20) /* of the spool, in a crash: what was received and not yet on the disk */

struct server_outlet {
	struct server_outlet_options options;
	const struct outlet_events *events;
	void *owner;
	struct dispatch *dispatch;
	struct sink *sink; /* NULL before the first generation */
	uint64_t generation;
	uint64_t sent_until;   /* of the generation: up to here a run before, or a sink before a fall, may have come */
	uint64_t replay_until; /* of the generation: what lies before is applied again, for the target has fallen back */
};

/* ---- what dispatch and sink tell ---- */

static void on_go_on(void *owner)
{
	struct server_outlet *outlet = owner;

	outlet->events->go_on(outlet->owner);
}

static void on_room(void *owner)
{
	struct server_outlet *outlet = owner;

	outlet->events->room(outlet->owner);
}

static void on_applied(void *owner)
{
	struct server_outlet *outlet = owner;

	outlet->events->applied(outlet->owner);
}

static void on_failed(void *owner, const struct error *error)
{
	struct server_outlet *outlet = owner;

	outlet->events->failed(outlet->owner, error);
}

static void on_note(void *owner, int log_level, const char *text)
{
	struct server_outlet *outlet = owner;

	outlet->events->note(outlet->owner, log_level, text);
}

static void on_fell(void *owner, const struct sink_fall *fall)
{
	struct server_outlet *outlet = owner;
	struct outlet_fall told = {
		.repairable = fall->repairable, .position = fall->position, .db = fall->db, .slots = fall->slots};
	uint64_t latest = sink_latest(outlet->sink);

	if (fall->slots > 0)
		snprintf(
			told.what, sizeof(told.what),
			"target %s has lost commands that it had acknowledged (a failover, a restart from an older state, or FLUSHALL by somebody else): the marks of %u slots are below what "
			"they were",
			fall->peer, fall->slots);
	else
		snprintf(told.what, sizeof(told.what), "target %s may have lost commands that it had acknowledged shortly before",
			 fall->peer);
	outlet->replay_until = outlet->sent_until > latest ? outlet->sent_until : latest;
	outlet->events->fell(outlet->owner, &told);
}

/* What is found only when it is applied again. */
static void on_beyond_repair(void *owner, const char *why)
{
	struct server_outlet *outlet = owner;
	struct outlet_fall told = {.repairable = false};

	snprintf(told.what, sizeof(told.what), "%s", why);
	sink_let_go(outlet->sink);
	outlet->events->fell(outlet->owner, &told);
}

static void on_tell(void *owner, const struct incident *incident)
{
	struct server_outlet *outlet = owner;

	outlet->events->tell(outlet->owner, incident);
}

static bool on_save(void *owner)
{
	struct server_outlet *outlet = owner;

	return !outlet->options.marker || outlet->events->save(outlet->owner);
}

static const struct sink_events sink_callbacks = {on_room, on_applied, on_failed, on_note, on_tell, on_fell};

/* ---- the table's functions ---- */

/* Up to where the run before may have sent: as far as it had received. A crash takes the spool's newest bytes with it, hence the margin. */
static uint64_t sent_before(const struct server_outlet *outlet, const struct link_state *state)
{
	uint64_t end = spool_end(outlet->options.spool);

	return (end > state->position ? end : state->position) + LOST_TAIL_MAX;
}

static bool outlet_begin(void *self, const struct link_state *state, struct error *error)
{
	struct server_outlet *outlet = self;
	const struct task_options *task = outlet->options.task;
	uint64_t generation = spool_origin(outlet->options.spool).generation;
	struct sink_options options = {
		.loop = outlet->options.loop,
		.target = outlet->options.target,
		.topology = outlet->options.topology,
		.before = outlet->sink,
		.name = outlet->options.name,
		.spool = outlet->options.spool,
		.abilities = outlet->options.abilities,
		/* A later snapshot meets what this link has brought itself. */
		.conflict = generation > 1 ? CONFLICT_OVERWRITE : task->conflict,
		.on_conflict = task->on_conflict,
		.in_flight_commands = task->in_flight_commands,
		.in_flight_bytes = task->in_flight_bytes,
		.connect_timeout_ms = task->connect_timeout_ms,
		.silence_timeout_ms = task->repl_timeout_ms,
		.position = state ? state->position : 0,
		.db = state ? state->db : 0,
		.sent_before = state && !state->clean ? sent_before(outlet, state) : 0,
		.tally = outlet->options.tally,
		.marker = outlet->options.marker,
	};

	(void)error;
	if (outlet->generation != generation) {
		outlet->generation = generation;
		outlet->sent_until = state && !state->clean ? spool_end(outlet->options.spool) : options.position;
		outlet->replay_until = 0;
	}
	outlet->sink = sink_new(&options, &sink_callbacks, outlet);
	sink_free(options.before);
	dispatch_begin(outlet->dispatch, outlet->sink,
		       &(struct dispatch_start){.own_data = state || generation > 1,
						.generation = generation,
						.position = options.position,
						.replay_until = outlet->replay_until,
						.in_snapshot = options.position < spool_snapshot_end(outlet->options.spool)});
	return true;
}

static const struct command_table *outlet_commands(const void *self)
{
	return dispatch_commands(((const struct server_outlet *)self)->dispatch);
}

static void outlet_set_times(void *self, const struct guard_times *times)
{
	dispatch_set_times(((struct server_outlet *)self)->dispatch, times);
}

static bool outlet_event(void *self, const struct event *event, uint32_t db_stream, const struct snapshot_place *place,
			 struct error *error)
{
	return dispatch_event(((struct server_outlet *)self)->dispatch, event, db_stream, place->valkey, error);
}

static enum outlet_state outlet_ready(void *self, struct error *error)
{
	switch (dispatch_ready(((struct server_outlet *)self)->dispatch, error)) {
	case DISPATCH_READY: return OUTLET_READY;
	case DISPATCH_WAITS: return OUTLET_WAITS;
	case DISPATCH_FAILED: break;
	}
	return OUTLET_FAILED;
}

static bool outlet_has_room(const void *self)
{
	return sink_has_room(((const struct server_outlet *)self)->sink);
}

static bool outlet_idle(const void *self)
{
	return sink_idle(((const struct server_outlet *)self)->sink);
}

/* Marks would tell. */
static bool outlet_unsure(const void *self)
{
	const struct server_outlet *outlet = self;

	return !outlet->options.marker && sink_awaits_answers(outlet->sink);
}

static bool outlet_at_barrier(const void *self)
{
	return dispatch_at_barrier(((const struct server_outlet *)self)->dispatch);
}

static bool outlet_in_transaction(const void *self)
{
	return dispatch_in_transaction(((const struct server_outlet *)self)->dispatch);
}

static void outlet_flush(void *self)
{
	sink_flush(((struct server_outlet *)self)->sink);
}

static void outlet_applied(const void *self, uint64_t *position, uint32_t *db)
{
	sink_applied(((const struct server_outlet *)self)->sink, position, db);
}

static void outlet_kept(const void *self, uint64_t *position, uint32_t *db)
{
	sink_kept(((const struct server_outlet *)self)->sink, position, db);
}

static uint32_t outlet_witnesses(const void *self, struct mark_witness *out, uint32_t max)
{
	return sink_witnesses(((const struct server_outlet *)self)->sink, out, max);
}

static void outlet_status(const void *self, struct outlet_status *ret)
{
	const struct server_outlet *outlet = self;

	*ret = (struct outlet_status){
		.dispatch = dispatch_counters(outlet->dispatch),
		.last_move = dispatch_last_move(outlet->dispatch),
		.waiting_for = "",
	};
	if (!outlet->sink)
		return;
	ret->masters_number = sink_masters_number(outlet->sink);
	ret->sink = sink_counters(outlet->sink);
	ret->sink.script_errors += ret->dispatch.crossings.script_errors;
	ret->sink.commands += ret->dispatch.crossings.commands;
	ret->waiting_for = sink_waiting_for(outlet->sink);
}

static uint32_t outlet_masters(const void *self, struct endpoint *out, uint32_t max)
{
	return sink_masters(((const struct server_outlet *)self)->sink, out, max);
}

static bool outlet_sync(void *self, struct error *error)
{
	return dispatch_sync(((struct server_outlet *)self)->dispatch, error);
}

static void outlet_snapshot_kept(void *self)
{
	dispatch_snapshot_kept(((struct server_outlet *)self)->dispatch);
}

static bool outlet_half_done(const void *self)
{
	return dispatch_half_done(((const struct server_outlet *)self)->dispatch);
}

static const struct mark *outlet_refused(const void *self, uint32_t *ret_count)
{
	const struct server_outlet *outlet = self;

	*ret_count = 0;
	return outlet->sink ? sink_refused(outlet->sink, ret_count) : NULL;
}

static bool outlet_settle(void *self)
{
	return sink_settle(((struct server_outlet *)self)->sink);
}

static void outlet_free(void *self)
{
	struct server_outlet *outlet = self;

	sink_free(outlet->sink);
	dispatch_free(outlet->dispatch);
	free(outlet);
}

static const struct outlet_ops ops = {
	.free = outlet_free,
	.begin = outlet_begin,
	.commands = outlet_commands,
	.set_times = outlet_set_times,
	.event = outlet_event,
	.ready = outlet_ready,
	.has_room = outlet_has_room,
	.idle = outlet_idle,
	.unsure = outlet_unsure,
	.at_barrier = outlet_at_barrier,
	.in_transaction = outlet_in_transaction,
	.flush = outlet_flush,
	.applied = outlet_applied,
	.kept = outlet_kept,
	.witnesses = outlet_witnesses,
	.sync = outlet_sync,
	.snapshot_kept = outlet_snapshot_kept,
	.half_done = outlet_half_done,
	.refused = outlet_refused,
	.settle = outlet_settle,
	.status = outlet_status,
	.masters = outlet_masters,
};

struct outlet server_outlet_new(const struct server_outlet_options *options, const struct outlet_events *events, void *owner)
{
	struct server_outlet *outlet = memory_alloc_zero(1, sizeof(*outlet));
	struct dispatch_options dispatch = {
		.loop = options->loop,
		.task = options->task,
		.target = options->target,
		.topology = options->topology,
		.abilities = options->abilities,
		.only_link = options->only_link,
		.owns = options->owns,
		.owns_owner = options->owns_owner,
		.names_path = options->names_path,
		.brought_before = options->brought_before,
		.name = options->name,
		.lag = options->lag,
		.scripts = options->scripts,
		.note = on_note,
		.go_on = on_go_on,
		.save = on_save,
		.beyond_repair = on_beyond_repair,
		.owner = outlet,
	};

	outlet->options = *options;
	outlet->events = events;
	outlet->owner = owner;
	outlet->dispatch = dispatch_new(&dispatch);
	return (struct outlet){&ops, outlet};
}
