/* Slots that come to the link's master by atomic migration (imports.h). What comes of them before they are this master's is a copy of what the former owner's link applies as well: it is left
 * out, and stays in the spool. Where the migration ends well, the link waits until the former owner's has applied all that its master ever did with these slots, the removal of
 * its keys in the end among it; then it reads the copy again, applies it, and goes on. To marks and positions all of that is one event, the command that ended it. */
#include "link/applier_state.h"

#include "base/clock.h"
#include "base/memory.h"
#include "wire/rdb.h"
#include "wire/resp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COPY_EVENTS 4096 /* applied before replies are looked at again */
#define COPY_VIEW (4u << 20)
#define COPY_MAX                                                                                                                 \
	(1ull << 30) /* of the stream, from where a copy begins to what is applied: the spool's views span twice as much */
#define COPY_KEYS_MAX (8u << 20)
#define REMOVALS_MAX (1u << 20) /* bytes of removals under way */
#define HEADER_MAX 32           /* of an array or a string in RESP */

/* ---- what the stream tells ---- */

static void become_progress(struct event *event)
{
	event->kind = EVENT_PROGRESS;
	event->type = RDB_OPCODE_SLOT_INFO;
	event->key = event->value = (struct slice){NULL, 0};
}

static uint32_t count_slots(const struct import *import)
{
	uint32_t count = 0;

	for (uint32_t word = 0; word < SLOT_COUNT / 64; word++)
		count += (uint32_t)__builtin_popcountll(import->slots[word]);
	return count;
}

static bool establish(struct applier *applier, const struct import *said, struct error *error)
{
	if (imports_find(&applier->imports, said->name))
		return true;
	if (!imports_open(&applier->imports, said)) {
		error_set(error, ERROR_SOURCE, "the source moves slots to this master by more than %u atomic migrations at once",
			  IMPORTS_MAX);
		return false;
	}
	applier_note(applier, LOG_INFO,
		     "the source moves %" PRIu32
		     " slot%s to this master by atomic migration (job %s): the copy of them is left out until it has ended",
		     count_slots(said), count_slots(said) == 1 ? "" : "s", said->name);
	return true;
}

static void arrive(struct applier *applier, struct event *event, const char *name)
{
	applier->arrival = imports_find(&applier->imports, name);
	if (applier->arrival)
		return;
	/* The state file was not there, or is of a version that knew nothing of it. */
	become_progress(event);
	applier_note(
		applier, LOG_WARNING,
		"slots have come by an atomic migration (job %s) whose beginning this link has not seen: a new snapshot is taken",
		name);
	applier->anew = true;
	idle_start(applier->again);
}

static void fail(struct applier *applier, const struct event *event, const char *name)
{
	struct import *import = imports_find(&applier->imports, name);

	if (!import)
		return;
	imports_finish(&applier->imports, import, event->start);
	applier_note(
		applier, LOG_INFO,
		"the atomic migration of slots to this master has been given up by the source (job %s): they stay where they were",
		name);
}

bool applier_take_import(struct applier *applier, struct event *event, struct error *error)
{
	struct import said;

	switch (imports_read(event, &said)) {
	case IMPORT_NONE:
		if ((event->kind == EVENT_KEY || event->kind == EVENT_COMMAND) && event->key.data &&
		    imports_takes(&applier->imports, slot_of_key(event->key)))
			become_progress(event);
		return true;
	case IMPORT_ESTABLISH:
		if (!establish(applier, &said, error))
			return false;
		break;
	case IMPORT_SUCCESS: arrive(applier, event, said.name); return true;
	case IMPORT_FAILED: fail(applier, event, said.name); break;
	case IMPORT_OTHER: break;
	case IMPORT_BAD:
		error_set(
			error, ERROR_SOURCE,
			"the source tells of an atomic migration of slots (CLUSTER SYNCSLOTS) in words that this version of keyferry does not know");
		return false;
	}
	become_progress(event);
	return true;
}

/* ---- what of the spool is needed ---- */

uint64_t applier_keep_imports(struct applier *applier, uint64_t position)
{
	struct spool *spool = applier->options.spool;
	struct imports *imports = &applier->imports;
	uint64_t needed;

	if (imports->count == 0)
		return position;
	imports_forget(imports, spool_begin_position(spool));
	imports_lose(imports, spool_begin_position(spool));
	needed = imports_needed(imports, position);
	if (needed < position && !applier->arrival && !applier->copying.active &&
	    (applier->position - needed > COPY_MAX || spool_room(spool) == 0) && imports_lose(imports, position) > 0) {
		applier_note(
			applier, LOG_INFO,
			"the copy of slots that are on their way to this master is larger than the spool can keep beside the stream: when they have come, a new snapshot is taken");
		needed = imports_needed(imports, position);
	}
	return needed < position ? needed : position;
}

/* ---- the copy ---- */

void applier_end_copy(struct applier *applier)
{
	struct copying *copying = &applier->copying;

	stream_decoder_free(copying->decoder);
	hash_set_free(&copying->seen);
	*copying = (struct copying){.arena = copying->arena, .keys = copying->keys, .key_room = copying->key_room};
	applier->arrival = NULL;
}

static void ask_for_snapshot(struct applier *applier, const char *why)
{
	applier_note(
		applier, LOG_WARNING,
		"slots have come to this master by atomic migration, and their copy %s: a new snapshot is taken, which has them",
		why);
	applier->anew = true;
	idle_start(applier->again);
}

void applier_begin_copy(struct applier *applier, const struct event *event)
{
	struct copying *copying = &applier->copying;
	struct import *import = applier->arrival;

	applier->arrival = NULL;
	imports_finish(&applier->imports, import, event->start);
	if (!import->whole) {
		ask_for_snapshot(applier, "is not kept as a whole");
		return;
	}
	arena_reset(&copying->arena);
	copying->active = true;
	copying->import = import;
	copying->finish = *event;
	become_progress(&copying->finish);
	copying->db = stream_decoder_database(applier->stream);
	copying->decoder = stream_decoder_new(applier->outlet.ops->commands(applier->outlet.self));
	stream_decoder_resume(copying->decoder, import->db);
	copying->at = import->start;
	applier_note(applier, LOG_INFO,
		     "%" PRIu32
		     " slot%s of the source, brought here by atomic migration (job %s), now of this master: the copy of %" PRIu64
		     " bytes is applied",
		     count_slots(import), count_slots(import) == 1 ? "" : "s", import->name, event->start - import->start);
}

static bool is_of_copy(const struct copying *copying, const struct event *event)
{
	return event->kind == EVENT_COMMAND && event->key.data && imports_slot(copying->import->slots, slot_of_key(event->key)) &&
	       !lag_is_beat(event);
}

/* The next event of the copy, if there is one: has_event. False with error: it cannot be read. */
static bool decode_next(struct applier *applier, struct error *error)
{
	struct copying *copying = &applier->copying;
	uint64_t need = 0;

	while (!copying->has_event && copying->at < copying->finish.start) {
		uint64_t len = copying->finish.start - copying->at, at = 0, from = copying->at;
		const uint8_t *data;

		if (len > COPY_VIEW && len > need)
			len = need > COPY_VIEW ? need : COPY_VIEW;
		data = spool_view(applier->options.spool, from, len, error);
		if (!data)
			return false;
		while (!copying->has_event && at < len) {
			enum parse outcome = stream_decode(copying->decoder, slice_make(data + at, (size_t)(len - at)), from + at,
							   &copying->event, &need, error);

			if (outcome == PARSE_BAD)
				return false;
			if (outcome == PARSE_MORE)
				break;
			need = 0;
			at = copying->event.end - from;
			copying->at = copying->event.end;
			copying->has_event = is_of_copy(copying, &copying->event);
		}
	}
	return true;
}

struct collector {
	struct copying *copying;
};

static void collect(void *owner, uint32_t index)
{
	struct copying *copying = ((struct collector *)owner)->copying;
	struct slice key = copying->event.argv[index];
	uint64_t hash = handover_hash(key.data, key.len) ^ (copying->event.db * 0x9E3779B97F4A7C15u);

	if (hash_set_has(&copying->seen, hash))
		return;
	hash_set_add(&copying->seen, hash, COPY_KEYS_MAX);
	if (copying->key_count == copying->key_room) {
		copying->key_room = copying->key_room ? 2 * copying->key_room : 16;
		copying->keys = memory_realloc_array(copying->keys, copying->key_room, sizeof(copying->keys[0]));
	}
	copying->keys[copying->key_count++] = key;
}

/* Keys that the copy begins with. The target should have nothing of them any more, unless their former master's link has heard of their end by a new snapshot, or not at all: a master that
 * loses its last slot may become a replica without a word. */
static void find_first_met(struct copying *copying)
{
	struct collector collector = {copying};
	const struct event *event = &copying->event;

	copying->key_count = 0;
	(void)command_keys(event->info, event->argc, event->argv, collect, &collector);
	/* What it sets, it sets whatever was there. */
	if (event->argc == 3 && slice_equal_nocase(event->argv[0], SLICE("SET")))
		copying->key_count = 0;
}

static bool hand_on(struct applier *applier, struct event *event, struct error *error)
{
	const struct copying *copying = &applier->copying;

	event->edge = TRANSACTION_NONE;
	event->start = event->end = copying->finish.start;
	event->offset = applier_offset_at(applier, copying->finish.start);
	limit_spend(&applier->records, 1);
	return applier->outlet.ops->event(applier->outlet.self, event, copying->db, &applier->place, error);
}

static bool remove_first_met(struct applier *applier, struct error *error)
{
	struct copying *copying = &applier->copying;
	struct event event = {.kind = EVENT_COMMAND, .db = copying->event.db, .argc = copying->key_count + 1};
	size_t room = HEADER_MAX;
	uint8_t *bytes, *at;

	event.argv = arena_take(&copying->arena, event.argc * sizeof(event.argv[0]));
	event.argv[0] = SLICE("DEL");
	memcpy(event.argv + 1, copying->keys, copying->key_count * sizeof(event.argv[0]));
	for (uint32_t i = 0; i < event.argc; i++)
		room += HEADER_MAX + event.argv[i].len + 2;
	bytes = at = arena_take(&copying->arena, room);
	at += resp_put_array_header(at, event.argc);
	for (uint32_t i = 0; i < event.argc; i++) {
		at += resp_put_bulk_header(at, event.argv[i].len);
		memcpy(at, event.argv[i].data, event.argv[i].len);
		at += event.argv[i].len;
		*at++ = '\r';
		*at++ = '\n';
	}
	copying->arena_used += room + event.argc * sizeof(event.argv[0]);
	copying->key_count = 0;
	event.raw = slice_make(bytes, (size_t)(at - bytes));
	event.info = command_lookup(event.argc, event.argv);
	event.key = event.argv[1];
	return hand_on(applier, &event, error);
}

/* The target refers to the bytes of removals until they are answered; then they are used again. */
static bool has_memory(struct applier *applier)
{
	struct copying *copying = &applier->copying;

	if (copying->arena_used < REMOVALS_MAX)
		return true;
	if (!applier->outlet.ops->idle(applier->outlet.self))
		return false;
	arena_reset(&copying->arena);
	copying->arena_used = 0;
	return true;
}

static enum copy_state finish(struct applier *applier, struct error *error)
{
	struct event event = applier->copying.finish;
	uint32_t db = applier->copying.db;

	if (applier->copying.arena_used > 0 && !applier->outlet.ops->idle(applier->outlet.self)) {
		applier->copying.waits = true;
		return COPY_WAITS;
	}
	applier_end_copy(applier);
	return applier->outlet.ops->event(applier->outlet.self, &event, db, &applier->place, error) ? COPY_OVER : COPY_FAILED;
}

static bool step(struct applier *applier, struct error *error)
{
	struct copying *copying = &applier->copying;

	if (copying->key_count > 0)
		return remove_first_met(applier, error);
	copying->has_event = false;
	return hand_on(applier, &copying->event, error);
}

enum copy_state applier_copy(struct applier *applier, struct error *error)
{
	struct copying *copying = &applier->copying;

	copying->waits = false;
	for (uint32_t i = 0; i < COPY_EVENTS; i++) {
		if (!applier->outlet.ops->has_room(applier->outlet.self))
			return COPY_WAITS;
		switch (applier->outlet.ops->ready(applier->outlet.self, error)) {
		case OUTLET_READY: break;
		case OUTLET_WAITS: return COPY_WAITS;
		case OUTLET_DONE:
		case OUTLET_FAILED: return COPY_FAILED;
		}
		if (!copying->has_event) {
			if (!decode_next(applier, error))
				return COPY_FAILED;
			if (!copying->has_event)
				return finish(applier, error);
			find_first_met(copying);
		}
		if (copying->seen.count >= COPY_KEYS_MAX) {
			ask_for_snapshot(applier, "is of too many keys");
			return COPY_WAITS;
		}
		if (copying->key_count > 0 && !has_memory(applier)) {
			copying->waits = true;
			return COPY_WAITS;
		}
		if (!step(applier, error))
			return COPY_FAILED;
	}
	return COPY_GOES_ON;
}
