#include "link/recorder.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "export/files.h"
#include "export/repeats.h"
#include "link/adapt.h"
#include "source/heartbeat.h"
#include "spool/spool.h"
#include "transform/transform.h"
#include "wire/tally.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_MS 1000
#define UNLOAD_STEP (1u << 20) /* what the spool unloads at a time */

/* What is left to do behind the last event of a snapshot. */
enum finish_step {
	STEP_NONE,
	STEP_TAIL,    /* its end is put */
	STEP_FLUSH,   /* all of it is in the file */
	STEP_SYNC,    /* checked, and on the disk */
	STEP_SAVE,    /* the state file says so */
	STEP_PUBLISH, /* it takes its place */
};

/* A place in spool and file between two events that are whole. */
struct file_mark {
	uint64_t position; /* in the spool */
	uint32_t db;       /* selected in the stream there */
	uint64_t length;   /* of the file */
	uint64_t checksum;
	int64_t file_db; /* selected in the file there */
};

struct recorder {
	struct recorder_options options;
	const struct outlet_events *events;
	void *owner;
	struct transform *transform;
	struct adapt *adapt;
	struct files files;
	struct out out;
	struct scribe *scribe;
	enum file_phase phase;
	enum finish_step step;
	struct file_mark whole; /* behind the last event, or transaction, that was put */
	struct file_mark kept;  /* the last of these that is in the file */
	struct snapshot_place place;
	/* the event under way: what it has become, and what of that is not put yet */
	struct event event;
	struct transform_output pending;
	uint32_t pending_at;
	uint32_t db_stream;
	/* a transaction under way: its MULTI is put with the first command that is copied */
	bool open, begun;
	struct event multi;
	uint32_t exec_db; /* of its last command */
	struct timer *retry;
	bool waiting; /* for room on the disk */
	uint64_t waiting_since_us;
	bool broken; /* what was written cannot be relied on */
	bool failed; /* nothing is written any more */
	char waiting_for[256];
	struct dispatch_counters counters;
	uint64_t keys, commands;
};

static void note(struct recorder *recorder, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

static void note(struct recorder *recorder, enum log_level level, const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	recorder->events->note(recorder->owner, (int)level, text);
}

/* ---- marks ---- */

/* All up to the event's end is put. */
static void mark_whole(struct recorder *recorder, uint64_t position)
{
	recorder->whole = (struct file_mark){
		.position = position,
		.db = recorder->db_stream,
		.length = out_length(&recorder->out),
		.file_db = scribe_database(recorder->scribe),
	};
}

/* True: the position has moved. */
static bool mark_kept(struct recorder *recorder)
{
	const struct out *out = &recorder->out;
	bool moved = recorder->whole.position != recorder->kept.position;

	if (recorder->whole.length > out->flushed)
		return false;
	recorder->kept = recorder->whole;
	/* In the snapshot there are no transactions, so that a file which has the last whole event has no more. */
	recorder->kept.checksum = out->checksum;
	return moved;
}

/* ---- a disk that takes no more ---- */

/* The event under way, if any, has been cut off again. True: it is waited for. */
static bool wait_for_room(struct recorder *recorder, struct error *error)
{
	out_trouble_error(&recorder->out, error);
	if (!out_is_full(&recorder->out))
		return false;
	if (!recorder->waiting) {
		struct incident incident = incident_make(INCIDENT_DISK_FULL, -1, "%s. The link waits for room", error->text);

		recorder->events->tell(recorder->owner, &incident);
		recorder->waiting_since_us = clock_monotonic_us();
	}
	recorder->waiting = true;
	snprintf(recorder->waiting_for, sizeof(recorder->waiting_for), "room on the disk: %.200s", error->text);
	timer_start(recorder->retry, RETRY_MS);
	return true;
}

static void tell_room(struct recorder *recorder)
{
	double seconds = (double)(clock_monotonic_us() - recorder->waiting_since_us) / 1e6;
	struct incident incident =
		incident_make(INCIDENT_DISK_FREE, -1, "%s: the disk takes bytes again after %.1f s, writing goes on",
			      recorder->options.file->path, seconds);

	incident_add_cost(&incident, "seconds", seconds);
	recorder->events->tell(recorder->owner, &incident);
}

static void on_retry(void *owner)
{
	struct recorder *recorder = owner;
	struct error error;

	if (recorder->waiting && !out_flush(&recorder->out)) {
		if (!wait_for_room(recorder, &error))
			recorder->events->failed(recorder->owner, &error);
		return;
	}
	if (recorder->waiting)
		tell_room(recorder);
	recorder->waiting = false;
	recorder->waiting_for[0] = '\0';
	if (recorder->step == STEP_NONE)
		mark_kept(recorder);
	recorder->events->applied(recorder->owner); /* even where it stays: a link that is to be parked waits for this */
	recorder->events->room(recorder->owner);
}

/* A part of a large value or command is written. Where it lies in the spool, its pages leave memory. */
static void on_passed(void *owner, const uint8_t *data, size_t len)
{
	struct recorder *recorder = owner;
	const struct event *event = &recorder->event;
	struct slice bytes = event->kind == EVENT_KEY ? event->value : event->raw;

	uint64_t end, from;

	if (!bytes.data || data < bytes.data || data + len > bytes.data + bytes.len)
		return;
	/* Both end where the event does. */
	end = event->end - (uint64_t)(bytes.data + bytes.len - (data + len));
	from = end - len > UNLOAD_STEP ? end - len - UNLOAD_STEP : 0;
	spool_unload(recorder->options.spool, from > event->start ? from : event->start, end);
}

/* Writes one event or nothing of it; `put` puts it. */
static enum outlet_state put_whole(struct recorder *recorder,
				   bool (*put)(struct recorder *recorder, const struct event *event, struct error *error),
				   const struct event *event, struct error *error)
{
	int64_t db = scribe_database(recorder->scribe);
	bool begun = recorder->begun;
	struct error trouble;
	bool cut, waits;

	out_mark(&recorder->out);
	if (!put(recorder, event, error)) {
		/* Its own error is the one to tell. */
		recorder->broken = !out_cut(&recorder->out, &trouble);
		return OUTLET_FAILED;
	}
	if (!recorder->out.trouble)
		return OUTLET_READY;
	scribe_select(recorder->scribe, db);
	recorder->begun = begun;
	waits = wait_for_room(recorder, &trouble);
	cut = out_cut(&recorder->out, error);
	if (cut && !waits)
		*error = trouble;
	return cut && waits ? OUTLET_WAITS : OUTLET_FAILED;
}

/* ---- events ---- */

static bool put_snapshot(struct recorder *recorder, const struct event *event, struct error *error)
{
	return scribe_snapshot(recorder->scribe, event, &recorder->place, error);
}

static void put_edge(struct recorder *recorder, const struct event *edge, struct slice name, struct slice raw, uint32_t db)
{
	struct event event = *edge;

	event.argc = 1;
	event.argv = &name;
	event.raw = raw;
	event.db = db;
	scribe_command(recorder->scribe, &event);
}

static void put_multi(struct recorder *recorder, const struct event *edge, uint32_t db)
{
	put_edge(recorder, edge, SLICE("MULTI"), SLICE("*1\r\n$5\r\nMULTI\r\n"), db);
}

static void put_exec(struct recorder *recorder, const struct event *edge, uint32_t db)
{
	put_edge(recorder, edge, SLICE("EXEC"), SLICE("*1\r\n$4\r\nEXEC\r\n"), db);
}

/* A command in the source's transaction, or by itself; several that stand for one are in a transaction in any case. */
static void put_commands(struct recorder *recorder, const struct event *command, const struct event *events, uint32_t count)
{
	bool together = !recorder->open && count > 1;

	if (count == 0)
		return;
	if (recorder->open && !recorder->begun)
		put_multi(recorder, &recorder->multi, events[0].db);
	if (together)
		put_multi(recorder, command, events[0].db);
	recorder->begun = recorder->open;
	recorder->exec_db = events[count - 1].db;
	for (uint32_t i = 0; i < count; i++)
		scribe_command(recorder->scribe, &events[i]);
	if (together)
		put_exec(recorder, command, events[count - 1].db);
}

static bool put_command(struct recorder *recorder, const struct event *event, struct error *error)
{
	struct adapt_output output;

	if (event->edge == TRANSACTION_END) {
		put_exec(recorder, event, recorder->exec_db);
		return true;
	}
	switch (adapt_command(recorder->adapt, event, &output, error)) {
	case ADAPT_CHANGED: put_commands(recorder, event, output.events, output.count); return true;
	case ADAPT_REFUSED: return false;
	case ADAPT_SAME:
	case ADAPT_PATCHED:      /* times of expiry are true ones in a file */
	case ADAPT_VALUE: break; /* the servers that load the file are of the source's version */
	}
	put_commands(recorder, event, event, 1);
	return true;
}

static void count(struct recorder *recorder, const struct event *event)
{
	recorder->keys += event->kind == EVENT_KEY;
	if (event->kind != EVENT_COMMAND || event->edge == TRANSACTION_END)
		return;
	recorder->commands++;
	if (recorder->options.tally)
		tally_add(recorder->options.tally, command_number(event->info));
}

/* Puts what is pending. */
static enum outlet_state put_pending(struct recorder *recorder, struct error *error)
{
	while (recorder->pending_at < recorder->pending.count) {
		const struct event *event = &recorder->pending.events[recorder->pending_at];
		enum outlet_state state =
			put_whole(recorder, event->kind == EVENT_COMMAND ? put_command : put_snapshot, event, error);

		if (state != OUTLET_READY)
			return state;
		count(recorder, event);
		recorder->pending_at++;
	}
	if (recorder->event.edge == TRANSACTION_END)
		recorder->open = recorder->begun = false;
	if (!recorder->open)
		mark_whole(recorder, recorder->event.end);
	recorder->pending.count = recorder->pending_at = 0;
	return OUTLET_READY;
}

/* Nothing of it is written. */
static void leave_out(struct recorder *recorder)
{
	recorder->pending.count = recorder->pending_at = 0;
	if (!recorder->open)
		mark_whole(recorder, recorder->event.end);
}

static bool refused(struct recorder *recorder, const struct error *error)
{
	if (recorder->options.task->on_conflict != ON_CONFLICT_SKIP)
		return false;
	note(recorder, LOG_WARNING, "skipped as on_conflict: skip says: %s", error->text);
	recorder->counters.conflicts++;
	leave_out(recorder);
	return true;
}

static bool put_same(struct recorder *recorder, struct error *error)
{
	recorder->pending = (struct transform_output){&recorder->event, 1};
	recorder->pending_at = 0;
	return put_pending(recorder, error) != OUTLET_FAILED;
}

static bool names_commands(const struct option_objects *rules)
{
	const struct filter_rule *items = rules->items;

	for (size_t i = 0; i < rules->count; i++)
		if (items[i].commands.count > 0)
			return true;
	return false;
}

/* FLUSHDB or FLUSHALL of a source that is copied in part. All that is in the file was brought by this link, so it means the same there as at the source, unless
 * databases have come together or what a rule says of the command sets keys apart. */
static bool put_clear(struct recorder *recorder, struct error *error)
{
	const struct task_options *task = recorder->options.task;
	const struct event *event = &recorder->event;
	char place[EVENT_PLACE_MAX];

	if (!task->database_map && !task->lua_script && !names_commands(&task->allow) && !names_commands(&task->block))
		return put_same(recorder, error);
	error_set(error, ERROR_CONFLICT, "%.*s (database %u, %s) means only some keys of the file, and no command says which",
		  (int)event->argv[0].len, (const char *)event->argv[0].data, event->db, event_place(event, place));
	error_hint(error, "Leave it out with on_conflict: skip; or begin anew with a new snapshot, in an empty work directory");
	return refused(recorder, error);
}

static bool put_transformed(struct recorder *recorder, struct error *error)
{
	const struct event *event = &recorder->event;

	if (lag_is_beat(event)) {
		if (event->kind == EVENT_COMMAND)
			lag_note(recorder->options.lag, event);
		leave_out(recorder);
		return true;
	}
	switch (transform_event(recorder->transform, event, &recorder->pending, error)) {
	case TRANSFORM_SAME: return put_same(recorder, error);
	case TRANSFORM_DROPPED:
		recorder->counters.left_out++;
		leave_out(recorder);
		return true;
	case TRANSFORM_REFUSED: return refused(recorder, error);
	case TRANSFORM_CLEAR: return put_clear(recorder, error);
	case TRANSFORM_CHANGED: break;
	}
	recorder->pending_at = 0;
	return put_pending(recorder, error) != OUTLET_FAILED;
}

static bool put_edge_of_transaction(struct recorder *recorder, struct error *error)
{
	if (recorder->event.edge == TRANSACTION_BEGIN) {
		recorder->open = true;
		recorder->begun = false;
		recorder->multi = recorder->event;
		return true;
	}
	if (recorder->begun)
		return put_same(recorder, error);
	recorder->open = false;
	leave_out(recorder);
	return true;
}

/* ---- the end of the snapshot ---- */

static bool put_tail(struct recorder *recorder, const struct event *event, struct error *error)
{
	(void)event;
	(void)error;
	scribe_snapshot_end(recorder->scribe, &recorder->place);
	return true;
}

/* Could two keys have come to one name? */
static bool may_repeat(const struct recorder *recorder)
{
	const struct task_options *task = recorder->options.task;

	return recorder->options.file->kind != SCRIBE_JSONL && (task->database_map || task->rename.count > 0 || task->lua_script);
}

static bool secure_snapshot(struct recorder *recorder, struct error *error)
{
	if (may_repeat(recorder) && !repeats_check(recorder->out.path, out_length(&recorder->out), error))
		return false;
	if (!out_sync(&recorder->out, error)) {
		recorder->broken = true;
		return false;
	}
	recorder->phase = FILE_WHOLE;
	recorder->whole.length = recorder->out.flushed;
	recorder->whole.checksum = recorder->out.checksum;
	return true;
}

static bool open_stream(struct recorder *recorder, uint64_t length, int64_t db, struct error *error)
{
	char *path = files_stream(&recorder->files);
	bool opened = out_resume(&recorder->out, path, false, length, 0, error);

	free(path);
	scribe_select(recorder->scribe, db);
	return opened;
}

static bool publish(struct recorder *recorder, struct error *error)
{
	const struct file_target *file = recorder->options.file;
	uint64_t length = recorder->whole.length;
	bool replaces = file->replaces || spool_origin(recorder->options.spool).generation > 1;

	out_close(&recorder->out);
	if (!files_publish(&recorder->files, length, replaces, error))
		return false;
	note(recorder, LOG_INFO, "%s: %s (%" PRIu64 " bytes, %" PRIu64 " keys written in this run)", file->path,
	     !recorder->files.has_base ? "there is no snapshot, commands follow"
	     : file->follows           ? "the snapshot is whole, commands follow"
				       : "the snapshot is whole",
	     length, recorder->keys);
	if (file->follows && !open_stream(recorder, file->parts ? 0 : length, SCRIBE_NO_DATABASE, error))
		return false;
	recorder->phase = file->follows ? FILE_STREAM : FILE_DONE;
	recorder->whole.length = file->follows ? recorder->out.flushed : length;
	recorder->whole.file_db = SCRIBE_NO_DATABASE;
	recorder->kept = recorder->whole;
	return true;
}

/* One step. READY: it is done. */
static enum outlet_state take_step(struct recorder *recorder, struct error *error)
{
	switch (recorder->step) {
	case STEP_NONE: break;
	case STEP_TAIL: return put_whole(recorder, put_tail, NULL, error);
	case STEP_FLUSH:
		if (out_flush(&recorder->out))
			break;
		return wait_for_room(recorder, error) ? OUTLET_WAITS : OUTLET_FAILED;
	case STEP_SYNC: return secure_snapshot(recorder, error) ? OUTLET_READY : OUTLET_FAILED;
	case STEP_SAVE:
		if (recorder->events->save(recorder->owner))
			break;
		snprintf(recorder->waiting_for, sizeof(recorder->waiting_for), "the work directory, which cannot be written");
		timer_start(recorder->retry, RETRY_MS);
		return OUTLET_WAITS;
	case STEP_PUBLISH: return publish(recorder, error) ? OUTLET_READY : OUTLET_FAILED;
	}
	return OUTLET_READY;
}

static enum outlet_state finish(struct recorder *recorder, struct error *error)
{
	while (recorder->step != STEP_NONE) {
		enum outlet_state state = take_step(recorder, error);

		if (state != OUTLET_READY)
			return state;
		recorder->step = recorder->step == STEP_PUBLISH ? STEP_NONE : recorder->step + 1;
	}
	recorder->events->applied(recorder->owner);
	return OUTLET_READY;
}

/* ---- beginning and going on ---- */

/* What is behind the last whole command, of a transaction that has not come to its end, goes: a file at rest is whole. */
static void close_file(struct recorder *recorder)
{
	struct error unused;

	if (recorder->phase == FILE_STREAM && recorder->out.file >= 0 && !recorder->broken &&
	    recorder->out.flushed > recorder->kept.length && !out_cut_to(&recorder->out, recorder->kept.length, &unused))
		recorder->broken = true; /* the next run cuts it */
	out_close(&recorder->out);
}

static bool begin_new(struct recorder *recorder, struct error *error)
{
	const struct file_target *file = recorder->options.file;
	char *partial;
	bool created;

	recorder->files.has_base = spool_snapshot_end(recorder->options.spool) != 0;
	scribe_select(recorder->scribe, SCRIBE_NO_DATABASE);
	if (file->parts && !files_next_number(&recorder->files, error))
		return false;
	if (file->parts && !recorder->files.has_base) {
		recorder->phase = FILE_WHOLE;
		recorder->step = STEP_SAVE;
		return true;
	}
	partial = files_partial(&recorder->files);
	created = out_create(&recorder->out, partial, file->kind != SCRIBE_JSONL, error);
	free(partial);
	recorder->phase = FILE_SNAPSHOT;
	recorder->step = recorder->files.has_base ? STEP_NONE : STEP_FLUSH;
	return created;
}

static bool go_on_snapshot(struct recorder *recorder, const struct file_state *file, struct error *error)
{
	char *partial = files_partial(&recorder->files);
	bool resumed = out_resume(&recorder->out, partial, recorder->options.file->kind != SCRIBE_JSONL, file->length,
				  file->checksum, error);

	free(partial);
	scribe_select(recorder->scribe, file->db);
	return resumed;
}

static bool begin(void *self, const struct link_state *state, struct error *error)
{
	struct recorder *recorder = self;
	const struct file_state none = {.phase = FILE_NONE}, *file = state ? &state->file : &none;

	close_file(recorder);
	timer_stop(recorder->retry);
	recorder->waiting = recorder->open = recorder->begun = false;
	recorder->waiting_for[0] = '\0';
	recorder->pending.count = recorder->pending_at = 0;
	recorder->step = STEP_NONE;
	recorder->phase = file->phase;
	recorder->files.number = file->number;
	recorder->files.has_base = file->has_base;
	recorder->whole = (struct file_mark){
		.position = state ? state->position : 0,
		.db = state ? state->db : 0,
		.length = file->length,
		.checksum = file->checksum,
		.file_db = file->phase == FILE_NONE ? SCRIBE_NO_DATABASE : file->db,
	};
	recorder->kept = recorder->whole;
	if (file->phase != FILE_NONE && file->format != (unsigned)recorder->options.file->kind) {
		error_set(error, ERROR_USAGE,
			  "the work directory is that of a task which writes another format than target.mode says");
		error_hint(error, "Leave target.mode as it was, or begin anew with an empty work directory");
		return false;
	}
	switch (file->phase) {
	case FILE_NONE: return begin_new(recorder, error);
	case FILE_SNAPSHOT: return go_on_snapshot(recorder, file, error);
	case FILE_WHOLE: recorder->step = STEP_PUBLISH; return true;
	case FILE_STREAM:
		return (!recorder->files.parts || files_check_manifest(&recorder->files, error)) &&
		       open_stream(recorder, file->length, file->db, error);
	case FILE_DONE: break;
	}
	return true;
}

/* ---- the table's functions ---- */

static const struct command_table *commands(const void *self)
{
	(void)self;
	return NULL; /* there is no server to ask about a command that is not in the table */
}

static bool handle(struct recorder *recorder, const struct event *event, struct error *error)
{
	switch (event->kind) {
	case EVENT_COMMAND:
		if (event->edge == TRANSACTION_BEGIN || event->edge == TRANSACTION_END)
			return put_edge_of_transaction(recorder, error);
		return put_transformed(recorder, error);
	case EVENT_KEY:
	case EVENT_FUNCTION:
	case EVENT_SCRIPT: return put_transformed(recorder, error);
	case EVENT_PROGRESS:
		if (recorder->phase == FILE_SNAPSHOT)
			return put_same(recorder, error);
		leave_out(recorder);
		return true;
	case EVENT_SNAPSHOT_END:
		recorder->whole.position = event->end;
		recorder->whole.db = 0;
		recorder->step = STEP_TAIL;
		return true; /* the rest when it is asked whether it is ready */
	}
	return true;
}

static bool take_event(void *self, const struct event *event, uint32_t db_stream, const struct snapshot_place *place,
		       struct error *error)
{
	struct recorder *recorder = self;

	recorder->event = *event;
	recorder->db_stream = db_stream;
	recorder->place = *place;
	if (recorder->options.scripts)
		scripts_see(recorder->options.scripts, event);
	recorder->failed = !handle(recorder, event, error);
	return !recorder->failed;
}

static enum outlet_state ready(void *self, struct error *error)
{
	struct recorder *recorder = self;
	enum outlet_state state = recorder->waiting ? OUTLET_WAITS : OUTLET_READY;

	if (state == OUTLET_READY && recorder->step != STEP_NONE)
		state = finish(recorder, error);
	if (state == OUTLET_READY && recorder->phase == FILE_DONE)
		state = OUTLET_DONE;
	if (state == OUTLET_READY && recorder->pending.count > 0)
		state = put_pending(recorder, error);
	recorder->failed = state == OUTLET_FAILED;
	return state;
}

static bool has_room(const void *self)
{
	return !((const struct recorder *)self)->waiting;
}

static bool idle(const void *self)
{
	const struct recorder *recorder = self;

	/* Between the steps at the end of a snapshot it may be left alone: the next run, or a new snapshot, does them. */
	return recorder->failed ||
	       (!recorder->waiting && (recorder->step != STEP_NONE || recorder->kept.position == recorder->whole.position));
}

static bool at_barrier(const void *self)
{
	return ((const struct recorder *)self)->step != STEP_NONE;
}

static bool in_transaction(const void *self)
{
	return ((const struct recorder *)self)->open;
}

static void flush(void *self)
{
	struct recorder *recorder = self;
	struct error error;

	if (recorder->waiting || recorder->step != STEP_NONE || recorder->out.file < 0)
		return;
	if (!out_flush(&recorder->out) && !wait_for_room(recorder, &error))
		recorder->events->failed(recorder->owner, &error);
	if (mark_kept(recorder))
		recorder->events->applied(recorder->owner);
}

static void applied(const void *self, uint64_t *position, uint32_t *db)
{
	const struct recorder *recorder = self;

	*position = recorder->kept.position;
	*db = recorder->kept.db;
}

static bool secure(void *self, struct link_state *state, struct error *error)
{
	struct recorder *recorder = self;
	/* A whole snapshot counts as such when the state says so, before it has taken its place. */
	const struct file_mark *mark = recorder->phase == FILE_WHOLE ? &recorder->whole : &recorder->kept;

	if (recorder->broken) {
		error_set(error, ERROR_TARGET, "%s cannot be relied on since the disk failed: its position is not kept",
			  recorder->options.file->path);
		return false;
	}
	if (recorder->phase != FILE_WHOLE && recorder->out.file >= 0 && !out_sync(&recorder->out, error)) {
		recorder->broken = true;
		recorder->events->failed(recorder->owner, error);
		return false;
	}
	state->position = mark->position;
	state->db = mark->db;
	state->file = (struct file_state){
		.phase = recorder->phase,
		.format = (unsigned)recorder->options.file->kind,
		.length = mark->length,
		.checksum = mark->checksum,
		.db = mark->file_db,
		.number = recorder->files.number,
		.has_base = recorder->files.has_base,
	};
	return true;
}

static void status(const void *self, struct outlet_status *ret)
{
	const struct recorder *recorder = self;

	*ret = (struct outlet_status){
		.dispatch = recorder->counters,
		.sink = {.keys = recorder->keys, .commands = recorder->commands},
		.file_bytes = recorder->out.file >= 0 ? recorder->out.flushed : recorder->whole.length,
		.waiting_for = recorder->waiting_for,
	};
	ret->dispatch.commands = adapt_counters(recorder->adapt);
}

static void recorder_free(void *self)
{
	struct recorder *recorder = self;

	close_file(recorder);
	out_free(&recorder->out);
	scribe_free(recorder->scribe);
	timer_free(recorder->retry);
	adapt_free(recorder->adapt);
	transform_free(recorder->transform);
	free(recorder);
}

static const struct outlet_ops ops = {
	.free = recorder_free,
	.begin = begin,
	.commands = commands,
	.event = take_event,
	.ready = ready,
	.has_room = has_room,
	.idle = idle,
	.at_barrier = at_barrier,
	.in_transaction = in_transaction,
	.flush = flush,
	.applied = applied,
	.secure = secure,
	.status = status,
};

struct outlet recorder_new(const struct recorder_options *options, const struct outlet_events *events, void *owner)
{
	struct recorder *recorder = memory_alloc_zero(1, sizeof(*recorder));

	recorder->options = *options;
	recorder->events = events;
	recorder->owner = owner;
	recorder->files = (struct files){.disk = &disk_real, .path = options->file->path, .parts = options->file->parts};
	out_init(&recorder->out, &disk_real);
	recorder->out.passed = on_passed;
	recorder->out.owner = recorder;
	recorder->scribe = scribe_new(options->file->kind, &recorder->out);
	recorder->transform = transform_new(options->task, &(struct transform_target){0});
	recorder->adapt = adapt_new(&(struct adapt_options){
		.target = &recorder->options.abilities,
		.lag = options->lag,
		.scripts = options->scripts,
		.note = events->note,
		.owner = owner,
	});
	recorder->retry = timer_new(options->loop, on_retry, recorder);
	return (struct outlet){&ops, recorder};
}
