#include "link/applier_state.h"

#include "base/clock.h"
#include "base/memory.h"
#include "link/server_outlet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTION_EVENTS 4096 /* decoded before replies are looked at again */
#define PORTION_BYTES (1u << 20)
#define VIEW_STEP (4u << 20) /* how much of the spool is looked at at once; more where one event is larger */
#define STATE_INTERVAL_MS 1000
#define SNAPSHOT_TRAILER 9 /* EOF opcode and CRC64 */

static void run(struct applier *applier);

void applier_fail(struct applier *applier, enum run_state state, const struct error *error)
{
	bool told = applier->run_state == STUCK || applier->run_state == ENDED;

	/* What is in flight at a failed target will not be answered any more. */
	if (applier->run_state == DRAINING)
		timer_start(applier->deadline, 0);
	if (applier->run_state != ENDED)
		applier->run_state = state;
	if (!told)
		applier->events->failed(applier->owner, error);
}

/* ---- status ---- */

static void on_state_timer(void *owner)
{
	struct applier *applier = owner;
	bool waited = applier->save_failed || !applier_epoch_is_saved(applier);

	applier_save_state(applier, false);
	applier_release_saved(applier);
	applier_keep(applier);
	if (applier->published.streaming)
		lag_sample(&applier->lag, applier->published.applied_offset);
	if (waited && !applier->save_failed)
		idle_start(applier->again);
}

static void tell_masters(struct applier *applier, uint64_t number)
{
	struct target_masters *masters = applier->options.masters;
	struct endpoint *list;

	if (!masters || !applier->outlet.ops->masters || number == applier->masters_told)
		return;
	applier->masters_told = number;
	list = memory_alloc(TOPOLOGY_SHARDS_MAX * sizeof(list[0]));
	target_masters_tell(masters, list, applier->outlet.ops->masters(applier->outlet.self, list, TOPOLOGY_SHARDS_MAX));
	free(list);
}

void applier_publish(struct applier *applier)
{
	struct applier_status status = {0};
	struct outlet_status outlet;
	char fence[128];
	uint64_t snapshot_end = spool_snapshot_end(applier->options.spool);
	uint32_t db;

	applier_low_water(applier, &status.position, &db);
	status.generation = applier->generation;
	/* Parked between two generations, positions mean nothing. */
	status.streaming = applier->run_state != PARKING && applier->run_state != PARKED && applier->generation > 0 &&
			   applier->generation == spool_origin(applier->options.spool).generation &&
			   !applier_in_snapshot(applier, status.position);
	status.applied_offset = status.streaming ? spool_offset_before(applier->options.spool, status.position) : -1;
	lag_applied(&applier->lag, status.position, status.applied_offset);
	status.caught_up = applier->lag.caught_up;
	status.snapshot_bytes_done = status.position < snapshot_end ? status.position : snapshot_end;
	status.bytes_done = status.position - applier->applied_at_start;
	status.lag_ms = lag_ms(&applier->lag, status.applied_offset);
	applier->outlet.ops->status(applier->outlet.self, &outlet);
	tell_masters(applier, outlet.masters_number);
	status.dispatch = outlet.dispatch;
	status.sink = outlet.sink;
	status.sink.conflicts += status.dispatch.conflicts;
	status.rollbacks = applier->rollbacks;
	status.rollback_bytes = applier->rollback_bytes;
	status.file_bytes = outlet.file_bytes;
	status.finished = applier->finished;
	snprintf(status.waiting_for, sizeof(status.waiting_for), "%.250s",
		 outlet.waiting_for[0] ? outlet.waiting_for : applier_fence_text(applier, fence));
	if (applier->options.handover)
		status.handover = handover_counters(applier->options.handover, applier->options.member);
	status.expiry_form = applier->expiry.times.form;
	status.expiry_ready = applier->expiry.ready && status.streaming;
	status.expiry_switches = applier->expiry.switches;
	status.last_move = outlet.last_move;
	pthread_mutex_lock(&applier->lock);
	applier->published = status;
	pthread_mutex_unlock(&applier->lock);
}

static const char *form_text(const struct expiry *expiry)
{
	switch (expiry->times.form) {
	case GUARD_HELD: return "held: the target expires nothing by itself while the link is behind";
	case GUARD_LIVE: return "given as they are, with the margin: the link is in step";
	case GUARD_OFF:
	case GUARD_IMPORT: break;
	}
	return "given as they are";
}

static void keep_expiries(struct applier *applier)
{
	struct expiry_view view = {.caught_up = applier->lag.caught_up, .decoded = applier->position};
	uint32_t db;

	if (!applier->begun || !applier->outlet.ops->set_times)
		return;
	applier_low_water(applier, &view.applied, &db);
	view.behind_ms = applier_in_snapshot(applier, view.applied)
				 ? -1
				 : lag_behind_ms(&applier->lag, spool_offset_before(applier->options.spool, view.applied));
	if (!expiry_update(&applier->expiry, &view))
		return;
	applier->outlet.ops->set_times(applier->outlet.self, &applier->expiry.times);
	applier_note(applier, LOG_INFO, "times of expiry are from now on %s", form_text(&applier->expiry));
}

/* Once it is applied: what it brought, what it cost, and where the stream begins. Of files there is none. */
static void tell_snapshot(struct applier *applier)
{
	struct incident incident;
	struct outlet_status outlet;
	const struct clearing_leftovers *leftovers = &outlet.dispatch.leftovers;
	double seconds = (double)(clock_monotonic_us() - applier->snapshot_since_us) / 1e6;
	uint64_t position;
	int64_t offset;
	uint32_t db;

	applier_low_water(applier, &position, &db);
	if (!applier->snapshot_due || applier_in_snapshot(applier, position) || applier->run_state == PARKED)
		return;
	applier->snapshot_due = false;
	applier->outlet.ops->status(applier->outlet.self, &outlet);
	offset = spool_offset_before(applier->options.spool, spool_snapshot_end(applier->options.spool));
	incident = incident_make(INCIDENT_SNAPSHOT_APPLIED, offset,
				 "the snapshot is applied: %llu keys in %.1f s; the stream follows from offset %lld",
				 (unsigned long long)outlet.sink.keys, seconds, (long long)offset);
	incident_add_cost(&incident, "seconds", seconds);
	incident_add_cost(&incident, "keys", (double)outlet.sink.keys);
	if (leftovers->passes > applier->leftover_passes) {
		incident_add_text(
			&incident,
			"; the target had %llu keys of this link that the new snapshot has not: removed in %.1f s, among %llu looked at%s",
			(unsigned long long)leftovers->removed, (double)leftovers->us / 1e6,
			(unsigned long long)leftovers->looked_at,
			leftovers->unclear
				? "; some stay, because they may have come from another database or source master as well"
				: "");
		incident_add_cost(&incident, "keys_removed", (double)leftovers->removed);
	}
	applier->leftover_passes = leftovers->passes;
	applier->events->tell(applier->owner, &incident);
}

static void on_publish_timer(void *owner)
{
	keep_expiries(owner);
	applier_tell_handover(owner);
	applier_join_round(owner);
	tell_snapshot(owner);
	applier_publish(owner);
	applier_check_patience(owner);
}

struct applier_status applier_status(struct applier *applier)
{
	struct applier_status status;

	pthread_mutex_lock(&applier->lock);
	status = applier->published;
	pthread_mutex_unlock(&applier->lock);
	return status;
}

/* ---- decoding ---- */

static enum parse decode(struct applier *applier, struct slice in, struct event *event, uint64_t *need, uint64_t *scanned,
			 struct error *error)
{
	enum parse outcome;

	*scanned = 0;
	if (!applier->snapshot)
		return stream_decode(applier->stream, in, applier->position, event, need, error);
	outcome = snapshot_decode(applier->snapshot, in, applier->position, event, need, scanned, error);
	applier->place = snapshot_decoder_place(applier->snapshot);
	return outcome;
}

/* An event that is not whole while the spool is full: it can never be. */
static void check_stuck(struct applier *applier)
{
	bool transaction = applier->outlet.ops->in_transaction(applier->outlet.self);
	char place[EVENT_PLACE_MAX];
	struct error error;
	uint64_t position;
	uint32_t db;

	applier_low_water(applier, &position, &db);
	if (spool_room(applier->options.spool) > 0 || applier->released < position)
		return;
	error_set(&error, ERROR_CONFLICT, "one %s at %s is larger than the spool may be (%llu bytes, spool.max_size)",
		  applier->snapshot ? "value"
		  : transaction     ? "transaction, up to the command"
				    : "command",
		  event_place_text(applier_offset_at(applier, applier->position), applier->position, place),
		  (unsigned long long)applier->options.task->spool_max_size);
	error_hint(&error, "Raise spool.max_size above the size of the largest value of the source");
	applier_fail(applier, STUCK, &error);
}

/* Another limit begins with nothing spent. */
static void take_limits(struct applier *applier)
{
	uint64_t records = atomic_load_explicit(&applier->records_wanted, memory_order_relaxed),
		 bytes = atomic_load_explicit(&applier->bytes_wanted, memory_order_relaxed);

	if (records != applier->records.per_second)
		limit_init(&applier->records, records);
	if (bytes != applier->bytes.per_second)
		limit_init(&applier->bytes, bytes);
}

static bool may_go_on(struct applier *applier)
{
	uint64_t now, wait = 0;

	if (!applier->records.per_second && !applier->bytes.per_second)
		return true;
	now = clock_monotonic_us();
	if (!limit_ready(&applier->records, now, &wait) || !limit_ready(&applier->bytes, now, &wait)) {
		timer_start(applier->limit_timer, wait);
		return false;
	}
	return true;
}

static uint64_t available(const struct applier *applier)
{
	uint64_t end = spool_end(applier->options.spool);
	uint64_t snapshot_end = spool_snapshot_end(applier->options.spool);

	/* The snapshot's last bytes (EOF and checksum) are decoded only once the receiver has found that checksum right. */
	if (applier->snapshot && snapshot_end == SPOOL_UNKNOWN)
		end = end > SNAPSHOT_TRAILER ? end - SNAPSHOT_TRAILER : 0;
	else if (applier->snapshot && end > snapshot_end)
		end = snapshot_end;
	/* After a crash the spool may end before what was applied: the source sends it again. */
	return end > applier->position ? end - applier->position : 0;
}

/* What cannot be decoded does not get better by waiting; a decoder knows no replication offset. */
static void name_damage(const struct applier *applier, struct error *error)
{
	char place[EVENT_PLACE_MAX];

	if (!applier->snapshot)
		error_prefix(error, "%s",
			     event_place_text(applier_offset_at(applier, applier->position), applier->position, place));
	if (!error->hint[0])
		error_hint(error,
			   "The source sent what keyferry does not understand, or the work directory is damaged: begin anew with "
			   "an empty work directory and target.existing: merge; should it come again, please report it");
}

/* Handles what was decoded. False: the link has to stop. */
static bool handle(struct applier *applier, struct event *event, struct error *error)
{
	uint32_t db = applier->snapshot ? applier->place.db : stream_decoder_database(applier->stream);

	event->offset = applier_offset_at(applier, event->start);
	if (applier->arrival) {
		applier_begin_copy(applier, event);
		return true;
	}
	if (event->kind == EVENT_KEY || event->kind == EVENT_COMMAND)
		limit_spend(&applier->records, 1);
	if (event->kind == EVENT_SNAPSHOT_END) {
		snapshot_decoder_free(applier->snapshot);
		applier->snapshot = NULL;
	}
	/* Answered with what is applied now, as a busy replica does. */
	if (event->ask_getack)
		applier_tell_applied(applier, true);
	return applier->outlet.ops->event(applier->outlet.self, event, db, &applier->place, error);
}

enum portion { PORTION_MORE, PORTION_DONE, PORTION_FINISHED, PORTION_FAILED };

/* MORE: the next event may be decoded. */
static enum portion ask_ready(struct applier *applier, struct error *error)
{
	switch (applier->outlet.ops->ready(applier->outlet.self, error)) {
	case OUTLET_READY: return PORTION_MORE;
	case OUTLET_WAITS: return PORTION_DONE;
	case OUTLET_DONE: return PORTION_FINISHED;
	case OUTLET_FAILED: break;
	}
	return PORTION_FAILED;
}

/* Decodes a portion. MORE: there is more to do at once. */
static enum portion run_portion(struct applier *applier, struct error *error)
{
	uint64_t have = available(applier);
	uint64_t len = applier->need > VIEW_STEP ? applier->need : VIEW_STEP;
	uint64_t first = applier->position;
	const uint8_t *data;
	uint32_t events = 0;

	take_limits(applier);
	if (len > have)
		len = have;
	if (have == 0 || have < applier->need)
		return PORTION_DONE;
	data = spool_view(applier->options.spool, applier->position, len, error);
	if (!data)
		return PORTION_FAILED;
	while (events < PORTION_EVENTS && applier->position - first < PORTION_BYTES) {
		uint64_t at = applier->position - first, need = 0, scanned;
		bool was_snapshot = applier->snapshot != NULL;
		enum portion ready;
		struct event event;

		if (!applier->outlet.ops->has_room(applier->outlet.self) || !may_go_on(applier))
			return PORTION_DONE;
		if (at == len)
			return PORTION_MORE;
		switch (decode(applier, slice_make(data + at, (size_t)(len - at)), &event, &need, &scanned, error)) {
		case PARSE_BAD: name_damage(applier, error); return PORTION_FAILED;
		case PARSE_MORE:
			applier->need = need;
			spool_unload(applier->options.spool, applier->position, applier->position + scanned);
			return have - at >= need ? PORTION_MORE : PORTION_DONE; /* there already: a larger view */
		case PARSE_OK: break;
		}
		applier->need = 0;
		applier->position = event.end;
		limit_spend(&applier->bytes, event.end - event.start);
		events++;
		if (applier->options.handover && !applier_take_import(applier, &event, error)) {
			name_damage(applier, error);
			return PORTION_FAILED;
		}
		if (applier->options.handover && !applier_may_apply(applier, &event)) {
			applier->held = event;
			return PORTION_DONE;
		}
		if (!handle(applier, &event, error))
			return PORTION_FAILED;
		if (applier->copying.active || applier->anew)
			return PORTION_MORE;
		ready = ask_ready(applier, error);
		if (ready != PORTION_MORE)
			return ready;
		if (was_snapshot && !applier->snapshot)
			return PORTION_MORE;
	}
	return PORTION_MORE;
}

/* The event that another link's had to come before. */
static enum portion run_held(struct applier *applier, struct error *error)
{
	if (!applier_may_go_on(applier))
		return PORTION_DONE;
	return handle(applier, &applier->held, error) ? ask_ready(applier, error) : PORTION_FAILED;
}

/* What came by atomic migration. */
static enum portion run_copy(struct applier *applier, struct error *error)
{
	if (!may_go_on(applier))
		return PORTION_DONE;
	switch (applier_copy(applier, error)) {
	case COPY_OVER: return PORTION_MORE;
	case COPY_GOES_ON: idle_start(applier->again); return PORTION_DONE;
	case COPY_WAITS: return PORTION_DONE;
	case COPY_FAILED: break;
	}
	return PORTION_FAILED;
}

/* There is an event, or a transaction, that is not whole yet, and everything before it is answered. */
static bool awaits_rest(const struct applier *applier)
{
	const struct outlet *outlet = &applier->outlet;

	return !applier->is_held && (applier->need > 0 || outlet->ops->in_transaction(outlet->self)) &&
	       outlet->ops->idle(outlet->self);
}

/* If the spool is full now, then for good: unless a release makes room. */
static void make_room(struct applier *applier)
{
	if (spool_room(applier->options.spool) > 0)
		return;
	applier_release(applier, true);
	check_stuck(applier);
}

/* The file is complete: what the source sends from now on is nobody's. */
static void finish(struct applier *applier)
{
	applier->finished = true;
	applier->run_state = ENDED;
	applier_write_state(applier, true);
	applier_publish(applier);
	applier->events->finished(applier->owner);
}

static void run(struct applier *applier)
{
	enum portion portion;
	struct error error;

	if (applier->run_state != RUNNING || applier->running || applier->fell || applier->anew)
		return;
	if (spool_origin(applier->options.spool).generation != applier->generation)
		applier_begin(applier, NULL);
	if (applier->generation == 0)
		return;
	if (!applier->begun) {
		applier_fail(applier, STUCK, &applier->begin_error);
		return;
	}
	/* Before anything is sent: marks of an epoch that nobody remembers would be worth nothing. */
	if (!applier_epoch_is_saved(applier)) {
		applier_save_state(applier, false);
		if (applier->save_failed)
			return;
	}
	applier->running = true;
	portion = ask_ready(applier, &error);
	if (portion == PORTION_MORE && applier->is_held)
		portion = run_held(applier, &error);
	if (portion == PORTION_MORE && applier->copying.active)
		portion = run_copy(applier, &error);
	if (portion == PORTION_MORE && !applier->copying.active && !applier->anew)
		portion = run_portion(applier, &error);
	applier->outlet.ops->flush(applier->outlet.self);
	/* Where nothing went to the target (PING, GETACK, what is left out), no reply tells of it: a source that shuts down waits for this. */
	applier_tell_applied(applier, false);
	applier_tell_handover(applier);
	applier_let_go(applier);
	applier->running = false;
	if (portion == PORTION_FAILED) {
		applier_fail(applier, STUCK, &error);
	} else if (portion == PORTION_FINISHED) {
		finish(applier);
	} else if (portion == PORTION_MORE) {
		idle_start(applier->again);
	} else if (awaits_rest(applier)) {
		make_room(applier);
	}
}

static void on_again(void *owner)
{
	struct applier *applier = owner;

	if (applier->fell)
		applier_go_back(applier);
	else if (applier->anew && applier->run_state == RUNNING)
		applier_begin_anew(applier);
	else if (applier->run_state == DRAINING)
		applier_check_quiet(applier);
	else
		run(applier);
}

static void on_go_on(void *owner)
{
	idle_start(((struct applier *)owner)->again);
}

/* ---- the outlet's callbacks ---- */

static void on_room(void *owner)
{
	run(owner);
}

static void on_applied(void *owner)
{
	struct applier *applier = owner;
	uint64_t position;
	uint32_t db;

	applier_low_water(applier, &position, &db);
	lag_applied(&applier->lag, position,
		    applier_in_snapshot(applier, position) ? -1 : spool_offset_before(applier->options.spool, position));
	applier_tell_applied(applier, false);
	applier_tell_handover(applier);
	applier_save_retried(applier);
	applier_release(applier, false);
	if (applier->run_state == PARKING || applier->run_state == DRAINING)
		applier_check_quiet(applier);
	else if (applier->outlet.ops->at_barrier(applier->outlet.self) || awaits_rest(applier) || applier->copying.waits)
		idle_start(applier->again);
}

static void on_outlet_failed(void *owner, const struct error *error)
{
	applier_fail(owner, ENDED, error);
}

static void on_outlet_note(void *owner, int log_level, const char *text)
{
	struct applier *applier = owner;

	applier->events->note(applier->owner, log_level, text);
}

/* The outlet cannot be begun again within its own call. */
static void on_fell(void *owner, const struct outlet_fall *fall)
{
	struct applier *applier = owner;

	applier->fell = true;
	applier->fall = *fall;
	idle_start(applier->again);
}

static void on_outlet_tell(void *owner, const struct incident *incident)
{
	struct applier *applier = owner;

	applier->events->tell(applier->owner, incident);
}

static bool on_save(void *owner)
{
	return applier_write_state(owner, false);
}

static const struct outlet_events outlet_callbacks = {on_go_on,       on_room,        on_applied, on_outlet_failed,
						      on_outlet_note, on_outlet_tell, on_fell,    on_save};

/* ---- generations ---- */

/* Begins with the spool's present generation; at `state` when it belongs to it. */
void applier_begin(struct applier *applier, const struct link_state *state)
{
	struct spool *spool = applier->options.spool;

	/* A new snapshot has marks of its own. Without marks there is none: those of an earlier run mean nothing once this one has gone on. */
	if (!applier_is_marked(&applier->options))
		applier->epoch[0] = '\0';
	else if (state && state->epoch[0])
		memcpy(applier->epoch, state->epoch, sizeof(applier->epoch));
	else
		mark_random(applier->epoch, MARK_EPOCH_LEN);
	applier->marker.refused = state ? state->refused : NULL;
	applier->marker.refused_count = state ? state->refused_count : 0;
	applier->marker.life++;
	applier->marker.witnesses = state ? state->witnesses : NULL;
	applier->marker.witness_count = state ? state->witness_count : 0;
	if (!state && applier->options.scripts)
		scripts_begin(applier->options.scripts);
	applier->generation = spool_origin(spool).generation;
	applier->lent = false;
	applier->position = state ? state->position : 0;
	applier->need = 0;
	applier->unloaded = applier->applied_at_start = applier->position;
	applier_end_copy(applier);
	applier->anew = false;
	if (state)
		imports_rewind(&applier->imports, applier->position);
	else
		imports_free(&applier->imports);
	applier->released = applier_keep_imports(applier, applier->position);
	applier->sample_count = 0;
	applier_let_held_go(applier);
	lag_init(&applier->lag, applier->options.heartbeat, applier->options.task->heartbeat_interval_ms,
		 applier->options.delays);
	snapshot_decoder_free(applier->snapshot);
	applier->snapshot = NULL;
	stream_decoder_free(applier->stream);
	applier->stream = stream_decoder_new(applier->outlet.ops->commands(applier->outlet.self));
	applier->place = (struct snapshot_place){0};
	applier->snapshot_due = applier->options.heartbeat && applier_in_snapshot(applier, applier->position);
	applier->snapshot_since_us = clock_monotonic_us();
	if (applier_in_snapshot(applier, applier->position)) {
		applier->snapshot = snapshot_decoder_new();
		if (state) {
			applier->place = state->place;
			snapshot_decoder_resume(applier->snapshot, state->place);
		}
	} else if (state) {
		stream_decoder_resume(applier->stream, state->db);
	}
	/* The spool keeps whole segments: what lies before the position in the first one is done with. After a power cut it may end before. */
	if (applier->released > spool_begin_position(spool) && applier->released <= spool_end(spool))
		spool_release(spool, applier->released);
	applier->begun = applier->outlet.ops->begin(applier->outlet.self, state, &applier->begin_error);
	expiry_begin(&applier->expiry, &applier->options.expiry);
	if (applier->outlet.ops->set_times)
		applier->outlet.ops->set_times(applier->outlet.self, &applier->expiry.times);
	applier_tell_handover(applier);
	/* From now on more may have been sent than the state file says. */
	if (state && state->clean)
		applier_save_state(applier, false);
	applier_publish(applier);
}

/* ---- public ---- */

static void on_deadline(void *owner)
{
	applier_quiet(owner);
}

void applier_wake(struct applier *applier)
{
	if (applier->run_state == PARKED && spool_origin(applier->options.spool).generation != applier->generation)
		applier->run_state = RUNNING;
	run(applier);
}

struct applier *applier_new(const struct applier_options *options, const struct link_state *state,
			    const struct applier_events *events, void *owner)
{
	struct applier *applier = memory_alloc_zero(1, sizeof(*applier));
	struct server_outlet_options server = {
		.loop = options->loop,
		.task = options->task,
		.target = options->target,
		.topology = options->topology,
		.abilities = options->abilities,
		.names_path = options->names_path,
		.brought_before = options->brought_before,
		.only_link = options->only_link,
		.owns = options->owns,
		.owns_owner = options->owns_owner,
		.name = options->name,
		.spool = options->spool,
		.lag = &applier->lag,
		.scripts = options->scripts,
		.tally = options->tally,
		.marker = applier_is_marked(options) ? &applier->marker : NULL,
	};
	struct recorder_options recorder = {
		.loop = options->loop,
		.task = options->task,
		.file = options->file,
		.abilities = options->abilities,
		.spool = options->spool,
		.lag = &applier->lag,
		.scripts = options->scripts,
		.tally = options->tally,
	};

	applier->options = *options;
	applier->events = events;
	applier->owner = owner;
	applier->saved = link_state_copy(state);
	memcpy(applier->link, state->link, sizeof(applier->link));
	snprintf(applier->task, sizeof(applier->task), "%s",
		 state->task[0]        ? state->task
		 : options->task->name ? options->task->name
				       : "");
	applier->marker = (struct marker_options){
		.task = applier->task,
		.link = applier->link,
		.epoch = applier->epoch,
		.token = options->token,
		.turn = &applier->turn,
		.source = options->source_name,
	};
	pthread_mutex_init(&applier->lock, NULL);
	applier_limit(applier, options->task->limit_records_per_second, options->task->limit_bytes_per_second);
	applier->limit_timer = timer_new(options->loop, on_again, applier);
	applier->state_timer = timer_new(options->loop, on_state_timer, applier);
	applier->publish_timer = timer_new(options->loop, on_publish_timer, applier);
	applier->deadline = timer_new(options->loop, on_deadline, applier);
	applier->again = idle_new(options->loop, on_again, applier);
	applier->fence_timer = timer_new(options->loop, on_again, applier);
	applier->restore_asking = command_lookup(1, (const struct slice[]){SLICE("RESTORE-ASKING")});
	timer_repeat(applier->state_timer, STATE_INTERVAL_MS, STATE_INTERVAL_MS);
	timer_repeat(applier->publish_timer, APPLIER_PUBLISH_MS, APPLIER_PUBLISH_MS);
	applier->published.applied_offset = applier->published.lag_ms = -1;
	applier->outlet = options->file ? recorder_new(&recorder, &outlet_callbacks, applier)
					: server_outlet_new(&server, &outlet_callbacks, applier);
	lag_init(&applier->lag, options->heartbeat, options->task->heartbeat_interval_ms, options->delays);
	if (state->generation > 0 && state->generation == spool_origin(options->spool).generation) {
		if (!imports_take(&applier->imports, state->imports))
			applier_note(applier, LOG_WARNING,
				     "what the state file says of slots that are on their way here cannot be read");
		applier_begin(applier, state);
	}
	return applier;
}

void applier_limit(struct applier *applier, uint64_t records_per_second, uint64_t bytes_per_second)
{
	atomic_store_explicit(&applier->records_wanted, records_per_second, memory_order_relaxed);
	atomic_store_explicit(&applier->bytes_wanted, bytes_per_second, memory_order_relaxed);
}

void applier_free(struct applier *applier)
{
	if (!applier)
		return;
	if (applier->options.handover)
		applier_let_held_go(applier);
	snapshot_decoder_free(applier->snapshot);
	stream_decoder_free(applier->stream);
	applier->outlet.ops->free(applier->outlet.self);
	applier_end_copy(applier);
	arena_free(&applier->copying.arena);
	free(applier->copying.keys);
	imports_free(&applier->imports);
	free((void *)applier->saved.refused);
	idle_free(applier->again);
	timer_free(applier->limit_timer);
	timer_free(applier->state_timer);
	timer_free(applier->publish_timer);
	timer_free(applier->deadline);
	timer_free(applier->fence_timer);
	pthread_mutex_destroy(&applier->lock);
	free(applier->witnesses);
	free(applier);
}
