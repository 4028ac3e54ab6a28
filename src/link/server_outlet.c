#include "link/server_outlet.h"

#include "base/memory.h"
#include "spool/spool.h"

#include <stdlib.h>

#define LOST_TAIL_MAX (64u << 20) /* of the spool, in a crash: what was received and not yet on the disk */

struct server_outlet {
	struct server_outlet_options options;
	const struct outlet_events *events;
	void *owner;
	struct dispatch *dispatch;
	struct sink *sink; /* NULL before the first generation */
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

static const struct sink_events sink_callbacks = {on_room, on_applied, on_failed, on_note, on_tell};

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
		.marker = outlet->options.marker,
	};

	(void)error;
	sink_free(outlet->sink);
	outlet->sink = sink_new(&options, &sink_callbacks, outlet);
	dispatch_begin(outlet->dispatch, outlet->sink,
		       &(struct dispatch_start){.own_data = state || generation > 1,
						.generation = generation,
						.position = options.position,
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

static bool outlet_event(void *self, const struct event *event, uint32_t db_stream, const struct snapshot_place *place, struct error *error)
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
	ret->sink = sink_counters(outlet->sink);
	ret->sink.script_errors += ret->dispatch.crossings.script_errors;
	ret->sink.commands += ret->dispatch.crossings.commands;
	ret->waiting_for = sink_waiting_for(outlet->sink);
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
	.sync = outlet_sync,
	.snapshot_kept = outlet_snapshot_kept,
	.half_done = outlet_half_done,
	.refused = outlet_refused,
	.settle = outlet_settle,
	.status = outlet_status,
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
		.owner = outlet,
	};

	outlet->options = *options;
	outlet->events = events;
	outlet->owner = owner;
	outlet->dispatch = dispatch_new(&dispatch);
	return (struct outlet){&ops, outlet};
}
