/* The scanner: who is connected, which pass is under way, and what is read next. Everything that happens ends in advance(), which does what can be done
 * and leaves what has to be awaited. */
#include "source/scanner.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "source/backoff.h"
#include "source/changes.h"
#include "source/listener.h"
#include "source/reader.h"
#include "source/scribe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 1000
#define DEFERRED_MS 20
#define LATER_MS 1000
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MOST_MS 10000
#define FLUSH_BYTES (256u << 10) /* put together before they go to the spool */
#define RECENT 4096              /* keys read of late; a power of two */
#define SILENT_POLL_US 2000000
#define BEAT_PATIENCE 3          /* heartbeats that nobody told of, before that is said */
#define NOTIFY_SETTING "notify-keyspace-events"

enum pass { PASS_NONE, PASS_LISTING, PASS_SCANNING, PASS_ENDING, PASS_NAMES, PASS_SETTLING };

/* A key that was read, and when it may be read again. */
struct recent {
	uint64_t hash;
	uint64_t again_us;
};

/* The moment whose keys are being awaited. */
struct moment {
	bool asked;      /* the barrier is under way */
	bool pending;    /* it has passed: keys with this mark, or an older one, are being read */
	bool read;       /* they are asked for: answered when the reader comes to `answers` */
	uint64_t keys;   /* that still wait */
	uint64_t answers;
	struct sample sample;
};

struct scanner {
	struct loop *loop;
	struct scanner_options options;
	struct scanner_events events;
	void *owner;
	struct reader *reader;
	struct listener *listener; /* NULL: none wanted, or not now */
	struct scribe *scribe;
	struct heartbeat *heartbeat;
	struct timer *tick, *listen_retry, *deferred_timer, *later_timer;
	struct idle *again, *doom;
	struct wake *wake;
	struct backoff listen_backoff;
	struct error error; /* of the doom */

	bool running;
	bool listens;        /* notifications are wanted */
	bool reader_up;      /* its connection stands */
	bool ever_listened, ever_connected;
	bool setting_asked, setting_known, setting_noted;
	unsigned channels;
	uint64_t beat_seen_us, listening_since_us;
	bool beat_noted;
	enum hold hold;
	bool resync_asked, begun;

	enum pass pass;
	bool pass_due;
	bool stale;          /* something may have been missed since the last pass began */
	uint64_t misses;     /* counted; a pass that sees none more has seen everything */
	uint64_t misses_at_pass;
	uint64_t passes, pass_keys, pass_gone;
	uint64_t pass_began_us;
	struct sample pass_sample;
	uint64_t next_pass_us; /* 0: none is due by the clock */
	uint32_t *databases;
	uint32_t database_count, database_at;
	bool full_noted;
	char *missing;       /* a name that did not fit into `changes` yet */
	size_t missing_len;
	uint32_t missing_db;

	struct changes *changes;
	struct changes *deferred; /* told of too soon after they were read */
	struct recent recent[RECENT];
	uint32_t mark;
	struct moment moment;
	uint64_t silent_calls, silent_polled_us;
	bool silent_known, silent_asked;
	int64_t commit_at; /* the offset behind what was found missing; -1: nothing is to be committed */
	bool names_refused;

	/* From and for other threads. */
	_Atomic int64_t applied;
	atomic_bool resync_ready;
	atomic_bool connected, complete;
	_Atomic uint64_t bytes_received, reconnects, resyncs;
};

static void advance(struct scanner *scanner);
static void note(struct scanner *scanner, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

static void note(struct scanner *scanner, enum log_level level, const char *format, ...)
{
	char peer[ENDPOINT_TEXT_MAX], text[2048];
	va_list args;
	int used = snprintf(text, sizeof(text), "%s: ", endpoint_format(&scanner->options.client.endpoint, peer));

	va_start(args, format);
	vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
	va_end(args);
	scanner->events.note(scanner->owner, (int)level, text);
}

static void on_scribe_note(void *owner, int log_level, const char *text)
{
	note(owner, (enum log_level)log_level, "%s", text);
}

static bool in_snapshot(const struct scanner *scanner)
{
	return scanner->begun && scribe_in_snapshot(scanner->scribe);
}

/* ---- ends ---- */

static void close_all(struct scanner *scanner)
{
	scanner->running = false;
	timer_stop(scanner->tick);
	timer_stop(scanner->listen_retry);
	timer_stop(scanner->deferred_timer);
	timer_stop(scanner->later_timer);
	reader_stop(scanner->reader);
	listener_free(scanner->listener);
	scanner->listener = NULL;
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

static void finish(struct scanner *scanner)
{
	note(scanner, LOG_INFO, "the pass is complete, and nothing is followed (source.scan.follow: false)");
	scribe_sync(scanner->scribe, true);
	scanner->running = false;
	atomic_store(&scanner->complete, true);
	idle_start(scanner->doom);
}

/* ---- moments ---- */

static void forget_moment(struct scanner *scanner)
{
	scanner->moment = (struct moment){0};
}

static void begin_sample(const struct scanner *scanner, struct sample *sample)
{
	*sample = (struct sample){
		.number = scanner->heartbeat ? heartbeat_begin_sample(scanner->heartbeat) : 0,
		.wall_ms = clock_wall_ms(),
		.at_us = clock_monotonic_us(),
	};
}

/* Everything that waits now belongs to it. */
static void hold_moment(struct scanner *scanner)
{
	struct moment *moment = &scanner->moment;

	moment->asked = false;
	moment->pending = true;
	moment->keys = changes_count(scanner->changes) + changes_count(scanner->deferred);
	scanner->mark++;
}

static void ask_moment(struct scanner *scanner)
{
	struct moment *moment = &scanner->moment;

	if (moment->asked || moment->pending || !scanner->begun || in_snapshot(scanner) || (scanner->stale && scanner->pass != PASS_SETTLING))
		return;
	if (scanner->listens) {
		if (!listener_listening(scanner->listener))
			return;
		begin_sample(scanner, &moment->sample);
		moment->asked = listener_barrier(scanner->listener);
	} else if (scanner->pass == PASS_SETTLING) {
		/* Nobody tells of changes: what is known is as old as the pass. */
		moment->sample = scanner->pass_sample;
		hold_moment(scanner);
	}
}

static void missed(struct scanner *scanner)
{
	scanner->stale = true;
	scanner->misses++;
	forget_moment(scanner);
	if (!scanner->options.task->snapshot) {
		/* Only what is written from now on was asked for, so nothing is looked for. */
		scanner->stale = false;
		scanner->misses_at_pass = scanner->misses;
		return;
	}
	scanner->pass_due = true;
	if (scanner->pass == PASS_SETTLING)
		scanner->pass = PASS_NONE;
}

static void end_pass(struct scanner *scanner)
{
	uint64_t now = clock_monotonic_us();
	uint64_t interval = scanner->options.task->scan_interval_ms;

	scanner->pass = PASS_NONE;
	scanner->commit_at = scribe_offset(scanner->scribe);
	scanner->stale = scanner->misses != scanner->misses_at_pass;
	scanner->next_pass_us = interval ? now + interval * 1000 : 0;
	note(scanner, LOG_INFO, "pass %" PRIu64 " over all keys is complete: %" PRIu64 " keys read in %.1f s, %" PRIu64 " that were there before are gone%s",
	     scanner->passes, scanner->pass_keys, (double)(now - scanner->pass_began_us) / 1e6, scanner->pass_gone,
	     scanner->stale ? "; another one follows, for something was missed meanwhile" : "");
	if (!scanner->options.task->scan_follow)
		finish(scanner);
}

/* All keys of the moment are in the spool? */
static void check_moment(struct scanner *scanner)
{
	struct moment *moment = &scanner->moment;

	if (!moment->pending || moment->keys > 0)
		return;
	if (!moment->read) {
		moment->read = true;
		moment->answers = reader_asked(scanner->reader);
	}
	if (reader_answered(scanner->reader) < moment->answers || scribe_waiting(scanner->scribe) > 0 || scanner->hold != HOLD_NONE)
		return;
	moment->sample.offset = scribe_offset(scanner->scribe);
	if (scanner->heartbeat && scanner->misses == scanner->misses_at_pass)
		heartbeat_feed(scanner->heartbeat, &moment->sample);
	forget_moment(scanner);
	if (scanner->pass == PASS_SETTLING)
		end_pass(scanner);
}

/* ---- which key is read next ---- */

static struct recent *recent_of(struct scanner *scanner, uint64_t hash)
{
	return &scanner->recent[hash >> 16 & (RECENT - 1)];
}

/* Reading it cost so much that it has to rest before it is read again. */
static void note_read(struct scanner *scanner, uint32_t db, struct slice key, uint64_t size)
{
	uint64_t hash = changes_hash(db, key), rest = 1000000 / SCANNER_HOT_READS, by_size = size * 1000000 / SCANNER_HOT_BYTES;
	struct recent *recent = recent_of(scanner, hash);
	uint64_t now = clock_monotonic_us();

	/* One that rests longer is not forgotten for another. */
	if (recent->hash != hash && recent->again_us > now + by_size)
		return;
	*recent = (struct recent){hash, now + (by_size > rest ? by_size : rest)};
}

static void overflow(struct scanner *scanner)
{
	if (!scanner->full_noted)
		note(scanner, LOG_WARNING,
		     "more keys change than are remembered until they are read (source.scan.changes): what does not fit is found by another pass");
	scanner->full_noted = true;
	missed(scanner);
}

static void defer(struct scanner *scanner, uint32_t db, struct slice key, uint32_t mark)
{
	if (changes_add(scanner->deferred, db, key, mark) == CHANGES_FULL) {
		overflow(scanner);
		return;
	}
	if (!timer_active(scanner->deferred_timer))
		timer_start(scanner->deferred_timer, DEFERRED_MS);
}

static void on_deferred(void *owner)
{
	struct scanner *scanner = owner;
	uint64_t now = clock_monotonic_us();

	for (uint64_t left = changes_count(scanner->deferred); left > 0; left--) {
		uint32_t db, mark;
		struct slice key;
		struct recent *recent;
		uint64_t hash;

		if (!changes_take(scanner->deferred, &db, &key, &mark))
			break;
		hash = changes_hash(db, key);
		recent = recent_of(scanner, hash);
		if ((recent->hash == hash && recent->again_us > now) || changes_add(scanner->changes, db, key, mark) == CHANGES_FULL)
			defer(scanner, db, key, mark);
	}
	if (changes_count(scanner->deferred) > 0)
		timer_start(scanner->deferred_timer, DEFERRED_MS);
	reader_pump(scanner->reader);
}

static bool on_want(void *owner, uint32_t *db, struct slice *key)
{
	struct scanner *scanner = owner;
	uint64_t now = clock_monotonic_us();
	uint32_t mark;

	if (!scanner->running || !scanner->begun || in_snapshot(scanner) || timer_active(scanner->later_timer))
		return false;
	while (changes_take(scanner->changes, db, key, &mark)) {
		uint64_t hash = changes_hash(*db, *key);
		struct recent *recent = recent_of(scanner, hash);

		if (recent->hash == hash && recent->again_us > now) {
			defer(scanner, *db, *key, mark);
			continue;
		}
		if (scanner->moment.pending && mark < scanner->mark)
			scanner->moment.keys--;
		return true;
	}
	return false;
}

/* ---- what the listener says ---- */

static bool is_selected(const struct scanner *scanner, uint32_t db)
{
	return task_options_database_selected(scanner->options.task, db);
}

static void on_told(void *owner, uint32_t db, struct slice key)
{
	struct scanner *scanner = owner;

	if (heartbeat_is_key(key))
		scanner->beat_seen_us = clock_monotonic_us();
	/* The lag is measured by it, whatever is selected. */
	if (!scanner->running || (!is_selected(scanner, db) && !heartbeat_is_key(key)) || changes_holds(scanner->deferred, db, key))
		return;
	if (changes_add(scanner->changes, db, key, scanner->mark) == CHANGES_FULL)
		overflow(scanner);
	idle_start(scanner->again);
}

static void on_passed(void *owner)
{
	struct scanner *scanner = owner;

	/* It may have been given up meanwhile. */
	if (scanner->moment.asked)
		hold_moment(scanner);
	idle_start(scanner->again);
}

static void on_listening(void *owner)
{
	struct scanner *scanner = owner;

	backoff_reset(&scanner->listen_backoff);
	scanner->listening_since_us = clock_monotonic_us();
	scanner->beat_noted = false;
	note(scanner, LOG_INFO, "listening to keyspace notifications%s",
	     scanner->ever_listened && scanner->options.task->snapshot ? "; a pass over all keys finds what was missed" : "");
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
		note(scanner, LOG_WARNING, "%s: the subscription to keyspace notifications is lost, and with it what changes until there is a new one%s",
		     error->text, scanner->options.task->snapshot ? "" : "; with snapshot: false that is not looked for");
	else
		note(scanner, LOG_WARNING, "%s; listening is tried again", error->text);
	if (listened)
		missed(scanner);
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
			note(scanner, LOG_ERROR, "the server tells nobody of all changes (%s is '%.*s'): CONFIG SET %s %s there; it is looked at again",
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
	if (scribe_waiting(scanner->scribe) < FLUSH_BYTES)
		return;
	scanner->hold = scribe_flush(scanner->scribe);
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
	note_read(scanner, db, key, payload.len);
	if (!scribe_key(scanner->scribe, db, key, expire_at_ms, payload, &error))
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
	if ((begins && !scribe_large_begin(scanner->scribe, &error)) || !scribe_large_piece(scanner->scribe, bytes, &error)) {
		note(scanner, LOG_ERROR, "%s (%s); the value is read again", error.text, error.hint);
		reader_pause(scanner->reader, true);
		reader_break(scanner->reader);
		return;
	}
	if (!ends)
		return;
	scanner->pass_keys++;
	note_read(scanner, db, key, scribe_large_size(scanner->scribe));
	if (!scribe_large_end(scanner->scribe, db, key, expire_at_ms, &error)) {
		fail(scanner, &error);
		return;
	}
	scanner->hold = scribe_flush(scanner->scribe);
	if (scanner->hold != HOLD_NONE)
		reader_pause(scanner->reader, true);
}

static void on_gone(void *owner, uint32_t db, struct slice key)
{
	struct scanner *scanner = owner;

	if (!scanner->running || in_snapshot(scanner))
		return;
	scribe_gone(scanner->scribe, db, key);
	flush_if_much(scanner);
}

static void on_later(void *owner, uint32_t db, struct slice key)
{
	struct scanner *scanner = owner;

	forget_moment(scanner);
	if (changes_add(scanner->changes, db, key, scanner->mark) == CHANGES_FULL)
		overflow(scanner);
	timer_start(scanner->later_timer, LATER_MS);
}

static void on_functions(void *owner, struct slice payload, struct slice refusal)
{
	struct scanner *scanner = owner;
	struct error error;

	if (slice_starts_with(refusal, SLICE("NOPERM")))
		note(scanner, LOG_WARNING, "function libraries are not copied: the user needs +function|dump");
	if (payload.len > 0 && in_snapshot(scanner) && !scribe_functions(scanner->scribe, payload, &error))
		fail(scanner, &error);
}

uint64_t scanner_silent_calls(struct slice text)
{
	static const char *const commands[] = {"flushall", "flushdb", "swapdb"};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char line[40];
		int len = snprintf(line, sizeof(line), "cmdstat_%s:calls=", commands[i]);
		const uint8_t *found = memmem(text.data, text.len, line, (size_t)len), *end, *at;
		uint64_t calls;

		if (!found)
			continue;
		found += len;
		for (end = text.data + text.len, at = found; at < end && *at >= '0' && *at <= '9';)
			at++;
		if (slice_to_uint64(slice_make(found, (size_t)(at - found)), &calls))
			sum += calls;
	}
	return sum;
}

uint32_t scanner_databases(struct slice text, uint32_t **ret)
{
	const uint8_t *at = text.data, *end = text.data + text.len;
	uint32_t count = 0;

	*ret = NULL;
	while (at < end) {
		const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at)), *colon;
		uint64_t db;

		line_end = line_end ? line_end : end;
		colon = memchr(at, ':', (size_t)(line_end - at));
		if (colon && colon - at > 2 && at[0] == 'd' && at[1] == 'b' && slice_to_uint64(slice_make(at + 2, (size_t)(colon - at) - 2), &db) &&
		    db <= INT32_MAX) {
			*ret = memory_realloc_array(*ret, count + 1, sizeof(**ret));
			(*ret)[count++] = (uint32_t)db;
		}
		at = line_end + 1;
	}
	return count;
}

static void take_silent_calls(struct scanner *scanner, uint64_t calls)
{
	/* Fewer: they were reset, or it is another server. */
	if (scanner->silent_known && calls > scanner->silent_calls) {
		note(scanner, LOG_WARNING, "FLUSHALL, FLUSHDB or SWAPDB was called, which servers tell nobody of: a pass over all keys follows");
		missed(scanner);
	}
	scanner->silent_calls = calls;
	scanner->silent_known = true;
}

static void next_database(struct scanner *scanner)
{
	while (scanner->database_at < scanner->database_count) {
		uint32_t db = scanner->databases[scanner->database_at++];

		if (is_selected(scanner, db)) {
			reader_scan(scanner->reader, db);
			return;
		}
	}
	if (in_snapshot(scanner))
		scribe_end_snapshot(scanner->scribe);
	scanner->pass = PASS_ENDING;
	idle_start(scanner->again);
}

static void on_info(void *owner, const char *section, struct slice text)
{
	struct scanner *scanner = owner;

	if (strcmp(section, "commandstats") == 0) {
		scanner->silent_asked = false;
		take_silent_calls(scanner, scanner_silent_calls(text));
	} else if (scanner->pass == PASS_LISTING) {
		free(scanner->databases);
		scanner->database_count = scanner_databases(text, &scanner->databases);
		scanner->database_at = 0;
		scanner->pass = PASS_SCANNING;
		next_database(scanner);
	}
	idle_start(scanner->again);
}

static void on_scanned(void *owner)
{
	struct scanner *scanner = owner;

	if (scanner->pass == PASS_SCANNING)
		next_database(scanner);
}

static void on_reader_idle(void *owner)
{
	advance(owner);
}

static void on_reader_connected(void *owner)
{
	struct scanner *scanner = owner;

	scanner->reader_up = true;
	atomic_store(&scanner->connected, true);
	if (!scanner->ever_connected)
		note(scanner, LOG_INFO, "connected; keys are read by SCAN and DUMP (source.mode: scan)");
	else
		note(scanner, LOG_INFO, "connected again; reading goes on");
	scanner->ever_connected = true;
	if (scanner->listens && !scanner->listener && !timer_active(scanner->listen_retry))
		on_listen_retry(scanner);
	idle_start(scanner->again);
}

static void on_reader_lost(void *owner, const struct error *error, bool refused)
{
	struct scanner *scanner = owner;

	scanner->reader_up = false;
	atomic_store(&scanner->connected, false);
	if (refused && !scanner->ever_connected) {
		fail(scanner, error);
		return;
	}
	atomic_fetch_add(&scanner->reconnects, 1);
	note(scanner, LOG_WARNING, "%s; reading is tried again", error->text);
}

static void on_reader_failed(void *owner, const struct error *error)
{
	fail(owner, error);
}

/* ---- passes ---- */

static bool names_fail(struct scanner *scanner, const struct error *error)
{
	if (!scanner->names_refused)
		note(scanner, LOG_ERROR, "%s; it is tried again each second", error->text);
	scanner->names_refused = true;
	return false;
}

/* The spool holds another history: the applier lets go of it first. True: the new one is begun. */
static bool begin_generation(struct scanner *scanner)
{
	if (scanner->begun)
		return true;
	if (!scanner->reader_up || (scanner->listens && !listener_listening(scanner->listener)))
		return false;
	if (spool_origin(scanner->options.spool).generation > 0 && !scanner->resync_asked) {
		scanner->resync_asked = true;
		note(scanner, LOG_INFO, "what happened while nobody listened is not known: all keys are read again, and those that are gone are deleted in the target");
		scanner->events.resync(scanner->owner);
	}
	if (scanner->resync_asked && !atomic_load(&scanner->resync_ready))
		return false;
	scanner->hold = scribe_begin(scanner->scribe, scanner->options.task->snapshot);
	scanner->begun = scanner->hold == HOLD_NONE;
	if (scanner->begun)
		atomic_store(&scanner->applied, -1); /* what was told is an offset of the history before */
	return scanner->begun;
}

static void begin_pass(struct scanner *scanner)
{
	struct error error;

	if (!names_begin_pass(scanner->options.names, &error)) {
		names_fail(scanner, &error);
		return;
	}
	scanner->names_refused = false;
	scanner->commit_at = -1;
	scanner->pass = PASS_LISTING;
	scanner->pass_due = false;
	scanner->full_noted = false;
	scanner->misses_at_pass = scanner->misses;
	scanner->pass_keys = scanner->pass_gone = 0;
	scanner->pass_began_us = clock_monotonic_us();
	begin_sample(scanner, &scanner->pass_sample);
	if (scanner->passes++ > 0)
		atomic_fetch_add(&scanner->resyncs, 1);
	if (in_snapshot(scanner))
		reader_functions(scanner->reader);
	if (scanner->listens)
		reader_info(scanner->reader, "commandstats");
	reader_info(scanner->reader, "keyspace");
}

static bool add_missing(struct scanner *scanner, uint32_t db, struct slice key)
{
	return changes_holds(scanner->deferred, db, key) || changes_add(scanner->changes, db, key, scanner->mark) != CHANGES_FULL;
}

/* Looks for names that the pass has not found. */
static void look_for_missing(struct scanner *scanner)
{
	enum names_answer answer = NAMES_MORE;
	struct error error;
	struct slice key;
	uint32_t db;

	if (scanner->missing) {
		if (!add_missing(scanner, scanner->missing_db, slice_make(scanner->missing, scanner->missing_len)))
			return; /* comes here again when some were read */
		free(scanner->missing);
		scanner->missing = NULL;
	}
	while ((answer = names_work(scanner->options.names, &db, &key, &error)) == NAMES_MISSING) {
		scanner->pass_gone++;
		if (add_missing(scanner, db, key))
			continue;
		scanner->missing = memory_strndup((const char *)key.data, key.len);
		scanner->missing_len = key.len;
		scanner->missing_db = db;
		return;
	}
	if (answer == NAMES_FAILED) {
		names_fail(scanner, &error);
		names_end_pass(scanner->options.names);
		timer_start(scanner->later_timer, LATER_MS);
	} else if (answer == NAMES_MORE) {
		idle_start(scanner->again);
	} else {
		scanner->names_refused = false;
		scanner->pass = PASS_SETTLING;
		forget_moment(scanner); /* one that knows of them is needed */
		ask_moment(scanner);
	}
}

static void tidy_names(struct scanner *scanner)
{
	struct error error;
	struct slice key;
	uint32_t db;

	switch (names_work(scanner->options.names, &db, &key, &error)) {
	case NAMES_MORE:
	case NAMES_MISSING:
		idle_start(scanner->again);
		break;
	case NAMES_FAILED:
		names_fail(scanner, &error);
		break;
	case NAMES_DONE:
		break;
	}
}

static void run_pass(struct scanner *scanner)
{
	switch (scanner->pass) {
	case PASS_NONE:
		if (scanner->pass_due && scanner->reader_up && (!scanner->listens || listener_listening(scanner->listener)))
			begin_pass(scanner);
		else if (names_working(scanner->options.names))
			tidy_names(scanner);
		break;
	case PASS_ENDING:
		names_end_pass(scanner->options.names);
		scanner->pass = PASS_NAMES;
		look_for_missing(scanner);
		break;
	case PASS_NAMES:
		if (!timer_active(scanner->later_timer))
			look_for_missing(scanner);
		break;
	case PASS_LISTING:
	case PASS_SCANNING:
	case PASS_SETTLING:
		break;
	}
}

static void advance(struct scanner *scanner)
{
	if (!scanner->running || !begin_generation(scanner))
		return;
	scanner->hold = scribe_flush(scanner->scribe);
	if (scanner->hold != HOLD_NONE) {
		reader_pause(scanner->reader, true);
		return;
	}
	reader_pause(scanner->reader, false);
	check_moment(scanner);
	if (scanner->running)
		run_pass(scanner);
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
	note(scanner, LOG_WARNING,
	     "nothing was told of the heartbeat that is written there: the server seems to tell nobody of changes. Set %s to KEA (or, for less traffic, AE) "
	     "where this service lets you", NOTIFY_SETTING);
}

static void commit_names(struct scanner *scanner)
{
	struct error error;

	if (scanner->commit_at < 0 || atomic_load(&scanner->applied) < scanner->commit_at)
		return;
	if (!names_commit(scanner->options.names, &error))
		names_fail(scanner, &error);
	scanner->commit_at = -1;
}

static void on_tick(void *owner)
{
	struct scanner *scanner = owner;
	uint64_t now = clock_monotonic_us();

	reader_tick(scanner->reader);
	if (scanner->begun)
		ask_moment(scanner);
	check_listener(scanner);
	if (!scanner->begun) {
		advance(scanner);
		return;
	}
	commit_names(scanner);
	scribe_sync(scanner->scribe, false);
	if (scanner->listens && scanner->reader_up && scanner->passes > 0 && !scanner->silent_asked && now - scanner->silent_polled_us >= SILENT_POLL_US) {
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

struct scanner *scanner_new(struct loop *loop, const struct scanner_options *options, const struct scanner_events *events, void *owner)
{
	static const struct reader_events reader_events = {
		.want = on_want, .value = on_value, .piece = on_piece, .gone = on_gone, .later = on_later, .info = on_info, .config = on_config,
		.functions = on_functions, .scanned = on_scanned, .idle = on_reader_idle, .lost = on_reader_lost, .connected = on_reader_connected,
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
	scanner->reader = reader_new(loop, &reader, &reader_events, scanner);
	scanner->scribe = scribe_new(options->spool, options->names, options->dir, on_scribe_note, scanner);
	scanner->changes = changes_new(task->scan_changes);
	scanner->deferred = changes_new(task->scan_changes);
	scanner->tick = timer_new(loop, on_tick, scanner);
	scanner->listen_retry = timer_new(loop, on_listen_retry, scanner);
	scanner->deferred_timer = timer_new(loop, on_deferred, scanner);
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
	scanner->options.client.endpoint = *endpoint;
	if (!scanner->running)
		return;
	note(scanner, LOG_INFO, "read from now on");
	scanner->reader_up = scanner->silent_known = false;
	atomic_store(&scanner->connected, false);
	listener_free(scanner->listener);
	scanner->listener = NULL;
	timer_stop(scanner->listen_retry);
	if (scanner->begun)
		missed(scanner); /* where the old one stood is nothing to the new one, nor is a scan's cursor */
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
	commit_names(scanner);
	scribe_sync(scanner->scribe, true);
}

static void free_scanner(void *self)
{
	struct scanner *scanner = self;

	spool_on_room(scanner->options.spool, NULL, NULL);
	listener_free(scanner->listener);
	reader_free(scanner->reader);
	scribe_free(scanner->scribe);
	changes_free(scanner->changes);
	changes_free(scanner->deferred);
	names_close(scanner->options.names);
	timer_free(scanner->tick);
	timer_free(scanner->listen_retry);
	timer_free(scanner->deferred_timer);
	timer_free(scanner->later_timer);
	idle_free(scanner->again);
	idle_free(scanner->doom);
	wake_free(scanner->wake);
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
	};
}

static const struct source_ops ops = {start, stop, free_scanner, resync_ready, set_applied, status};

struct source scanner_as_source(struct scanner *scanner)
{
	return (struct source){&ops, scanner};
}
