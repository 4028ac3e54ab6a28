#include "link/clearing.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "link/survey.h"
#include "source/heartbeat.h"
#include "wire/command.h"
#include "wire/slot.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH_KEYS 512 /* removed by one command, at most */
#define BATCH_BYTES (64u << 10)
#define BATCH_BYTES_MAX (1u << 30)
#define UNLINK_SINCE 0x040000u /* Redis 4.0 */

struct clearing {
	struct clearing_options options;
	struct sink *sink;
	bool under_way;
	struct event event;
	uint32_t db_stream;
	struct brought_scope scope;
	bool (*keeps)(void *owner, uint32_t db, struct slice key); /* NULL: FLUSHDB or FLUSHALL, which keep nothing */
	void *keeps_owner;
	uint64_t unclear;      /* keys that stay because nobody can tell */
	const char *remove;    /* UNLINK or DEL */
	uint32_t batch_keys;   /* of one such command */
	struct survey *survey; /* NULL: what came before is not answered yet */
	bool done, failed;     /* as the survey, or the judging, has told */
	struct error error;
	uint64_t begun_us;
	/* keys of one database, not handed in yet */
	struct buffer batch;
	struct slice *argv;
	size_t lengths[BATCH_KEYS];
	uint32_t count;
	uint32_t db;
	uint16_t slot;
	struct clearing_leftovers leftovers;
};

static void hand_in(struct clearing *clearing)
{
	struct slice bytes = buffer_readable(&clearing->batch);
	struct event event = clearing->event;

	if (clearing->count == 0)
		return;
	clearing->argv[0] = slice_of_string(clearing->remove);
	for (uint32_t i = 0; i < clearing->count; i++) {
		clearing->argv[1 + i] = slice_make(bytes.data, clearing->lengths[i]);
		bytes.data += clearing->lengths[i];
	}
	event.db = clearing->db;
	event.argc = clearing->count + 1;
	event.argv = clearing->argv;
	event.raw = (struct slice){0};
	event.key = clearing->argv[1];
	event.info = command_lookup(event.argc, event.argv);
	sink_arguments(clearing->sink, &event, event.start, clearing->slot, clearing->db_stream, UNIT_FOUND, event.argc,
		       event.argv);
	buffer_clear(&clearing->batch);
	clearing->count = 0;
}

static void fail(struct clearing *clearing)
{
	clearing->failed = true;
	clearing->options.go_on(clearing->options.owner);
}

/* ---- the survey's questions ---- */

static bool on_wants(void *owner, uint32_t db)
{
	struct clearing *clearing = owner;

	return transform_brings_to(clearing->options.transform, &clearing->scope, db);
}

static enum survey_answer unclear(struct clearing *clearing, uint32_t db, struct slice key)
{
	char quoted[160], place[EVENT_PLACE_MAX];
	const struct event *event = &clearing->event;

	if (clearing->keeps) {
		clearing->unclear++;
		return SURVEY_NO;
	}

	error_set(
		&clearing->error, ERROR_CONFLICT,
		"%.*s (database %u, %s): whether the target's key %s in database %u is one of those that it clears cannot be told: it may have come from "
		"another database or source master as well, or a regular expression needs too many steps",
		(int)event->argv[0].len, (const char *)event->argv[0].data, event->db, event_place(event, place),
		slice_quote(key, quoted, sizeof(quoted)), db);
	error_hint(
		&clearing->error,
		"Clear by hand what the target has of it, then start again with on_conflict: skip; for the future, keep databases apart "
		"with rename: [{prefix: \"\", to: \"${db}:\"}], or leave the command out (filter.block: [{command: \"flush*\"}])");
	fail(clearing);
	return SURVEY_STOP;
}

static enum survey_answer on_judge(void *owner, uint32_t db, struct slice key, struct slice type)
{
	struct clearing *clearing = owner;

	if (heartbeat_is_key(key) || (clearing->keeps && clearing->keeps(clearing->keeps_owner, db, key)))
		return SURVEY_NO;
	switch (transform_brought(clearing->options.transform, &clearing->scope, db, key, transform_type_bits(type))) {
	case BROUGHT_NO: break;
	case BROUGHT_YES: return SURVEY_YES;
	case BROUGHT_BY_TYPE: return type.len > 0 ? SURVEY_NO : SURVEY_BY_TYPE;
	case BROUGHT_UNCLEAR: return unclear(clearing, db, key);
	}
	return SURVEY_NO;
}

static bool on_found(void *owner, uint32_t db, struct slice key)
{
	struct clearing *clearing = owner;
	uint16_t slot = sink_is_cluster(clearing->sink) ? slot_of_key(key) : 0;
	bool other = clearing->count > 0 && (clearing->db != db || clearing->slot != slot);

	if (!sink_has_room(clearing->sink))
		return false;
	if (other || clearing->count == clearing->batch_keys || buffer_readable(&clearing->batch).len >= BATCH_BYTES) {
		hand_in(clearing);
		if (!sink_has_room(clearing->sink)) {
			sink_flush(clearing->sink);
			return false;
		}
	}
	if (!buffer_append_slice(&clearing->batch, key))
		return true; /* longer than a key can be */
	clearing->lengths[clearing->count++] = key.len;
	clearing->db = db;
	clearing->slot = slot;
	return true;
}

static bool on_settled(void *owner)
{
	struct clearing *clearing = owner;

	hand_in(clearing);
	sink_flush(clearing->sink);
	return sink_idle(clearing->sink);
}

static void on_done(void *owner)
{
	struct clearing *clearing = owner;

	clearing->done = true;
	clearing->options.go_on(clearing->options.owner);
}

static void on_failed(void *owner, const struct error *error)
{
	struct clearing *clearing = owner;

	clearing->error = *error;
	fail(clearing);
}

static void on_note(void *owner, int log_level, const char *text)
{
	struct clearing *clearing = owner;

	clearing->options.note(clearing->options.owner, log_level, text);
}

static uint32_t on_masters(void *owner, struct endpoint *out, uint32_t max)
{
	return sink_masters(((struct clearing *)owner)->sink, out, max);
}

static const struct survey_events survey_callbacks = {on_wants, on_judge,  on_found, on_settled,
						      on_done,  on_failed, on_note,  on_masters};

/* ---- one command ---- */

static bool says(const struct event *event, const char *word)
{
	return event->argc > 1 && slice_equal_nocase(event->argv[1], slice_of_string(word));
}

static void begin(struct clearing *clearing, const struct event *event, uint32_t db_stream, bool at_once)
{
	const struct target_abilities *abilities = &clearing->options.abilities;
	bool unlinks = abilities->redis == 0 || abilities->redis >= UNLINK_SINCE;

	clearing->under_way = true;
	clearing->done = clearing->failed = false;
	clearing->event = *event;
	clearing->db_stream = db_stream;
	clearing->unclear = 0;
	clearing->keeps = NULL;
	clearing->remove = unlinks && !at_once ? "UNLINK" : "DEL";
	/* Keys of a slot that migrates may lie on both sides: only commands of one key can be done there (else TRYAGAIN). */
	clearing->batch_keys = sink_is_cluster(clearing->sink) ? 1 : BATCH_KEYS;
	clearing->count = 0;
	buffer_clear(&clearing->batch);
	clearing->begun_us = clock_monotonic_us();
}

void clearing_begin(struct clearing *clearing, const struct event *event, uint32_t db_stream)
{
	begin(clearing, event, db_stream, says(event, "SYNC"));
	clearing->scope = (struct brought_scope){.every_database = slice_equal_nocase(event->argv[0], SLICE("FLUSHALL")),
						 .db = event->db,
						 .command = &clearing->event};
}

void clearing_begin_leftovers(struct clearing *clearing, const struct event *event, uint32_t db_stream,
			      bool (*keeps)(void *owner, uint32_t db, struct slice key), void *owner)
{
	begin(clearing, event, db_stream, false);
	clearing->scope = (struct brought_scope){.every_database = true};
	clearing->keeps = keeps;
	clearing->keeps_owner = owner;
}

const struct event *clearing_event(const struct clearing *clearing)
{
	return &clearing->event;
}

struct clearing_leftovers clearing_leftovers(const struct clearing *clearing)
{
	return clearing->leftovers;
}

bool clearing_under_way(const struct clearing *clearing)
{
	return clearing->under_way;
}

static void begin_survey(struct clearing *clearing)
{
	clearing->survey =
		survey_new(&(struct survey_options){.loop = clearing->options.loop,
						    .target = clearing->options.target,
						    .cluster = sink_is_cluster(clearing->sink),
						    .import_source = clearing->options.abilities.import_source,
						    .name = clearing->options.name,
						    .purpose = clearing->keeps ? "removing what an earlier snapshot has left"
							       : clearing->scope.every_database ? "FLUSHALL"
												: "FLUSHDB"},
			   &survey_callbacks, clearing);
}

static void tell(struct clearing *clearing)
{
	struct survey_counters counters = survey_counters(clearing->survey);
	char text[400], place[EVENT_PLACE_MAX];

	if (clearing->keeps) {
		/* Told by the applier, with the rest of what the snapshot has brought. */
		clearing->leftovers = (struct clearing_leftovers){
			.passes = clearing->leftovers.passes + 1,
			.removed = counters.found,
			.looked_at = counters.scanned,
			.us = clock_monotonic_us() - clearing->begun_us,
			.unclear = clearing->unclear,
		};
		return;
	}
	snprintf(
		text, sizeof(text),
		"%.*s of the source (database %u, %s): %llu keys of this link were removed in %.1f s, key by key among %llu looked at in %u pass%s",
		(int)clearing->event.argv[0].len, (const char *)clearing->event.argv[0].data, clearing->event.db,
		event_place(&clearing->event, place), (unsigned long long)counters.found,
		(double)(clock_monotonic_us() - clearing->begun_us) / 1e6, (unsigned long long)counters.scanned, counters.passes,
		counters.passes == 1 ? "" : "es");
	clearing->options.note(clearing->options.owner, LOG_INFO, text);
}

enum clearing_state clearing_go_on(struct clearing *clearing, struct error *error)
{
	if (!clearing->under_way)
		return CLEARING_DONE;
	if (!clearing->failed && !clearing->done) {
		if (clearing->survey)
			survey_go_on(clearing->survey);
		else if (sink_idle(clearing->sink))
			begin_survey(clearing);
		if (!clearing->failed && !clearing->done)
			return CLEARING_WAITS;
	}
	clearing->under_way = false;
	if (clearing->done)
		tell(clearing);
	survey_free(clearing->survey);
	clearing->survey = NULL;
	clearing->count = 0;
	if (clearing->failed) {
		*error = clearing->error;
		return CLEARING_FAILED;
	}
	sink_progress(clearing->sink, clearing->event.end, clearing->db_stream);
	return CLEARING_DONE;
}

/* ---- public ---- */

struct clearing *clearing_new(const struct clearing_options *options)
{
	struct clearing *clearing = memory_alloc_zero(1, sizeof(*clearing));

	clearing->options = *options;
	clearing->argv = memory_alloc_zero(BATCH_KEYS + 1, sizeof(*clearing->argv));
	buffer_init(&clearing->batch, BATCH_BYTES_MAX);
	return clearing;
}

void clearing_free(struct clearing *clearing)
{
	if (!clearing)
		return;
	survey_free(clearing->survey);
	buffer_free(&clearing->batch);
	free(clearing->argv);
	free(clearing);
}

void clearing_reset(struct clearing *clearing, struct sink *sink)
{
	survey_free(clearing->survey);
	clearing->survey = NULL;
	clearing->sink = sink;
	clearing->under_way = false;
	clearing->count = 0;
}
