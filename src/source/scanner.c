/* The scanner: who is connected, which pass is under way, and what is read next. Everything that happens ends in advance(), which does what can be done
 * and leaves what has to be awaited. */
#include "source/scanner_state.h"

#include "base/clock.h"
#include "base/memory.h"
#include "source/scan_facts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 1000
#define LATER_MS 1000
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MOST_MS 10000
#define FLUSH_BYTES (256u << 10) /* put together before they go to the spool */
#define SILENT_POLL_US 2000000
#define BEAT_PATIENCE 3 /* heartbeats that nobody told of, before that is said */
#define NOTIFY_SETTING "notify-keyspace-events"

static void advance(struct scanner *scanner);
void scanner_note(struct scanner *scanner, enum log_level level, const char *format, ...)
{
	char peer[ENDPOINT_TEXT_MAX], text[2048];
	va_list args;
	int used = snprintf(text, sizeof(text), "%s: ", endpoint_format(&scanner->options.client.endpoint, peer));

	va_start(args, format);
	vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
	va_end(args);
	scanner->events.note(scanner->owner, (int)level, text);
}

static void on_scan_writer_note(void *owner, int log_level, const char *text)
{
	scanner_note(owner, (enum log_level)log_level, "%s", text);
}

/* Names the server in front. */
static void scanner_tell(struct scanner *scanner, struct incident incident)
{
	struct incident named = incident;
	char peer[ENDPOINT_TEXT_MAX];

	snprintf(named.text, sizeof(named.text), "%s: ", endpoint_format(&scanner->options.client.endpoint, peer));
	incident_add_text(&named, "%s", incident.text);
	scanner->events.tell(scanner->owner, &named);
}

static void on_scan_writer_tell(void *owner, const struct incident *incident)
{
	scanner_tell(owner, *incident);
}

static const struct intake_events scan_writer_callbacks = {on_scan_writer_note, on_scan_writer_tell};

bool scanner_in_snapshot(const struct scanner *scanner)
{
	return scanner->begun && scan_writer_in_snapshot(scanner->scan_writer);
}

/* ---- ends ---- */

static void close_all(struct scanner *scanner)
{
	scanner->running = false;
	timer_stop(scanner->tick);
	timer_stop(scanner->listen_retry);
	backlog_stop(scanner->backlog);
	timer_stop(scanner->later_timer);
	reader_stop(scanner->reader);
	listener_free(scanner->listener);
	scanner->listener = NULL;
	away_end(scanner->away);
	atomic_store(&scanner->connected, false);
}

static void on_doom(void *owner)
{
	struct scanner *scanner = owner;

	close_all(scanner);
	if (scanner->error.kind != ERROR_NONE)
		scanner->events.failed(scanner->owner, &scanner->error);
}

/* Ends on the next turn: its callers may stand in a callback of what has to be closed. */
static void fail(struct scanner *scanner, const struct error *error)
{
	if (!scanner->running)
		return;
	scanner->running = false;
	scanner->error = *error;
	idle_start(scanner->doom);
}

void scanner_finish(struct scanner *scanner)
{
	scanner_note(scanner, LOG_INFO, "the pass is complete, and nothing is followed (source.scan.follow: false)");
	scan_writer_sync(scanner->scan_writer, true);
	scanner->running = false;
	atomic_store(&scanner->complete, true);
	idle_start(scanner->doom);
}

/* ---- which key is read next ---- */

static void overflow(struct scanner *scanner)
{
	if (!scanner->full_noted)
		scanner_note(
			scanner, LOG_WARNING,
			"more keys change than are remembered until they are read (source.scan.changes): what does not fit is found by another pass");
	scanner->full_noted = true;
	scan_pass_missed(scanner);
}

static bool on_want(void *owner, uint32_t *db, struct slice *key)
{
	struct scanner *scanner = owner;

	return scanner->running && scanner->begun && !scanner_in_snapshot(scanner) && !timer_active(scanner->later_timer) &&
	       backlog_take(scanner->backlog, db, key);
}

static void on_backlog_ready(void *owner)
{
	reader_pump(((struct scanner *)owner)->reader);
}

/* ---- what the listener says ---- */

bool scanner_selects(const struct scanner *scanner, uint32_t db)
{
	return task_options_database_selected(scanner->options.task, db);
}

static void on_told(void *owner, uint32_t db, struct slice key)
{
	struct scanner *scanner = owner;

	if (heartbeat_is_key(key))
		scanner->beat_seen_us = clock_monotonic_us();
	/* The lag is measured by it, whatever is selected. */
	if (!scanner->running || (!scanner_selects(scanner, db) && !heartbeat_is_key(key)))
		return;
	if (!backlog_add(scanner->backlog, db, key))
		overflow(scanner);
	idle_start(scanner->again);
}

static void on_passed(void *owner, bool held)
{
	struct scanner *scanner = owner;

	/* It may have been given up meanwhile. */
	if (scanner->moment.asked && held)
		scan_pass_hold_moment(scanner);
	else if (scanner->moment.asked)
		scan_pass_forget_moment(scanner);
	idle_start(scanner->again);
}

static void on_listening(void *owner)
{
	struct scanner *scanner = owner;

	backoff_reset(&scanner->listen_backoff);
	scanner->listening_since_us = clock_monotonic_us();
	scanner->beat_noted = false;
	scanner_note(scanner, LOG_INFO, "listening to keyspace notifications%s",
		     scanner->ever_listened && scanner->options.task->snapshot ? "; a pass over all keys finds what was missed"
									       : "");
	scanner->ever_listened = true;
	idle_start(scanner->again);
}

static void listen_again(struct scanner *scanner)
{
	timer_start(scanner->listen_retry, backoff_next(&scanner->listen_backoff));
}

static void on_listener_lost(void *owner, const struct error *error, bool denied)
{
	struct scanner *scanner = owner;
	bool listened = listener_listening(scanner->listener);

	listener_free(scanner->listener);
	scanner->listener = NULL;
	if (denied && !scanner->ever_listened) {
		fail(scanner, error);
		return;
	}
	atomic_fetch_add(&scanner->reconnects, 1);
	if (listened)
		scanner_note(
			scanner, LOG_WARNING,
			"%s: the subscription to keyspace notifications is lost, and with it what changes until there is a new one%s",
			error->text, scanner->options.task->snapshot ? "" : "; with snapshot: false that is not looked for");
	else
		scanner_note(scanner, LOG_WARNING, "%s; listening is tried again", error->text);
	if (listened)
		scan_pass_missed(scanner);
	listen_again(scanner);
}

static void listen(struct scanner *scanner)
{
	static const struct listener_events events = {on_listening, on_told, on_passed, on_listener_lost};

	if (scanner->running && scanner->listens && !scanner->listener)
		scanner->listener = listener_new(scanner->loop, &scanner->options.client, scanner->channels, &events, scanner);
}

/* Each time before it listens: the server may be another one by now, or set otherwise. */
static void on_listen_retry(void *owner)
{
	struct scanner *scanner = owner;

	if (!scanner->running || !scanner->listens || scanner->listener || scanner->setting_asked)
		return;
	scanner->setting_asked = true;
	reader_config(scanner->reader, NOTIFY_SETTING);
}

static void on_config(void *owner, const char *name, struct slice value, bool refused)
{
	struct scanner *scanner = owner;
	char wanted[32];

	(void)name;
	scanner->setting_asked = false;
	scanner->setting_known = !refused;
	if (refused) {
		scanner->channels = LISTENER_KEYEVENT | LISTENER_KEYSPACE;
	} else if (!listener_setting(value, scanner->options.streams, &scanner->channels, wanted)) {
		if (!scanner->setting_noted)
			scanner_note(
				scanner, LOG_ERROR,
				"the server tells nobody of all changes (%s is '%.*s'): CONFIG SET %s %s there; it is looked at again",
				NOTIFY_SETTING, (int)value.len, (const char *)value.data, NOTIFY_SETTING, wanted);
		scanner->setting_noted = true;
		listen_again(scanner);
		return;
	}
	scanner->setting_noted = false;
	listen(scanner);
}

/* ---- what the reader says ---- */

static void flush_if_much(struct scanner *scanner)
{
	if (scan_writer_waiting(scanner->scan_writer) < FLUSH_BYTES)
		return;
	scanner->hold = scan_writer_flush(scanner->scan_writer);
	if (scanner->hold != HOLD_NONE)
		reader_pause(scanner->reader, true);
}

static void on_value(void *owner, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice payload)
{
	struct scanner *scanner = owner;
	struct error error;

	if (!scanner->running)
		return;
	atomic_fetch_add_explicit(&scanner->bytes_received, payload.len, memory_order_relaxed);
	scanner->pass_keys++;
	backlog_rest(scanner->backlog, db, key, payload.len);
	if (!scan_writer_key(scanner->scan_writer, db, key, expire_at_ms, payload, &error))
		fail(scanner, &error);
	flush_if_much(scanner);
}

static void on_piece(void *owner, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice bytes, bool begins, bool ends)
{
	struct scanner *scanner = owner;
	struct error error;

	if (!scanner->running)
		return;
	atomic_fetch_add_explicit(&scanner->bytes_received, bytes.len, memory_order_relaxed);
	if ((begins && !scan_writer_large_begin(scanner->scan_writer, &error)) ||
	    !scan_writer_large_piece(scanner->scan_writer, bytes, &error)) {
		scanner_note(scanner, LOG_ERROR, "%s (%s); the value is read again", error.text, error.hint);
		reader_pause(scanner->reader, true);
		reader_break(scanner->reader);
		return;
	}
	if (!ends)
		return;
	scanner->pass_keys++;
	backlog_rest(scanner->backlog, db, key, scan_writer_large_size(scanner->scan_writer));
	if (!scan_writer_large_end(scanner->scan_writer, db, key, expire_at_ms, &error)) {
		fail(scanner, &error);
		return;
	}
	scanner->hold = scan_writer_flush(scanner->scan_writer);
	if (scanner->hold != HOLD_NONE)
		reader_pause(scanner->reader, true);
}

static void on_gone(void *owner, uint32_t db, struct slice key)
{
	struct scanner *scanner = owner;

	if (!scanner->running || scanner_in_snapshot(scanner))
		return;
	scan_writer_gone(scanner->scan_writer, db, key);
	flush_if_much(scanner);
}

static void on_later(void *owner, uint32_t db, struct slice key)
{
	struct scanner *scanner = owner;

	scan_pass_forget_moment(scanner);
	if (!backlog_add(scanner->backlog, db, key))
		overflow(scanner);
	timer_start(scanner->later_timer, LATER_MS);
}

static void on_functions(void *owner, struct slice payload, struct slice refusal)
{
	struct scanner *scanner = owner;
	struct error error;

	if (slice_starts_with(refusal, SLICE("NOPERM")))
		scanner_note(scanner, LOG_WARNING, "function libraries are not copied: the user needs +function|dump");
	if (payload.len > 0 && scanner_in_snapshot(scanner) && !scan_writer_functions(scanner->scan_writer, payload, &error))
		fail(scanner, &error);
}

static void take_silent_calls(struct scanner *scanner, uint64_t calls)
{
	/* Fewer: they were reset, or it is another server. */
	if (scanner->silent_known && calls > scanner->silent_calls) {
		scanner_note(
			scanner, LOG_WARNING,
			"FLUSHALL, FLUSHDB or SWAPDB was called, which servers tell nobody of: a pass over all keys follows");
		scan_pass_missed(scanner);
	}
	scanner->silent_calls = calls;
	scanner->silent_known = true;
}

static void on_info(void *owner, const char *section, struct slice text)
{
	struct scanner *scanner = owner;

	if (strcmp(section, "commandstats") == 0) {
		scanner->silent_asked = false;
		take_silent_calls(scanner, scan_facts_silent_calls(text));
	} else if (scanner->pass == PASS_LISTING) {
		free(scanner->databases);
		scanner->database_count = scan_facts_databases(text, &scanner->databases);
		scanner->database_at = 0;
		scanner->pass = PASS_SCANNING;
		scan_pass_next_database(scanner);
	}
	idle_start(scanner->again);
}

static void on_scanned(void *owner)
{
	struct scanner *scanner = owner;

	if (scanner->pass == PASS_SCANNING)
		scan_pass_next_database(scanner);
}

static void on_reader_idle(void *owner)
{
	advance(owner);
}

static void on_reader_connected(void *owner)
{
	struct scanner *scanner = owner;

	struct incident incident;
	double seconds;

	scanner->reader_up = true;
	atomic_store(&scanner->connected, true);
	away_end(scanner->away);
	if (!scanner->ever_connected) {
		scanner_note(scanner, LOG_INFO, "connected; keys are read by SCAN and DUMP (source.mode: scan)");
	} else if (scanner->lost_us > 0) {
		seconds = (double)(clock_monotonic_us() - scanner->lost_us) / 1e6;
		incident =
			incident_make(INCIDENT_SOURCE_RECONNECTED, -1, "connected again after %.1f s; reading goes on", seconds);
		incident.cause = "connection";
		incident_add_cost(&incident, "seconds", seconds);
		scanner_tell(scanner, incident);
	}
	scanner->lost_us = 0;
	scanner->ever_connected = true;
	if (scanner->listens && !scanner->listener && !timer_active(scanner->listen_retry))
		on_listen_retry(scanner);
	idle_start(scanner->again);
}

static void on_reader_lost(void *owner, const struct error *error, bool refused)
{
	struct scanner *scanner = owner;

	scanner->reader_up = false;
	away_tell(scanner->away, error);
	atomic_store(&scanner->connected, false);
	if (refused && !scanner->ever_connected) {
		fail(scanner, error);
		return;
	}
	atomic_fetch_add(&scanner->reconnects, 1);
	if (scanner->lost_us == 0) {
		struct incident incident = incident_make(INCIDENT_SOURCE_LOST, -1, "%s; reading is tried again", error->text);

		incident.cause = "connection";
		scanner->lost_us = clock_monotonic_us();
		scanner->events.tell(scanner->owner, &incident); /* the error names the server */
	} else if (strcmp(scanner->lost_why, error->text) != 0) {
		scanner_note(scanner, LOG_WARNING, "%s; reading is tried again", error->text);
	}
	snprintf(scanner->lost_why, sizeof(scanner->lost_why), "%s", error->text);
}

static void on_reader_failed(void *owner, const struct error *error)
{
	fail(owner, error);
}

/* ---- generations ---- */

/* The spool holds another history: the applier lets go of it first. True: the new one is begun. */
static bool begin_generation(struct scanner *scanner)
{
	struct incident incident;

	if (scanner->begun)
		return true;
	if (!scanner->reader_up || (scanner->listens && !listener_listening(scanner->listener)))
		return false;
	if (spool_origin(scanner->options.spool).generation > 0 && !scanner->resync_asked) {
		scanner->resync_asked = true;
		incident = incident_make(
			INCIDENT_RESUMED, -1,
			"what happened while nobody listened is not known: all keys are read again, and those that are gone are deleted in the target");
		incident.cause = "scan";
		scanner_tell(scanner, incident);
		scanner->events.resync(scanner->owner);
	}
	if (scanner->resync_asked && !atomic_load(&scanner->resync_ready))
		return false;
	scanner->hold = scan_writer_begin(scanner->scan_writer, scanner->options.task->snapshot);
	scanner->begun = scanner->hold == HOLD_NONE;
	if (scanner->begun)
		atomic_store(&scanner->applied, -1); /* what was told is an offset of the history before */
	return scanner->begun;
}

static void advance(struct scanner *scanner)
{
	if (!scanner->running || !begin_generation(scanner))
		return;
	scanner->hold = scan_writer_flush(scanner->scan_writer);
	if (scanner->hold != HOLD_NONE) {
		reader_pause(scanner->reader, true);
		return;
	}
	reader_pause(scanner->reader, false);
	scan_pass_check_moment(scanner);
	if (scanner->running)
		scan_pass_run(scanner);
	if (scanner->running)
		reader_pump(scanner->reader);
}

static void on_advance(void *owner)
{
	advance(owner);
}

/* ---- each second ---- */

static void check_listener(struct scanner *scanner)
{
	struct error error;
	uint64_t now = clock_monotonic_us();
	uint64_t interval_us = scanner->options.task->heartbeat_interval_ms * 1000ULL;

	if (!listener_listening(scanner->listener))
		return;
	/* Also while no moment is wanted: it shows that the connection stands. */
	listener_barrier(scanner->listener);
	if (listener_silence_us(scanner->listener) > scanner->options.task->repl_timeout_ms * 1000ULL) {
		error_set(&error, ERROR_SOURCE, "no answer within %g s", scanner->options.task->repl_timeout_ms / 1000.0);
		on_listener_lost(scanner, &error, false);
		return;
	}
	/* The heartbeat is a change like any other: where the setting cannot be read, it tells whether changes are told of. */
	if (scanner->setting_known || scanner->beat_noted || !scanner->heartbeat || !heartbeat_is_written(scanner->heartbeat) ||
	    scanner->beat_seen_us > scanner->listening_since_us ||
	    now - scanner->listening_since_us < BEAT_PATIENCE * interval_us + 1000000)
		return;
	scanner->beat_noted = true;
	scanner_note(
		scanner, LOG_WARNING,
		"nothing was told of the heartbeat that is written there: the server seems to tell nobody of changes. Set %s to KEA (or, for less traffic, AE) "
		"where this service lets you",
		NOTIFY_SETTING);
}

static void on_tick(void *owner)
{
	struct scanner *scanner = owner;
	uint64_t now = clock_monotonic_us();

	reader_tick(scanner->reader);
	if (scanner->begun)
		scan_pass_ask_moment(scanner);
	check_listener(scanner);
	if (!scanner->begun) {
		advance(scanner);
		return;
	}
	scan_pass_commit_names(scanner);
	scan_writer_sync(scanner->scan_writer, false);
	if (scanner->listens && scanner->reader_up && scanner->passes > 0 && !scanner->silent_asked &&
	    now - scanner->silent_polled_us >= SILENT_POLL_US) {
		scanner->silent_polled_us = now;
		scanner->silent_asked = true;
		reader_info(scanner->reader, "commandstats");
	}
	if (scanner->next_pass_us && scanner->pass == PASS_NONE && now >= scanner->next_pass_us) {
		scanner->next_pass_us = 0;
		scanner->pass_due = true;
	}
	if (scanner->pass == PASS_NONE && scanner->commit_at < 0)
		names_tidy(scanner->options.names);
	advance(scanner);
}

/* ---- public ---- */

/* The reader's thread of the spool, and that of the applier. */
static void on_room_made(void *owner)
{
	wake_send(((struct scanner *)owner)->wake);
}

struct scanner *scanner_new(struct loop *loop, const struct scanner_options *options, const struct scanner_events *events,
			    void *owner)
{
	static const struct reader_events reader_events = {
		.want = on_want,
		.value = on_value,
		.piece = on_piece,
		.gone = on_gone,
		.later = on_later,
		.info = on_info,
		.config = on_config,
		.functions = on_functions,
		.scanned = on_scanned,
		.idle = on_reader_idle,
		.lost = on_reader_lost,
		.connected = on_reader_connected,
		.failed = on_reader_failed,
	};
	struct scanner *scanner = memory_alloc_zero(1, sizeof(*scanner));
	const struct task_options *task = options->task;
	struct reader_options reader = {
		.client = options->client,
		.count = task->scan_count,
		.pipeline = task->scan_pipeline,
		.pexpiretime = options->pexpiretime,
		.readonly = options->readonly,
		.silence_ms = task->repl_timeout_ms,
	};

	scanner->loop = loop;
	scanner->options = *options;
	scanner->events = *events;
	scanner->owner = owner;
	scanner->listens = task->scan_follow && task->scan_notifications != SCAN_NOTIFICATIONS_OFF;
	scanner->commit_at = -1;
	scanner->away = away_new();
	scanner->reader = reader_new(loop, &reader, &reader_events, scanner);
	scanner->scan_writer = scan_writer_new(options->spool, options->names, options->dir, &scan_writer_callbacks, scanner);
	scanner->backlog = backlog_new(loop, task->scan_changes, on_backlog_ready, scanner);
	scanner->tick = timer_new(loop, on_tick, scanner);
	scanner->listen_retry = timer_new(loop, on_listen_retry, scanner);
	scanner->later_timer = timer_new(loop, on_advance, scanner);
	scanner->again = idle_new(loop, on_advance, scanner);
	scanner->doom = idle_new(loop, on_doom, scanner);
	scanner->wake = wake_new(loop, on_advance, scanner);
	backoff_init(&scanner->listen_backoff, BACKOFF_FIRST_MS, BACKOFF_MOST_MS, clock_monotonic_us() ^ (uintptr_t)scanner);
	atomic_store(&scanner->applied, -1);
	spool_on_room(options->spool, on_room_made, scanner);
	return scanner;
}

void scanner_move(struct scanner *scanner, const struct endpoint *endpoint, bool readonly)
{
	char before[ENDPOINT_TEXT_MAX], peer[ENDPOINT_TEXT_MAX];
	struct incident incident = incident_make(
		INCIDENT_SOURCE_RECONNECTED, -1, "%s: is not read any more; going on with %s, with a pass over all keys",
		endpoint_format(&scanner->options.client.endpoint, before), endpoint_format(endpoint, peer));
	bool same = endpoint_equal(endpoint, &scanner->options.client.endpoint);
	struct error why;

	scanner->options.client.endpoint = *endpoint;
	if (!scanner->running)
		return;
	incident.cause = "moved";
	if (!same)
		scanner->events.tell(scanner->owner, &incident);
	error_set(&why, ERROR_SOURCE, "%s is to be read now", peer);
	away_tell(scanner->away, &why);
	scanner->lost_us = 0;
	scanner->reader_up = scanner->silent_known = false;
	atomic_store(&scanner->connected, false);
	listener_free(scanner->listener);
	scanner->listener = NULL;
	timer_stop(scanner->listen_retry);
	if (scanner->begun)
		scan_pass_missed(scanner); /* where the old one stood is nothing to the new one, nor is a scan's cursor */
	reader_move(scanner->reader, endpoint, readonly);
}

void scanner_set_heartbeat(struct scanner *scanner, struct heartbeat *heartbeat)
{
	scanner->heartbeat = heartbeat;
}

/* ---- behind the table ---- */

static void start(void *self)
{
	struct scanner *scanner = self;

	scanner->running = true;
	scanner->stale = scanner->pass_due = scanner->options.task->snapshot;
	timer_repeat(scanner->tick, TICK_MS, TICK_MS);
	reader_start(scanner->reader);
}

static void stop(void *self)
{
	struct scanner *scanner = self;

	close_all(scanner);
	scan_pass_commit_names(scanner);
	scan_writer_sync(scanner->scan_writer, true);
}

static void free_scanner(void *self)
{
	struct scanner *scanner = self;

	spool_on_room(scanner->options.spool, NULL, NULL);
	listener_free(scanner->listener);
	reader_free(scanner->reader);
	scan_writer_free(scanner->scan_writer);
	backlog_free(scanner->backlog);
	names_close(scanner->options.names);
	timer_free(scanner->tick);
	timer_free(scanner->listen_retry);
	timer_free(scanner->later_timer);
	idle_free(scanner->again);
	idle_free(scanner->doom);
	wake_free(scanner->wake);
	away_free(scanner->away);
	free(scanner->databases);
	free(scanner->missing);
	free(scanner);
}

static void resync_ready(void *self)
{
	struct scanner *scanner = self;

	atomic_store(&scanner->resync_ready, true);
	wake_send(scanner->wake);
}

static void set_applied(void *self, int64_t offset, bool now)
{
	struct scanner *scanner = self;

	(void)now;
	atomic_store(&scanner->applied, offset);
}

static struct source_status status(const void *self)
{
	const struct scanner *scanner = self;

	return (struct source_status){
		.connected = atomic_load(&scanner->connected),
		.complete = atomic_load(&scanner->complete),
		.bytes_received = atomic_load(&scanner->bytes_received),
		.reconnects = atomic_load(&scanner->reconnects),
		.resyncs = atomic_load(&scanner->resyncs),
		.away = away_status(scanner->away),
	};
}

static const struct source_ops ops = {start, stop, free_scanner, resync_ready, NULL, set_applied, status};

struct source scanner_as_source(struct scanner *scanner)
{
	return (struct source){&ops, scanner};
}
