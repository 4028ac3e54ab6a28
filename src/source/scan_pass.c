/* Passes over all keys, the moments by which it is known where the source stood, and the names of what was brought. */
#include "source/scanner_state.h"

#include "base/clock.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

#define LATER_MS 1000

/* ---- moments ---- */

void scan_pass_forget_moment(struct scanner *scanner)
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
void scan_pass_hold_moment(struct scanner *scanner)
{
	struct moment *moment = &scanner->moment;

	moment->asked = false;
	moment->pending = true;
	backlog_hold(scanner->backlog);
}

void scan_pass_ask_moment(struct scanner *scanner)
{
	struct moment *moment = &scanner->moment;

	if (moment->asked || moment->pending || !scanner->begun || scanner_in_snapshot(scanner) ||
	    (scanner->stale && scanner->pass != PASS_SETTLING))
		return;
	if (scanner->listens) {
		if (!listener_listening(scanner->listener))
			return;
		begin_sample(scanner, &moment->sample);
		moment->asked = listener_barrier(scanner->listener);
	} else if (scanner->pass == PASS_SETTLING) {
		/* Nobody tells of changes: what is known is as old as the pass. */
		moment->sample = scanner->pass_sample;
		scan_pass_hold_moment(scanner);
	}
}

void scan_pass_missed(struct scanner *scanner)
{
	scanner->stale = true;
	scanner->misses++;
	scan_pass_forget_moment(scanner);
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
	scanner->commit_at = scan_writer_offset(scanner->scan_writer);
	scanner->stale = scanner->misses != scanner->misses_at_pass;
	scanner->next_pass_us = interval ? now + interval * 1000 : 0;
	scanner_note(scanner, LOG_INFO,
		     "pass %" PRIu64 " over all keys is complete: %" PRIu64 " keys read in %.1f s, %" PRIu64
		     " that were there before are gone%s",
		     scanner->passes, scanner->pass_keys, (double)(now - scanner->pass_began_us) / 1e6, scanner->pass_gone,
		     scanner->stale ? "; another one follows, for something was missed meanwhile" : "");
	if (!scanner->options.task->scan_follow)
		scanner_finish(scanner);
}

/* All keys of the moment are in the spool? */
void scan_pass_check_moment(struct scanner *scanner)
{
	struct moment *moment = &scanner->moment;

	if (!moment->pending || backlog_awaited(scanner->backlog) > 0)
		return;
	if (!moment->read) {
		moment->read = true;
		moment->answers = reader_asked(scanner->reader);
	}
	if (reader_answered(scanner->reader) < moment->answers || scan_writer_waiting(scanner->scan_writer) > 0 ||
	    scanner->hold != HOLD_NONE)
		return;
	moment->sample.offset = scan_writer_offset(scanner->scan_writer);
	if (scanner->heartbeat && scanner->misses == scanner->misses_at_pass)
		heartbeat_feed(scanner->heartbeat, &moment->sample);
	scan_pass_forget_moment(scanner);
	if (scanner->pass == PASS_SETTLING)
		end_pass(scanner);
}

/* ---- passes ---- */

static bool names_fail(struct scanner *scanner, const struct error *error)
{
	if (!scanner->names_refused)
		scanner_note(scanner, LOG_ERROR, "%s; it is tried again each second", error->text);
	scanner->names_refused = true;
	return false;
}

void scan_pass_next_database(struct scanner *scanner)
{
	while (scanner->database_at < scanner->database_count) {
		uint32_t db = scanner->databases[scanner->database_at++];

		if (scanner_selects(scanner, db)) {
			reader_scan(scanner->reader, db);
			return;
		}
	}
	if (scanner_in_snapshot(scanner))
		scan_writer_end_snapshot(scanner->scan_writer);
	scanner->pass = PASS_ENDING;
	idle_start(scanner->again);
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
	if (scanner_in_snapshot(scanner))
		reader_functions(scanner->reader);
	if (scanner->listens)
		reader_info(scanner->reader, "commandstats");
	reader_info(scanner->reader, "keyspace");
}

/* Looks for names that the pass has not found. */
static void look_for_missing(struct scanner *scanner)
{
	enum names_answer answer = NAMES_MORE;
	struct error error;
	struct slice key;
	uint32_t db;

	if (scanner->missing) {
		if (!backlog_add(scanner->backlog, scanner->missing_db, slice_make(scanner->missing, scanner->missing_len)))
			return; /* comes here again when some were read */
		free(scanner->missing);
		scanner->missing = NULL;
	}
	while ((answer = names_work(scanner->options.names, &db, &key, &error)) == NAMES_MISSING) {
		if (!scanner_selects(scanner, db))
			continue; /* not any more: left as it is */
		scanner->pass_gone++;
		if (backlog_add(scanner->backlog, db, key))
			continue;
		scanner->missing = memcpy(memory_alloc(key.len + 1), key.data, key.len);
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
		scan_pass_forget_moment(scanner); /* one that knows of them is needed */
		scan_pass_ask_moment(scanner);
	}
}

static void tidy_names(struct scanner *scanner)
{
	struct error error;
	struct slice key;
	uint32_t db;

	switch (names_work(scanner->options.names, &db, &key, &error)) {
	case NAMES_MORE:
	case NAMES_MISSING: idle_start(scanner->again); break;
	case NAMES_FAILED: names_fail(scanner, &error); break;
	case NAMES_DONE: break;
	}
}

void scan_pass_run(struct scanner *scanner)
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
	case PASS_SETTLING: break;
	}
}

void scan_pass_commit_names(struct scanner *scanner)
{
	struct error error;

	if (scanner->commit_at < 0 || atomic_load(&scanner->applied) < scanner->commit_at)
		return;
	if (!names_commit(scanner->options.names, &error))
		names_fail(scanner, &error);
	scanner->commit_at = -1;
}
