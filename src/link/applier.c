#include "link/applier.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "decode/stream.h"
#include "link/learner.h"
#include "link/limit.h"
#include "link/selection.h"
#include "link/transaction.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTION_EVENTS 4096       /* decoded before replies are looked at again */
#define PORTION_BYTES (1u << 20)
#define VIEW_STEP (4u << 20)      /* how much of the spool is looked at at once; more where one event is larger */
#define UNLOAD_STEP (1u << 20)
#define RELEASE_STEP (1u << 20)
#define STATE_INTERVAL_MS 1000
#define PUBLISH_INTERVAL_MS 50
#define SNAPSHOT_TRAILER 9        /* EOF opcode and CRC64 */
#define BEATS_MAX 32
#define MASTERS_MAX 1024

/* A heartbeat met in the stream, told as lag once everything before it is applied. */
struct beat {
	uint64_t position;
	int64_t sent_ms;
};

enum run_state { RUNNING, PARKING, PARKED, DRAINING, ENDED };

struct applier {
	struct applier_options options;
	const struct applier_events *events;
	void *owner;
	enum run_state run_state;
	struct sink *sink;                 /* NULL while parked */
	uint64_t generation;
	struct snapshot_decoder *snapshot; /* NULL once in the stream */
	struct stream_decoder *stream;
	struct command_table *learned;
	struct snapshot_place place;       /* as of the last decoded event */
	uint64_t position;                 /* next event to decode */
	uint64_t need;                     /* bytes from `position` that make decoding worth it */
	struct transaction transaction;
	struct route_splitter splitter;
	/* An event for all nodes waits for (0, 1) or passes (2) its barrier. */
	struct event barrier;
	int barrier_stage;
	struct slice barrier_arguments[4]; /* of a library or script from the snapshot */
	/* A command that is not in the table waits until the target has told its keys. */
	struct learner *learner;
	struct event unknown;
	bool learning, learned_it;
	struct limit records, bytes;
	struct timer *limit_timer, *state_timer, *publish_timer, *deadline;
	struct idle *again;
	uint64_t released, unloaded;
	struct link_state saved;
	uint64_t applied_at_start;
	bool resumed;
	bool running;                      /* within run(): callbacks of the sink do not enter it again */
	uint64_t ticket;
	bool has_ticket;
	int64_t caught_up_offset;          /* -1: not known yet */
	struct beat beats[BEATS_MAX];
	uint32_t beat_count;
	int64_t last_beat_ms, last_lag_ms;
	pthread_mutex_t lock;              /* of `published` */
	struct applier_status published;
	uint64_t expired_keys, left_out;
	bool caught_up;
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

static void fail(struct applier *applier, const struct error *error)
{
	if (applier->run_state == ENDED)
		return;
	applier->run_state = ENDED;
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

static void save_state(struct applier *applier, bool clean)
{
	struct link_state state = {.generation = applier->generation, .clean = clean};
	struct error error;

	if (applier->generation == 0 || !applier->sink)
		return;
	low_water(applier, &state.position, &state.db);
	/* The place is that of the last decoded event; version and family are the same in the whole snapshot, the database is kept by the window. */
	state.place = applier->place;
	state.place.db = state.db;
	if (state.position == applier->saved.position && state.generation == applier->saved.generation && clean == applier->saved.clean)
		return;
	if (link_state_write(applier->options.state_path, &state, &error))
		applier->saved = state;
	else
		note(applier, LOG_WARNING, "%s. %s; it is tried again each second", error.text, error.hint);
}

static void tell_applied(const struct applier *applier, bool now)
{
	uint64_t position;
	uint32_t db;

	low_water(applier, &position, &db);
	if (!in_snapshot_at(applier, position))
		receiver_set_applied(applier->options.receiver, spool_offset_before(applier->options.spool, position), now);
}

static void on_state_timer(void *owner)
{
	save_state(owner, false);
}

static void note_beat(struct applier *applier, const struct event *event)
{
	/* SETEX key seconds ms; from 7.0 on it comes as SET key ms PXAT time. */
	uint32_t at = slice_equal_nocase(event->argv[0], SLICE("SETEX")) ? 3 : 2;
	int64_t sent_ms;

	if (at >= event->argc || !slice_to_int64(event->argv[at], &sent_ms) || applier->beat_count == BEATS_MAX)
		return;
	applier->beats[applier->beat_count++] = (struct beat){event->end, sent_ms};
}

static void take_beats(struct applier *applier, uint64_t position)
{
	uint32_t done = 0;

	while (done < applier->beat_count && applier->beats[done].position <= position) {
		int64_t lag = clock_wall_ms() - applier->beats[done].sent_ms;

		applier->last_beat_ms = applier->beats[done].sent_ms;
		applier->last_lag_ms = lag > 0 ? lag : 0;
		done++;
	}
	applier->beat_count -= done;
	memmove(applier->beats, applier->beats + done, applier->beat_count * sizeof(applier->beats[0]));
}

/* By the heartbeat where there is one, and by the sampled offsets where the next heartbeat is overdue or there is none. */
static int64_t lag_ms(const struct applier *applier, int64_t applied_offset)
{
	int64_t now = clock_wall_ms();
	int64_t interval = (int64_t)applier->options.task->heartbeat_interval_ms;
	int64_t source_offset, then;
	uint64_t sampled_us;

	if (applied_offset < 0)
		return -1;
	if (applier->last_beat_ms && now - applier->last_beat_ms < interval + applier->last_lag_ms + 1000)
		return applier->last_lag_ms;
	if (heartbeat_source_offset(applier->options.heartbeat, &source_offset, &sampled_us) && applied_offset >= source_offset)
		return 0;
	then = heartbeat_time_of_offset(applier->options.heartbeat, applied_offset);
	return then > 0 ? now - then : -1;
}

static void check_caught_up(struct applier *applier, int64_t applied_offset)
{
	if (applier->caught_up || applied_offset < 0)
		return;
	if (!applier->has_ticket) {
		applier->ticket = heartbeat_ticket(applier->options.heartbeat);
		applier->has_ticket = true;
	}
	if (applier->caught_up_offset < 0 &&
	    !heartbeat_sampled_since(applier->options.heartbeat, applier->ticket, &applier->caught_up_offset))
		return;
	if (applied_offset >= applier->caught_up_offset)
		applier->caught_up = true;
}

static void publish(struct applier *applier)
{
	struct applier_status status = {0};
	uint64_t snapshot_end = spool_snapshot_end(applier->options.spool);
	uint32_t db;

	low_water(applier, &status.position, &db);
	status.streaming = applier->generation > 0 && !in_snapshot_at(applier, status.position);
	status.applied_offset = status.streaming ? spool_offset_before(applier->options.spool, status.position) : -1;
	check_caught_up(applier, status.applied_offset);
	status.caught_up = applier->caught_up;
	status.snapshot_bytes_done = status.position < snapshot_end ? status.position : snapshot_end;
	status.bytes_done = status.position - applier->applied_at_start;
	status.lag_ms = lag_ms(applier, status.applied_offset);
	status.expired_keys = applier->expired_keys;
	status.left_out = applier->left_out;
	if (applier->sink) {
		status.sink = sink_counters(applier->sink);
		snprintf(status.waiting_for, sizeof(status.waiting_for), "%.250s", sink_waiting_for(applier->sink));
	}
	pthread_mutex_lock(&applier->lock);
	applier->published = status;
	pthread_mutex_unlock(&applier->lock);
}

static void on_publish_timer(void *owner)
{
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

/* ---- events to the sink ---- */

/* The sink's database bookkeeping: what is selected in the stream behind the last decoded event. */
static uint32_t stream_db(const struct applier *applier)
{
	return applier->snapshot ? applier->place.db : stream_decoder_database(applier->stream);
}

static void progress(struct applier *applier, uint64_t position)
{
	sink_progress(applier->sink, position, stream_db(applier));
}

/* Everything that concerns all masters of a cluster goes between two barriers. */
static void begin_barrier(struct applier *applier, const struct event *event)
{
	applier->barrier = *event;
	applier->barrier_stage = 1;
}

/* True: nothing stands in the way any more. */
static bool pass_barrier(struct applier *applier)
{
	uint16_t slots[MASTERS_MAX];
	const struct event *event = &applier->barrier;
	uint32_t masters;

	if (applier->barrier_stage == 0)
		return true;
	if (!sink_idle(applier->sink))
		return false;
	if (applier->barrier_stage == 1) {
		masters = sink_master_slots(applier->sink, slots, MASTERS_MAX);
		for (uint32_t i = 0; i < masters; i++)
			sink_arguments(applier->sink, event, i + 1 == masters ? event->end : event->start, slots[i], stream_db(applier), 0,
				       event->argc, event->argv);
		sink_flush(applier->sink);
		applier->barrier_stage = 2;
		return false;
	}
	applier->barrier_stage = 0;
	return true;
}

static void send_split(struct applier *applier, const struct event *event)
{
	struct route_part *parts;
	uint32_t count = route_split(&applier->splitter, event, &parts);

	for (uint32_t i = 0; i < count; i++)
		sink_arguments(applier->sink, event, i + 1 == count ? event->end : event->start, parts[i].slot, stream_db(applier), 0,
			       parts[i].argc, parts[i].argv);
}

/* A cluster target has database 0 alone (Valkey 9 has more, which this version does not use). */
static bool check_database(const struct applier *applier, const struct event *event, struct error *error)
{
	char key[160];

	if (event->db == 0 || !sink_is_cluster(applier->sink))
		return true;
	error_set(error, ERROR_CONFLICT, "key %s lies in database %u of the source (spool position %llu), and a cluster target has database 0 alone",
		  slice_quote(event->key, key, sizeof(key)), event->db, (unsigned long long)event->start);
	error_hint(error, "Choose the database to copy with source.databases: [0], or use a standalone target");
	return false;
}

static bool is_flush(const struct event *event)
{
	return slice_equal_nocase(event->argv[0], SLICE("FLUSHALL")) || slice_equal_nocase(event->argv[0], SLICE("FLUSHDB"));
}

static bool check_flush(const struct applier *applier, const struct event *event, struct error *error)
{
	if (applier->options.only_link || !is_flush(event))
		return true;
	error_set(error, ERROR_CONFLICT, "%.*s at one of several source masters (database %u, spool position %llu) would clear what the others have brought",
		  (int)event->argv[0].len, (const char *)event->argv[0].data, event->db, (unsigned long long)event->start);
	error_hint(error, "This version of keyferry does not carry it: clear the target by hand and start anew with an empty work directory");
	return false;
}

static bool send_command(struct applier *applier, const struct event *event, struct error *error)
{
	struct route route;

	if (!check_flush(applier, event, error))
		return false;
	if (!sink_is_cluster(applier->sink)) {
		sink_command(applier->sink, event, 0, stream_db(applier));
		return true;
	}
	route = route_command(event, error);
	switch (route.kind) {
	case ROUTE_SLOT:
		if (!check_database(applier, event, error))
			return false;
		sink_command(applier->sink, event, route.slot, stream_db(applier));
		return true;
	case ROUTE_SPLIT:
		if (!check_database(applier, event, error))
			return false;
		send_split(applier, event);
		return true;
	case ROUTE_ALL:
		if (is_flush(event) && event->db != 0 && slice_equal_nocase(event->argv[0], SLICE("FLUSHDB"))) {
			progress(applier, event->end); /* a database that was refused, or left out: nothing of it is there */
			return true;
		}
		begin_barrier(applier, event);
		return true;
	case ROUTE_ANY:
		sink_command(applier->sink, event, event->argc > 1 ? slot_of_key(event->argv[1]) : 0, stream_db(applier));
		return true;
	case ROUTE_REFUSED:
		break;
	}
	return false;
}

static bool handle_transaction(struct applier *applier, const struct event *event, enum selection selection, struct error *error)
{
	struct transaction *transaction = &applier->transaction;
	bool cluster = sink_is_cluster(applier->sink);

	if (event->edge == TRANSACTION_BEGIN) {
		transaction_begin(transaction, event);
		return true;
	}
	if (event->edge == TRANSACTION_INSIDE) {
		if (selection == SELECTION_LEAVE) {
			applier->left_out++;
			return true;
		}
		if (selection == SELECTION_HEARTBEAT)
			return true;
		return check_flush(applier, event, error) && (!cluster || check_database(applier, event, error)) &&
		       transaction_command(transaction, event, cluster, error);
	}
	transaction->open = false;
	if (transaction->commands == 0) {
		progress(applier, event->end);
		return true;
	}
	transaction_add(transaction, event->raw);
	sink_transaction(applier->sink, transaction->start, event->end, transaction->has_slot ? transaction->slot : 0, transaction->db,
			 stream_db(applier), transaction->runs, transaction->run_count, transaction->replies,
			 (uint16_t)((transaction->script ? UNIT_SCRIPT : 0) | (transaction->unsafe ? 0 : UNIT_REPLAY_SAFE)));
	return true;
}

static bool handle_command(struct applier *applier, const struct event *event, struct error *error)
{
	enum selection selection = selection_of(applier->options.task, event, error);

	if (selection == SELECTION_REFUSED)
		return false;
	limit_spend(&applier->records, 1);
	if (selection == SELECTION_HEARTBEAT)
		note_beat(applier, event);
	if (event->edge != TRANSACTION_NONE)
		return handle_transaction(applier, event, selection, error);
	if (selection != SELECTION_COPY) {
		if (selection == SELECTION_LEAVE)
			applier->left_out++;
		progress(applier, event->end);
		return true;
	}
	return send_command(applier, event, error);
}

static bool handle_key(struct applier *applier, const struct event *event, struct error *error)
{
	enum selection selection = selection_of(applier->options.task, event, error);
	uint16_t slot;

	if (selection == SELECTION_REFUSED)
		return false;
	/* A key past its time is gone for every reader of the source already; its DEL follows in the stream. */
	if (selection == SELECTION_COPY && event->expire_at_ms != EXPIRE_NEVER && event->expire_at_ms <= clock_wall_ms()) {
		applier->expired_keys++;
		selection = SELECTION_HEARTBEAT;
	}
	if (selection != SELECTION_COPY) {
		if (selection == SELECTION_LEAVE)
			applier->left_out++;
		progress(applier, event->end);
		return true;
	}
	if (!check_database(applier, event, error))
		return false;
	slot = sink_is_cluster(applier->sink) ? slot_of_key(event->key) : 0;
	limit_spend(&applier->records, 1);
	return sink_key(applier->sink, event, slot, applier->place.valkey, error);
}

/* A function library or a script body of the snapshot becomes a command for all masters. */
static bool handle_library(struct applier *applier, const struct event *event, struct error *error)
{
	struct event command = *event;
	uint32_t argc = 0;
	uint16_t flags = 0;

	command.argv = applier->barrier_arguments;
	if (event->kind == EVENT_SCRIPT) {
		command.argv[argc++] = SLICE("SCRIPT");
		command.argv[argc++] = SLICE("LOAD");
	} else {
		if (!applier->options.abilities.functions) {
			error_set(error, ERROR_CONFLICT, "the source has a function library (spool position %llu), and %s knows no functions",
				  (unsigned long long)event->start, applier->options.abilities.name);
			error_hint(error, "Use a target of Redis 7.0 or newer, or remove the library from the source");
			return false;
		}
		command.argv[argc++] = SLICE("FUNCTION");
		command.argv[argc++] = SLICE("LOAD");
		if (applier->options.task->conflict == CONFLICT_OVERWRITE || applier->generation > 1 || applier->resumed)
			command.argv[argc++] = SLICE("REPLACE");
		else if (applier->options.task->conflict == CONFLICT_SKIP)
			flags = UNIT_ANY_ERROR;
	}
	command.argv[argc++] = event->value;
	command.argc = argc;
	if (sink_is_cluster(applier->sink))
		begin_barrier(applier, &command);
	else
		sink_arguments(applier->sink, &command, event->end, 0, stream_db(applier), flags, argc, command.argv);
	return true;
}

static bool handle(struct applier *applier, const struct event *event, const uint8_t *data, struct error *error)
{
	switch (event->kind) {
	case EVENT_KEY:
		return handle_key(applier, event, error);
	case EVENT_FUNCTION:
	case EVENT_SCRIPT:
		return handle_library(applier, event, error);
	case EVENT_COMMAND:
		return handle_command(applier, event, error);
	case EVENT_SNAPSHOT_END:
		progress(applier, event->end);
		snapshot_decoder_free(applier->snapshot);
		applier->snapshot = NULL;
		note(applier, LOG_INFO, "snapshot decoded to its end; the stream follows from offset %lld",
		     (long long)spool_offset_before(applier->options.spool, event->end));
		return true;
	case EVENT_PROGRESS:
		/* The GETACK is answered with what is applied now, as a busy replica does. */
		if (event->ask_getack)
			tell_applied(applier, true);
		if (applier->transaction.open) {
			/* A SELECT inside stays inside; keep-alives there are none. */
			if (event->argc > 0 && slice_equal_nocase(event->argv[0], SLICE("SELECT")))
				transaction_add(&applier->transaction, slice_make(data, (size_t)(event->end - event->start)));
		} else {
			progress(applier, event->end);
		}
		return true;
	}
	return true;
}

/* ---- unknown commands ---- */

static void on_learned(void *owner, const struct command_info *info)
{
	struct applier *applier = owner;

	/* NULL: the target does not know it either; routing says so. */
	applier->unknown.info = info;
	if (info) {
		uint32_t at = command_first_key(info, applier->unknown.argc, applier->unknown.argv);

		if (at > 0 && at < applier->unknown.argc)
			applier->unknown.key = applier->unknown.argv[at];
	}
	applier->learned_it = true;
	idle_start(applier->again);
}

static bool must_learn(const struct applier *applier, const struct event *event)
{
	return event->kind == EVENT_COMMAND && !event->info && event->edge != TRANSACTION_BEGIN && event->edge != TRANSACTION_END &&
	       sink_is_cluster(applier->sink);
}

static void begin_learning(struct applier *applier, const struct event *event)
{
	applier->unknown = *event;
	applier->learning = true;
	applier->learned_it = false;
	learner_ask(applier->learner, event->argv[0], on_learned, applier);
}

/* True: nothing stands in the way any more. */
static bool pass_learning(struct applier *applier, struct error *error, bool *failed)
{
	if (!applier->learning)
		return true;
	if (!applier->learned_it)
		return false;
	applier->learning = false;
	*failed = !handle(applier, &applier->unknown, applier->unknown.raw.data, error);
	return !*failed && applier->barrier_stage == 0;
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
	struct error error;

	if (spool_room(applier->options.spool) > 0 || !sink_idle(applier->sink) || applier->released < applier->position)
		return;
	error_set(&error, ERROR_CONFLICT, "one %s at spool position %llu is larger than the spool may be (%llu bytes, spool.max_size)",
		  applier->snapshot ? "value of the snapshot" : "command of the stream", (unsigned long long)applier->position,
		  (unsigned long long)applier->options.task->spool_max_size);
	error_hint(&error, "Raise spool.max_size above the size of the largest value of the source");
	fail(applier, &error);
}

static bool may_go_on(struct applier *applier)
{
	uint64_t now = clock_monotonic_us(), wait = 0;

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

/* Decodes a portion. True: there is more to do at once. */
static bool run_portion(struct applier *applier, struct error *error, bool *failed)
{
	uint64_t have = available(applier);
	uint64_t len = applier->need > VIEW_STEP ? applier->need : VIEW_STEP;
	uint64_t first = applier->position;
	const uint8_t *data;
	uint32_t events = 0;

	if (len > have)
		len = have;
	if (have == 0 || have < applier->need)
		return false;
	data = spool_view(applier->options.spool, applier->position, len, error);
	if (!data) {
		*failed = true;
		return false;
	}
	while (events < PORTION_EVENTS && applier->position - first < PORTION_BYTES) {
		uint64_t at = applier->position - first, need = 0, scanned;
		bool was_snapshot = applier->snapshot != NULL;
		struct event event;

		if (!sink_has_room(applier->sink) || applier->barrier_stage > 0 || !may_go_on(applier))
			return false;
		if (at == len)
			return true;
		switch (decode(applier, slice_make(data + at, (size_t)(len - at)), &event, &need, &scanned, error)) {
		case PARSE_BAD:
			*failed = true;
			return false;
		case PARSE_MORE:
			applier->need = need;
			spool_unload(applier->options.spool, applier->position, applier->position + scanned);
			return have - at >= need; /* there already: a larger view */
		case PARSE_OK:
			break;
		}
		applier->need = 0;
		applier->position = event.end;
		limit_spend(&applier->bytes, event.end - event.start);
		events++;
		if (must_learn(applier, &event)) {
			begin_learning(applier, &event);
			return false;
		}
		if (!handle(applier, &event, data + at, error)) {
			*failed = true;
			return false;
		}
		if (was_snapshot && !applier->snapshot)
			return true;
	}
	return true;
}

static void let_go(struct applier *applier)
{
	if (applier->position - applier->unloaded >= UNLOAD_STEP) {
		spool_unload(applier->options.spool, applier->unloaded, applier->position);
		applier->unloaded = applier->position;
	}
}

static void release(struct applier *applier, bool all)
{
	uint64_t position;
	uint32_t db;

	low_water(applier, &position, &db);
	if (position - applier->released < RELEASE_STEP && !all)
		return;
	spool_release(applier->options.spool, position);
	applier->released = position;
}

static void start_generation(struct applier *applier, const struct link_state *state);

static void run(struct applier *applier)
{
	struct error error;
	bool more = false, failed = false;

	if (applier->run_state != RUNNING || applier->running)
		return;
	if (spool_origin(applier->options.spool).generation != applier->generation)
		start_generation(applier, NULL);
	if (applier->generation == 0)
		return;
	applier->running = true;
	if (pass_barrier(applier) && pass_learning(applier, &error, &failed))
		more = run_portion(applier, &error, &failed);
	sink_flush(applier->sink);
	/* Where nothing went to the target (PING, GETACK, what is left out), no reply tells of it: a source that shuts down waits for this. */
	tell_applied(applier, false);
	let_go(applier);
	applier->running = false;
	if (failed) {
		fail(applier, &error);
		return;
	}
	if (more) {
		idle_start(applier->again);
	} else if (applier->need > 0 && sink_idle(applier->sink)) {
		release(applier, true);
		check_stuck(applier);
	}
}

static void on_again(void *owner)
{
	run(owner);
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
	take_beats(applier, position);
	tell_applied(applier, false);
	release(applier, false);
	if (applier->run_state == PARKING || applier->run_state == DRAINING)
		check_quiet(applier);
	else if (applier->barrier_stage > 0)
		idle_start(applier->again);
}

static void on_sink_failed(void *owner, const struct error *error)
{
	fail(owner, error);
}

static void on_sink_note(void *owner, int log_level, const char *text)
{
	struct applier *applier = owner;

	applier->events->note(applier->owner, log_level, text);
}

static const struct sink_events sink_callbacks = {on_room, on_applied, on_sink_failed, on_sink_note};

/* ---- generations ---- */

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
		.resumed = state && !state->clean,
	};

	applier->generation = spool_origin(spool).generation;
	applier->position = state ? state->position : 0;
	applier->need = 0;
	applier->beat_count = 0;
	applier->barrier_stage = 0;
	applier->learning = false;
	applier->transaction.open = false;
	applier->released = applier->unloaded = applier->applied_at_start = applier->position;
	applier->has_ticket = applier->caught_up = false;
	applier->caught_up_offset = -1;
	applier->resumed = state != NULL;
	snapshot_decoder_free(applier->snapshot);
	applier->snapshot = NULL;
	stream_decoder_free(applier->stream);
	applier->stream = stream_decoder_new(applier->learned);
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
	sink_free(applier->sink);
	options.position = applier->position;
	options.db = state ? state->db : 0;
	applier->sink = sink_new(&options, &sink_callbacks, applier);
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
	if (!applier->sink || sink_idle(applier->sink))
		on_quiet(applier);
}

static void on_deadline(void *owner)
{
	on_quiet(owner);
}

void applier_park(struct applier *applier)
{
	if (applier->run_state != RUNNING)
		return;
	applier->run_state = PARKING;
	check_quiet(applier);
}

void applier_drain(struct applier *applier, uint32_t deadline_ms)
{
	if (applier->run_state == ENDED) {
		save_state(applier, false);
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

	applier->options = *options;
	applier->events = events;
	applier->owner = owner;
	applier->saved = *state;
	applier->caught_up_offset = -1;
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
	applier->learned = command_table_new();
	applier->learner = learner_new(options->loop, options->target, options->topology, options->name, applier->learned);
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
	learner_free(applier->learner);
	command_table_free(applier->learned);
	transaction_free(&applier->transaction);
	route_splitter_free(&applier->splitter);
	idle_free(applier->again);
	timer_free(applier->limit_timer);
	timer_free(applier->state_timer);
	timer_free(applier->publish_timer);
	timer_free(applier->deadline);
	pthread_mutex_destroy(&applier->lock);
	free(applier);
}
