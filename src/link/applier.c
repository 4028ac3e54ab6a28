#include "link/applier.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "decode/stream.h"
#include "link/dispatch.h"
#include "link/limit.h"
#include "sink/marker.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTION_EVENTS 4096       /* decoded before replies are looked at again */
#define PORTION_BYTES (1u << 20)
#define VIEW_STEP (4u << 20)      /* how much of the spool is looked at at once; more where one event is larger */
#define UNLOAD_STEP (1u << 20)
#define RELEASE_STEP (16u << 20)  /* at most; the spool gives back whole segments */
#define STATE_INTERVAL_MS 1000
#define PUBLISH_INTERVAL_MS 50
#define LOST_TAIL_MAX (64u << 20) /* of the spool, in a crash: what was received and not yet on the disk */
#define SNAPSHOT_TRAILER 9        /* EOF opcode and CRC64 */

enum run_state {
	RUNNING,
	PARKING,
	PARKED,
	DRAINING,
	STUCK, /* failed at an event that could not be decoded or sent; what lies before it is still answered */
	ENDED,
};

struct applier {
	struct applier_options options;
	const struct applier_events *events;
	void *owner;
	enum run_state run_state;
	struct sink *sink;                 /* NULL while parked */
	uint64_t generation;
	struct snapshot_decoder *snapshot; /* NULL once in the stream */
	struct stream_decoder *stream;
	struct dispatch *dispatch;
	struct lag lag;
	struct expiry expiry;
	struct snapshot_place place;       /* as of the last decoded event */
	uint64_t position;                 /* next event to decode */
	uint64_t need;                     /* bytes from `position` that make decoding worth it */
	struct limit records, bytes;
	struct timer *limit_timer, *state_timer, *publish_timer, *deadline;
	struct idle *again;
	uint64_t released, unloaded;
	struct link_state saved;           /* what the state file says */
	char link[MARK_ID_LEN + 1], epoch[MARK_EPOCH_LEN + 1], task[101];
	struct marker_options marker;
	bool save_failed;                  /* at the last attempt */
	uint64_t applied_at_start;
	bool running;                      /* within run(): callbacks of the sink do not enter it again */
	pthread_mutex_t lock;              /* of `published` */
	struct applier_status published;
};

static void run(struct applier *applier);
static void note(struct applier *applier, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

static void note(struct applier *applier, enum log_level level, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	applier->events->note(applier->owner, (int)level, text);
}

static void fail(struct applier *applier, enum run_state state, const struct error *error)
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

/* ---- position, state, lag ---- */

static void low_water(const struct applier *applier, uint64_t *position, uint32_t *db)
{
	if (applier->sink) {
		sink_applied(applier->sink, position, db);
	} else {
		*position = applier->position;
		*db = 0;
	}
}

static bool in_snapshot_at(const struct applier *applier, uint64_t position)
{
	return position < spool_snapshot_end(applier->options.spool);
}

/* Of the stream's byte at `position`. */
static int64_t offset_at(const struct applier *applier, uint64_t position)
{
	return in_snapshot_at(applier, position) ? EVENT_IN_SNAPSHOT : spool_offset_of(applier->options.spool, position);
}

static void save_state(struct applier *applier, bool clean)
{
	struct link_state state = {.generation = applier->generation, .clean = clean};
	struct scripts *scripts = applier->options.scripts;
	struct error error;

	if (applier->generation == 0 || !applier->sink)
		return;
	low_water(applier, &state.position, &state.db);
	/* The place is that of the last decoded event; version and family are the same in the whole snapshot, the database is kept by the window. */
	state.place = applier->place;
	state.place.db = state.db;
	memcpy(state.link, applier->link, sizeof(state.link));
	memcpy(state.task, applier->task, sizeof(state.task));
	memcpy(state.epoch, applier->epoch, sizeof(state.epoch));
	state.refused = sink_refused(applier->sink, &state.refused_count);
	if (state.position == applier->saved.position && state.generation == applier->saved.generation && clean == applier->saved.clean &&
	    strcmp(state.epoch, applier->saved.epoch) == 0 && state.refused_count == applier->saved.refused_count)
		return;
	applier->save_failed = (scripts && !scripts_keep(scripts, &error)) || !link_state_write(applier->options.state_path, &state, &error);
	if (applier->save_failed) {
		note(applier, LOG_WARNING, "%s. %s; it is tried again each second", error.text, error.hint);
		return;
	}
	applier->saved = state;
	if (scripts)
		scripts_applied(scripts, state.position);
}

static void tell_applied(const struct applier *applier, bool now)
{
	uint64_t position;
	uint32_t db;

	low_water(applier, &position, &db);
	if (!in_snapshot_at(applier, position))
		applier->options.source.ops->set_applied(applier->options.source.self, spool_offset_before(applier->options.spool, position), now);
}

static void on_state_timer(void *owner)
{
	struct applier *applier = owner;
	bool waited = strcmp(applier->saved.epoch, applier->epoch) != 0;

	save_state(applier, false);
	if (waited && !applier->save_failed)
		idle_start(applier->again);
}

static void publish(struct applier *applier)
{
	struct applier_status status = {0};
	uint64_t snapshot_end = spool_snapshot_end(applier->options.spool);
	uint32_t db;

	low_water(applier, &status.position, &db);
	/* Parked between two generations, positions mean nothing. */
	status.streaming = applier->generation > 0 && applier->generation == spool_origin(applier->options.spool).generation &&
			   !in_snapshot_at(applier, status.position);
	status.applied_offset = status.streaming ? spool_offset_before(applier->options.spool, status.position) : -1;
	lag_applied(&applier->lag, status.position, status.applied_offset);
	status.caught_up = applier->lag.caught_up;
	status.snapshot_bytes_done = status.position < snapshot_end ? status.position : snapshot_end;
	status.bytes_done = status.position - applier->applied_at_start;
	status.lag_ms = lag_ms(&applier->lag, status.applied_offset);
	status.expiry_form = applier->expiry.times.form;
	status.expiry_ready = applier->expiry.ready && status.streaming;
	status.last_move = dispatch_last_move(applier->dispatch);
	status.dispatch = dispatch_counters(applier->dispatch);
	if (applier->sink) {
		status.sink = sink_counters(applier->sink);
		status.sink.conflicts += status.dispatch.conflicts;
		snprintf(status.waiting_for, sizeof(status.waiting_for), "%.250s", sink_waiting_for(applier->sink));
	}
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

	if (!applier->sink)
		return;
	low_water(applier, &view.applied, &db);
	view.behind_ms = in_snapshot_at(applier, view.applied)
				 ? -1
				 : lag_behind_ms(&applier->lag, spool_offset_before(applier->options.spool, view.applied));
	if (!expiry_update(&applier->expiry, &view))
		return;
	dispatch_set_times(applier->dispatch, &applier->expiry.times);
	note(applier, LOG_INFO, "times of expiry are from now on %s", form_text(&applier->expiry));
}

static void on_publish_timer(void *owner)
{
	keep_expiries(owner);
	publish(owner);
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

static enum parse decode(struct applier *applier, struct slice in, struct event *event, uint64_t *need, uint64_t *scanned, struct error *error)
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
	bool transaction = dispatch_in_transaction(applier->dispatch);
	char place[EVENT_PLACE_MAX];
	struct error error;
	uint64_t position;
	uint32_t db;

	low_water(applier, &position, &db);
	if (spool_room(applier->options.spool) > 0 || applier->released < position)
		return;
	error_set(&error, ERROR_CONFLICT, "one %s at %s is larger than the spool may be (%llu bytes, spool.max_size)",
		  applier->snapshot ? "value" : transaction ? "transaction, up to the command" : "command",
		  event_place_text(offset_at(applier, applier->position), applier->position, place),
		  (unsigned long long)applier->options.task->spool_max_size);
	error_hint(&error, "Raise spool.max_size above the size of the largest value of the source");
	fail(applier, STUCK, &error);
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
		error_prefix(error, "%s", event_place_text(offset_at(applier, applier->position), applier->position, place));
	if (!error->hint[0])
		error_hint(error, "The source sent what keyferry does not understand, or the work directory is damaged: begin anew with "
			   "an empty work directory and target.existing: merge; should it come again, please report it");
}

/* Handles what was decoded. False: the link has to stop. */
static bool handle(struct applier *applier, struct event *event, struct error *error)
{
	uint32_t db = applier->snapshot ? applier->place.db : stream_decoder_database(applier->stream);

	event->offset = offset_at(applier, event->start);
	if (event->kind == EVENT_KEY || event->kind == EVENT_COMMAND)
		limit_spend(&applier->records, 1);
	if (event->kind == EVENT_SNAPSHOT_END) {
		snapshot_decoder_free(applier->snapshot);
		applier->snapshot = NULL;
		if (applier->options.heartbeat)
			note(applier, LOG_INFO, "snapshot decoded to its end; the stream follows from offset %lld",
			     (long long)spool_offset_before(applier->options.spool, event->end));
	}
	/* Answered with what is applied now, as a busy replica does. */
	if (event->ask_getack)
		tell_applied(applier, true);
	return dispatch_event(applier->dispatch, event, db, applier->place.valkey, error);
}

enum portion { PORTION_MORE, PORTION_DONE, PORTION_FAILED };

/* Decodes a portion. MORE: there is more to do at once. */
static enum portion run_portion(struct applier *applier, struct error *error)
{
	uint64_t have = available(applier);
	uint64_t len = applier->need > VIEW_STEP ? applier->need : VIEW_STEP;
	uint64_t first = applier->position;
	const uint8_t *data;
	uint32_t events = 0;

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
		struct event event;

		if (!sink_has_room(applier->sink) || !may_go_on(applier))
			return PORTION_DONE;
		if (at == len)
			return PORTION_MORE;
		switch (decode(applier, slice_make(data + at, (size_t)(len - at)), &event, &need, &scanned, error)) {
		case PARSE_BAD:
			name_damage(applier, error);
			return PORTION_FAILED;
		case PARSE_MORE:
			applier->need = need;
			spool_unload(applier->options.spool, applier->position, applier->position + scanned);
			return have - at >= need ? PORTION_MORE : PORTION_DONE; /* there already: a larger view */
		case PARSE_OK:
			break;
		}
		applier->need = 0;
		applier->position = event.end;
		limit_spend(&applier->bytes, event.end - event.start);
		events++;
		if (!handle(applier, &event, error))
			return PORTION_FAILED;
		switch (dispatch_ready(applier->dispatch, error)) {
		case DISPATCH_READY:
			break;
		case DISPATCH_WAITS:
			return PORTION_DONE;
		case DISPATCH_FAILED:
			return PORTION_FAILED;
		}
		if (was_snapshot && !applier->snapshot)
			return PORTION_MORE;
	}
	return PORTION_MORE;
}

static void let_go(struct applier *applier)
{
	if (applier->position - applier->unloaded >= UNLOAD_STEP) {
		spool_unload(applier->options.spool, applier->unloaded, applier->position);
		applier->unloaded = applier->position;
	}
}

/* Gives the spool back what is applied; never what the state file does not know of yet, for after a crash it says where to begin. */
static void release(struct applier *applier, bool all)
{
	uint64_t segment = applier->options.task->spool_segment_size;
	uint64_t step = segment && segment < RELEASE_STEP ? segment : RELEASE_STEP;
	uint64_t position;
	uint32_t db;

	low_water(applier, &position, &db);
	if (position <= applier->released || (position - applier->released < step && !all))
		return;
	if (!applier->save_failed) /* else the timer tries */
		save_state(applier, false);
	if (applier->saved.generation != applier->generation || applier->saved.position > spool_end(applier->options.spool))
		return;
	spool_release(applier->options.spool, applier->saved.position);
	applier->released = applier->saved.position;
}

/* There is an event, or a transaction, that is not whole yet, and everything before it is answered. */
static bool awaits_rest(const struct applier *applier)
{
	return (applier->need > 0 || dispatch_in_transaction(applier->dispatch)) && sink_idle(applier->sink);
}

/* If the spool is full now, then for good: unless a release makes room. */
static void make_room(struct applier *applier)
{
	if (spool_room(applier->options.spool) > 0)
		return;
	release(applier, true);
	check_stuck(applier);
}

static void start_generation(struct applier *applier, const struct link_state *state);

static void run(struct applier *applier)
{
	enum portion portion = PORTION_DONE;
	struct error error;
	bool at_barrier;

	if (applier->run_state != RUNNING || applier->running)
		return;
	if (spool_origin(applier->options.spool).generation != applier->generation)
		start_generation(applier, NULL);
	if (applier->generation == 0)
		return;
	/* Before anything is sent: marks of an epoch that nobody remembers would be worth nothing. */
	if (strcmp(applier->saved.epoch, applier->epoch) != 0) {
		save_state(applier, false);
		if (applier->save_failed)
			return;
	}
	applier->running = true;
	at_barrier = dispatch_at_barrier(applier->dispatch);
	switch (dispatch_ready(applier->dispatch, &error)) {
	case DISPATCH_READY:
		portion = PORTION_MORE;
		break;
	case DISPATCH_WAITS:
		break;
	case DISPATCH_FAILED:
		portion = PORTION_FAILED;
		break;
	}
	/* A FLUSHALL has taken the marks with it: from here on it must never be applied again. */
	if (at_barrier && !dispatch_at_barrier(applier->dispatch))
		save_state(applier, false);
	if (portion == PORTION_MORE)
		portion = run_portion(applier, &error);
	sink_flush(applier->sink);
	/* Where nothing went to the target (PING, GETACK, what is left out), no reply tells of it: a source that shuts down waits for this. */
	tell_applied(applier, false);
	let_go(applier);
	applier->running = false;
	if (portion == PORTION_FAILED) {
		fail(applier, STUCK, &error);
	} else if (portion == PORTION_MORE) {
		idle_start(applier->again);
	} else if (awaits_rest(applier)) {
		make_room(applier);
	}
}

static void on_again(void *owner)
{
	run(owner);
}

static void on_go_on(void *owner)
{
	idle_start(((struct applier *)owner)->again);
}

/* ---- the sink's callbacks ---- */

static void on_room(void *owner)
{
	run(owner);
}

static void check_quiet(struct applier *applier);

static void on_applied(void *owner)
{
	struct applier *applier = owner;
	uint64_t position;
	uint32_t db;

	sink_applied(applier->sink, &position, &db);
	lag_applied(&applier->lag, position, in_snapshot_at(applier, position) ? -1 : spool_offset_before(applier->options.spool, position));
	tell_applied(applier, false);
	release(applier, false);
	if (applier->run_state == PARKING || applier->run_state == DRAINING)
		check_quiet(applier);
	else if (dispatch_at_barrier(applier->dispatch) || awaits_rest(applier))
		idle_start(applier->again);
}

static void on_sink_failed(void *owner, const struct error *error)
{
	fail(owner, ENDED, error);
}

static void on_sink_note(void *owner, int log_level, const char *text)
{
	struct applier *applier = owner;

	applier->events->note(applier->owner, log_level, text);
}

static const struct sink_events sink_callbacks = {on_room, on_applied, on_sink_failed, on_sink_note};

/* ---- generations ---- */

/* Up to where the run before may have sent: as far as it had received. A crash takes the spool's newest bytes with it, hence the margin. */
static uint64_t sent_before(const struct applier *applier, const struct link_state *state)
{
	uint64_t end = spool_end(applier->options.spool);

	return (end > state->position ? end : state->position) + LOST_TAIL_MAX;
}

/* Begins with the spool's present generation; at `state` when it belongs to it. */
static void start_generation(struct applier *applier, const struct link_state *state)
{
	struct spool *spool = applier->options.spool;
	const struct task_options *task = applier->options.task;
	struct sink_options options = {
		.loop = applier->options.loop,
		.target = applier->options.target,
		.topology = applier->options.topology,
		.name = applier->options.name,
		.spool = spool,
		.abilities = applier->options.abilities,
		/* A later snapshot meets what this link has brought itself. */
		.conflict = spool_origin(spool).generation > 1 ? CONFLICT_OVERWRITE : task->conflict,
		.on_conflict = task->on_conflict,
		.in_flight_commands = task->in_flight_commands,
		.in_flight_bytes = task->in_flight_bytes,
		.connect_timeout_ms = task->connect_timeout_ms,
		.silence_timeout_ms = task->repl_timeout_ms,
		.sent_before = state && !state->clean ? sent_before(applier, state) : 0,
	};

	/* A new snapshot has marks of its own. */
	if (state && state->epoch[0])
		memcpy(applier->epoch, state->epoch, sizeof(applier->epoch));
	else
		mark_random(applier->epoch, MARK_EPOCH_LEN);
	applier->marker.refused = state ? state->refused : NULL;
	applier->marker.refused_count = state ? state->refused_count : 0;
	if (task->checkpoint == CHECKPOINT_TARGET)
		options.marker = &applier->marker;
	if (!state && applier->options.scripts)
		scripts_begin(applier->options.scripts);
	applier->generation = spool_origin(spool).generation;
	applier->position = state ? state->position : 0;
	applier->need = 0;
	applier->released = applier->unloaded = applier->applied_at_start = applier->position;
	lag_init(&applier->lag, applier->options.heartbeat, task->heartbeat_interval_ms);
	snapshot_decoder_free(applier->snapshot);
	applier->snapshot = NULL;
	stream_decoder_free(applier->stream);
	applier->stream = stream_decoder_new(dispatch_commands(applier->dispatch));
	applier->place = (struct snapshot_place){0};
	if (in_snapshot_at(applier, applier->position)) {
		applier->snapshot = snapshot_decoder_new();
		if (state) {
			applier->place = state->place;
			snapshot_decoder_resume(applier->snapshot, state->place);
		}
	} else if (state) {
		stream_decoder_resume(applier->stream, state->db);
	}
	/* The spool keeps whole segments: what lies before the position in the first one is done with. After a power cut it may end before. */
	if (applier->position > spool_begin_position(spool) && applier->position <= spool_end(spool))
		spool_release(spool, applier->position);
	sink_free(applier->sink);
	options.position = applier->position;
	options.db = state ? state->db : 0;
	applier->sink = sink_new(&options, &sink_callbacks, applier);
	dispatch_begin(applier->dispatch, applier->sink, state || applier->generation > 1);
	expiry_begin(&applier->expiry, &applier->options.expiry);
	dispatch_set_times(applier->dispatch, &applier->expiry.times);
	/* From now on more may have been sent than the state file says. */
	if (state && state->clean)
		save_state(applier, false);
	publish(applier);
}

/* ---- parking and draining ---- */

static void on_quiet(struct applier *applier)
{
	enum run_state was = applier->run_state;

	timer_stop(applier->deadline);
	if (was == PARKING) {
		applier->run_state = PARKED;
		applier->events->parked(applier->owner);
		return;
	}
	if (applier->sink)
		save_state(applier, sink_idle(applier->sink));
	publish(applier);
	applier->run_state = ENDED;
	applier->events->drained(applier->owner);
}

static void check_quiet(struct applier *applier)
{
	if (applier->sink && !sink_idle(applier->sink))
		return;
	/* What another machine would go on from. */
	if (applier->sink && applier->run_state == DRAINING && sink_settle(applier->sink))
		return;
	on_quiet(applier);
}

static void on_deadline(void *owner)
{
	on_quiet(owner);
}

void applier_park(struct applier *applier)
{
	/* Parked still: the source insisted on another full resync before anything of the last one came. */
	if (applier->run_state == PARKED)
		applier->events->parked(applier->owner);
	if (applier->run_state != RUNNING)
		return;
	applier->run_state = PARKING;
	check_quiet(applier);
}

void applier_drain(struct applier *applier, uint32_t deadline_ms)
{
	if (applier->run_state == ENDED) {
		save_state(applier, false);
		publish(applier);
		applier->events->drained(applier->owner);
		return;
	}
	applier->run_state = DRAINING;
	timer_start(applier->deadline, deadline_ms);
	check_quiet(applier);
}

void applier_wake(struct applier *applier)
{
	if (applier->run_state == PARKED && spool_origin(applier->options.spool).generation != applier->generation)
		applier->run_state = RUNNING;
	run(applier);
}

/* ---- public ---- */

struct applier *applier_new(const struct applier_options *options, const struct link_state *state, const struct applier_events *events,
			    void *owner)
{
	struct applier *applier = memory_alloc_zero(1, sizeof(*applier));
	struct dispatch_options dispatch = {
		.loop = options->loop,
		.task = options->task,
		.target = options->target,
		.topology = options->topology,
		.abilities = options->abilities,
		.only_link = options->only_link,
		.owns = options->owns,
		.owns_owner = options->owns_owner,
		.name = options->name,
		.lag = &applier->lag,
		.scripts = options->scripts,
		.note = on_sink_note,
		.go_on = on_go_on,
		.owner = applier,
	};

	applier->options = *options;
	applier->events = events;
	applier->owner = owner;
	applier->saved = *state;
	memcpy(applier->link, state->link, sizeof(applier->link));
	snprintf(applier->task, sizeof(applier->task), "%s", state->task[0] ? state->task : options->task->name ? options->task->name : "");
	applier->marker = (struct marker_options){
		.task = applier->task,
		.link = applier->link,
		.epoch = applier->epoch,
		.token = options->token,
		.source = options->source_name,
	};
	pthread_mutex_init(&applier->lock, NULL);
	limit_init(&applier->records, options->task->limit_records_per_second);
	limit_init(&applier->bytes, options->task->limit_bytes_per_second);
	applier->limit_timer = timer_new(options->loop, on_again, applier);
	applier->state_timer = timer_new(options->loop, on_state_timer, applier);
	applier->publish_timer = timer_new(options->loop, on_publish_timer, applier);
	applier->deadline = timer_new(options->loop, on_deadline, applier);
	applier->again = idle_new(options->loop, on_again, applier);
	timer_repeat(applier->state_timer, STATE_INTERVAL_MS, STATE_INTERVAL_MS);
	timer_repeat(applier->publish_timer, PUBLISH_INTERVAL_MS, PUBLISH_INTERVAL_MS);
	applier->published.applied_offset = applier->published.lag_ms = -1;
	applier->dispatch = dispatch_new(&dispatch);
	lag_init(&applier->lag, options->heartbeat, options->task->heartbeat_interval_ms);
	if (state->generation > 0 && state->generation == spool_origin(options->spool).generation)
		start_generation(applier, state);
	return applier;
}

void applier_free(struct applier *applier)
{
	if (!applier)
		return;
	sink_free(applier->sink);
	snapshot_decoder_free(applier->snapshot);
	stream_decoder_free(applier->stream);
	dispatch_free(applier->dispatch);
	idle_free(applier->again);
	timer_free(applier->limit_timer);
	timer_free(applier->state_timer);
	timer_free(applier->publish_timer);
	timer_free(applier->deadline);
	pthread_mutex_destroy(&applier->lock);
	free(applier);
}
