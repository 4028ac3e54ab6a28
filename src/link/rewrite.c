#include "link/rewrite.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "decode/value.h"
#include "link/dangling.h"
#include "wire/rdb.h"
#include "wire/resp.h"
#include "wire/slot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chunk ends with the element that reaches one of these. */
#define CHUNK_ELEMENTS 256
#define CHUNK_BYTES (64u << 10)
#define STRING_PART (256u << 10)
#define BYTES_MAX (1ULL << 40) /* of a command: its last element may be as large as a value can be */

enum phase {
	PHASE_CLEAN, /* DEL tmp: what an earlier attempt left */
	PHASE_VALUE,
	PHASE_EXPIRY,
	PHASE_PLACE,
	PHASE_REST, /* DEL tmp: RENAMENX may have left it */
	PHASE_DONE,
};

/* A command of a stream or hash that follows from the item before and waits for its turn. */
enum owed { OWED_NOTHING, OWED_DESTROY, OWED_SETID };

/* Behind everything else of a stream, when entries that were deleted stood in for their pending ones. */
enum mending { MENDING_DELETE, MENDING_TRIM, MENDING_SETID, MENDING_DONE };

struct expiring {
	size_t start, len; /* the field's name, in `names` */
	int64_t at_ms;
};

struct rewrite {
	struct value_reader *reader;
	struct event event;
	const struct target_abilities *target;
	struct guard_times times;
	bool valkey;
	enum rewrite_form form;
	enum phase phase;
	char tmp_name[96], whose[48];
	struct slice tmp; /* what is written to: the temporary key, or in the direct form the key itself */
	/* the command being made: its bytes, and where each argument begins */
	struct buffer bytes;
	size_t *starts;
	struct slice *argv;
	uint32_t argc, room;
	/* an item that was read and belongs to the next command */
	struct value_item item;
	bool has_item;
	/* string: what is still to be written; SET first, then APPENDed */
	struct slice string;
	bool string_begun;
	/* hash: fields of the last chunk that expire */
	struct expiring expiring[CHUNK_ELEMENTS];
	uint32_t expiring_count, expiring_at;
	struct buffer names;
	/* stream: of the items that others follow */
	uint64_t entries;
	enum owed owed;
	struct value_item stream;
	struct buffer group, consumer;
	struct dangling dangling;
	enum mending mending;
	uint32_t mended; /* dangling entries that are deleted again */
	uint64_t lost_field_expiries, lost_consumers;
	char losses[160];
};

struct rewrite *rewrite_new(void)
{
	struct rewrite *rewrite = memory_alloc_zero(1, sizeof(*rewrite));

	rewrite->reader = value_reader_new(RDB_PLAIN_MAX);
	buffer_init(&rewrite->bytes, BYTES_MAX);
	buffer_init(&rewrite->names, BYTES_MAX);
	buffer_init(&rewrite->group, BYTES_MAX);
	buffer_init(&rewrite->consumer, BYTES_MAX);
	return rewrite;
}

void rewrite_free(struct rewrite *rewrite)
{
	if (!rewrite)
		return;
	value_reader_free(rewrite->reader);
	buffer_free(&rewrite->bytes);
	buffer_free(&rewrite->names);
	buffer_free(&rewrite->group);
	buffer_free(&rewrite->consumer);
	dangling_free(&rewrite->dangling);
	free(rewrite->starts);
	free(rewrite->argv);
	free(rewrite);
}

/* ---- commands ---- */

static void begin(struct rewrite *rewrite)
{
	buffer_clear(&rewrite->bytes);
	rewrite->argc = 0;
}

/* The buffer's bound is beyond what a value can hold, so appending cannot fail. */
static void append(struct buffer *buffer, const void *data, size_t len)
{
	if (!buffer_append(buffer, data, len))
		abort();
}

static void add(struct rewrite *rewrite, struct slice argument)
{
	if (rewrite->argc + 1 >= rewrite->room) {
		rewrite->room = rewrite->room ? rewrite->room * 2 : 64;
		rewrite->starts = memory_realloc_array(rewrite->starts, rewrite->room, sizeof(rewrite->starts[0]));
		rewrite->argv = memory_realloc_array(rewrite->argv, rewrite->room, sizeof(rewrite->argv[0]));
	}
	rewrite->starts[rewrite->argc++] = rewrite->bytes.end;
	append(&rewrite->bytes, argument.data, argument.len);
}

static void add_text(struct rewrite *rewrite, const char *text)
{
	add(rewrite, slice_of_string(text));
}

static void add_number(struct rewrite *rewrite, int64_t number)
{
	uint8_t digits[24];

	add(rewrite, slice_make(digits, resp_put_int64(digits, number)));
}

static void add_id(struct rewrite *rewrite, struct value_stream_id id)
{
	char text[48];

	snprintf(text, sizeof(text), "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
	add_text(rewrite, text);
}

/* 17 digits give every double back; infinities are written as servers read them. */
static void add_score(struct rewrite *rewrite, double score)
{
	char text[40];

	if (isinf(score))
		snprintf(text, sizeof(text), "%s", score > 0 ? "inf" : "-inf");
	else
		snprintf(text, sizeof(text), "%.17g", score);
	add_text(rewrite, text);
}

static enum rewrite_answer finish(struct rewrite *rewrite, uint32_t *ret_argc, struct slice **ret_argv)
{
	for (uint32_t i = 0; i < rewrite->argc; i++) {
		size_t end = i + 1 < rewrite->argc ? rewrite->starts[i + 1] : rewrite->bytes.end;

		rewrite->argv[i] = slice_make(rewrite->bytes.data + rewrite->starts[i], end - rewrite->starts[i]);
	}
	*ret_argc = rewrite->argc;
	*ret_argv = rewrite->argv;
	return REWRITE_COMMAND;
}

static void begin_on_tmp(struct rewrite *rewrite, const char *name)
{
	begin(rewrite);
	add_text(rewrite, name);
	add(rewrite, rewrite->tmp);
}

/* ---- errors ---- */

static void refuse(const struct rewrite *rewrite, struct error *error, const char *why, const char *hint)
{
	char key[160], place[EVENT_PLACE_MAX];

	error_set(error, ERROR_CONFLICT, "key %s (%s, database %u, %zu bytes, %s): %s",
		  slice_quote(rewrite->event.key, key, sizeof(key)), rdb_type_name(rewrite->event.type, rewrite->valkey),
		  rewrite->event.db, rewrite->event.value.len, event_place(&rewrite->event, place), why);
	error_hint(error, "%s", hint);
}

static void refuse_old(const struct rewrite *rewrite, struct error *error, const char *what)
{
	char why[200];

	snprintf(why, sizeof(why), "%s knows no %s", rewrite->target->name, what);
	refuse(rewrite, error, why,
	       "Use a newer target, leave the key out of the source, or set target.downgrade: lossy to go on without these");
}

/* The target would answer an argument that is too long with a protocol error and close the connection. */
static enum rewrite_answer finish_value(struct rewrite *rewrite, uint32_t *ret_argc, struct slice **ret_argv, struct error *error)
{
	char why[200];

	finish(rewrite, ret_argc, ret_argv);
	for (uint32_t i = 0; i < rewrite->argc; i++) {
		if (rewrite->argv[i].len <= rewrite->target->bulk_max)
			continue;
		snprintf(why, sizeof(why), "it has an element of %zu bytes, and %s takes %llu at most (proto-max-bulk-len)",
			 rewrite->argv[i].len, rewrite->target->name, (unsigned long long)rewrite->target->bulk_max);
		refuse(rewrite, error, why, "Raise proto-max-bulk-len at the target and start again");
		return REWRITE_FAILED;
	}
	return REWRITE_COMMAND;
}

/* ---- reading ---- */

/* False: at the value's end, or damaged (then *failed). */
static bool next_item(struct rewrite *rewrite, struct value_item *item, bool *failed, struct error *error)
{
	struct parse_fault fault;
	char why[200];

	if (rewrite->has_item) {
		*item = rewrite->item;
		rewrite->has_item = false;
		return true;
	}
	switch (value_reader_next(rewrite->reader, item, &fault)) {
	case VALUE_ITEM: return true;
	case VALUE_END: return false;
	case VALUE_BAD: break;
	}
	snprintf(why, sizeof(why), "its value is damaged at byte %llu: %s", (unsigned long long)fault.offset, fault.what);
	refuse(rewrite, error, why, "Look after the key at the source; DEBUG RELOAD there tells whether it can read it itself");
	*failed = true;
	return false;
}

/* ---- values ---- */

static bool string_command(struct rewrite *rewrite, bool *failed, struct error *error)
{
	struct value_item item;
	size_t part;

	if (!rewrite->string_begun) {
		if (!next_item(rewrite, &item, failed, error))
			return false;
		rewrite->string = item.bytes;
	} else if (rewrite->string.len == 0) {
		return false;
	}
	part = rewrite->string.len < STRING_PART ? rewrite->string.len : STRING_PART;
	begin_on_tmp(rewrite, rewrite->string_begun ? "APPEND" : "SET");
	add(rewrite, slice_make(rewrite->string.data, part));
	rewrite->string = slice_make(rewrite->string.data + part, rewrite->string.len - part);
	rewrite->string_begun = true;
	return true;
}

static void note_expiring(struct rewrite *rewrite, const struct value_item *item)
{
	struct expiring *expiring = &rewrite->expiring[rewrite->expiring_count];

	if (item->expire_at_ms == EXPIRE_NEVER)
		return;
	if (!rewrite->target->field_expiry) {
		rewrite->lost_field_expiries++;
		return;
	}
	*expiring = (struct expiring){rewrite->names.end, item->bytes.len, item->expire_at_ms};
	append(&rewrite->names, item->bytes.data, item->bytes.len);
	rewrite->expiring_count++;
}

static bool expiring_command(struct rewrite *rewrite)
{
	const struct expiring *expiring = &rewrite->expiring[rewrite->expiring_at];

	if (rewrite->expiring_at == rewrite->expiring_count)
		return false;
	begin_on_tmp(rewrite, "HPEXPIREAT");
	add_number(rewrite, guard_field_time(&rewrite->times, expiring->at_ms, clock_wall_ms()));
	add_text(rewrite, "FIELDS");
	add_text(rewrite, "1");
	add(rewrite, slice_make(rewrite->names.data + expiring->start, expiring->len));
	rewrite->expiring_at++;
	return true;
}

/* list, set, zset, hash */
static bool elements_command(struct rewrite *rewrite, enum value_kind kind, bool *failed, struct error *error)
{
	static const char *const names[] = {
		[VALUE_LIST] = "RPUSH", [VALUE_SET] = "SADD", [VALUE_ZSET] = "ZADD", [VALUE_HASH] = "HSET"};
	struct value_item item;
	uint32_t count = 0;

	if (kind == VALUE_HASH && expiring_command(rewrite))
		return true;
	rewrite->expiring_count = rewrite->expiring_at = 0;
	buffer_clear(&rewrite->names);
	begin_on_tmp(rewrite, kind == VALUE_HASH && !rewrite->target->hset_many ? "HMSET" : names[kind]);
	while (count < CHUNK_ELEMENTS && rewrite->bytes.end < CHUNK_BYTES && next_item(rewrite, &item, failed, error)) {
		if (kind == VALUE_ZSET)
			add_score(rewrite, item.score);
		add(rewrite, item.bytes);
		if (kind == VALUE_HASH) {
			add(rewrite, item.content);
			note_expiring(rewrite, &item);
		}
		count++;
	}
	if (*failed)
		return false;
	if (rewrite->lost_field_expiries > 0 && !rewrite->target->lossy) {
		refuse_old(rewrite, error, "expiry of single hash fields, which this one has");
		*failed = true;
		return false;
	}
	return count > 0;
}

/* An entry that stands in for one that was deleted; `item` waits meanwhile. */
static void dangling_command(struct rewrite *rewrite, const struct value_item *item, struct value_stream_id id)
{
	rewrite->item = *item;
	rewrite->has_item = true;
	begin_on_tmp(rewrite, "XADD");
	add_id(rewrite, id);
	add_text(rewrite, "");
	add_text(rewrite, "");
	rewrite->entries++;
}

static bool entry_command(struct rewrite *rewrite, const struct value_item *entry, bool *failed, struct error *error)
{
	struct value_item field;

	begin_on_tmp(rewrite, "XADD");
	add_id(rewrite, entry->entry.id);
	for (uint64_t left = entry->entry.fields; left > 0; left--) {
		if (!next_item(rewrite, &field, failed, error))
			return false;
		add(rewrite, field.bytes);
		add(rewrite, field.content);
	}
	rewrite->entries++;
	return true;
}

static void setid_command(struct rewrite *rewrite)
{
	const struct value_item *item = &rewrite->stream;
	/* Counters that a version before 7.0 has not got are no loss there. */
	uint64_t added = item->stream.counted ? item->stream.entries_added : item->stream.length;
	bool mended = rewrite->mending == MENDING_DONE || rewrite->dangling.count == 0;
	struct value_stream_id deleted = item->stream.counted ? item->stream.max_deleted_id : (struct value_stream_id){0, 0};

	begin_on_tmp(rewrite, "XSETID");
	add_id(rewrite, item->stream.last_id);
	if (rewrite->target->stream_counters) {
		add_text(rewrite, "ENTRIESADDED");
		/* No fewer than there are at this time. */
		add_number(rewrite, (int64_t)(mended || added > rewrite->entries ? added : rewrite->entries));
		add_text(rewrite, "MAXDELETEDID");
		add_id(rewrite, deleted);
	}
}

/* The pending ones are claimed: what stood in for their entries goes. XDEL notes the highest ID that it has deleted, XTRIM does not: so those that a trim may have
 * taken at the source go by that. */
static bool mending_command(struct rewrite *rewrite)
{
	const struct dangling *dangling = &rewrite->dangling;

	if (dangling->count == 0)
		return false;
	switch (rewrite->mending) {
	case MENDING_DELETE:
		if (rewrite->mended < dangling->leading)
			rewrite->mended = dangling->leading;
		if (rewrite->mended < dangling->count) {
			begin_on_tmp(rewrite, "XDEL");
			for (uint32_t i = 0; i < CHUNK_ELEMENTS && rewrite->mended < dangling->count; i++)
				add_id(rewrite, dangling->ids[rewrite->mended++]);
			return true;
		}
		rewrite->mending = MENDING_TRIM;
		/* fall through */
	case MENDING_TRIM:
		rewrite->mending = MENDING_SETID;
		if (dangling->leading > 0) {
			begin_on_tmp(rewrite, "XTRIM");
			add_text(rewrite, "MAXLEN");
			add_number(rewrite, (int64_t)rewrite->stream.stream.length);
			return true;
		}
		/* fall through */
	case MENDING_SETID:
		rewrite->mending = MENDING_DONE;
		setid_command(rewrite);
		return true;
	case MENDING_DONE: break;
	}
	return false;
}

/* Behind the entries: an empty stream is made by a group that goes again. */
static void stream_command(struct rewrite *rewrite, const struct value_item *item)
{
	rewrite->stream = *item;
	if (rewrite->entries > 0) {
		setid_command(rewrite);
		return;
	}
	begin(rewrite);
	add_text(rewrite, "XGROUP");
	add_text(rewrite, "CREATE");
	add(rewrite, rewrite->tmp);
	add_text(rewrite, "keyferry");
	add_text(rewrite, "0");
	add_text(rewrite, "MKSTREAM");
	rewrite->owed = OWED_DESTROY;
}

static bool owed_command(struct rewrite *rewrite)
{
	switch (rewrite->owed) {
	case OWED_NOTHING: return false;
	case OWED_DESTROY:
		begin(rewrite);
		add_text(rewrite, "XGROUP");
		add_text(rewrite, "DESTROY");
		add(rewrite, rewrite->tmp);
		add_text(rewrite, "keyferry");
		rewrite->owed = OWED_SETID;
		return true;
	case OWED_SETID:
		setid_command(rewrite);
		rewrite->owed = OWED_NOTHING;
		return true;
	}
	return false;
}

static void remember(struct buffer *buffer, struct slice bytes)
{
	buffer_clear(buffer);
	append(buffer, bytes.data, bytes.len);
}

static void group_command(struct rewrite *rewrite, const struct value_item *item)
{
	remember(&rewrite->group, item->bytes);
	begin(rewrite);
	add_text(rewrite, "XGROUP");
	add_text(rewrite, "CREATE");
	add(rewrite, rewrite->tmp);
	add(rewrite, item->bytes);
	add_id(rewrite, item->group.last_id);
	if (item->group.entries_read != VALUE_READ_UNKNOWN && rewrite->target->stream_counters) {
		add_text(rewrite, "ENTRIESREAD");
		add_number(rewrite, item->group.entries_read);
	}
}

/* False: nothing to send for this one. */
static bool consumer_command(struct rewrite *rewrite, const struct value_item *item)
{
	remember(&rewrite->consumer, item->bytes);
	if (!rewrite->target->consumers) {
		/* XCLAIM makes it with its first pending entry. */
		if (item->consumer.pending == 0)
			rewrite->lost_consumers++;
		return false;
	}
	begin(rewrite);
	add_text(rewrite, "XGROUP");
	add_text(rewrite, "CREATECONSUMER");
	add(rewrite, rewrite->tmp);
	add(rewrite, buffer_readable(&rewrite->group));
	add(rewrite, item->bytes);
	return true;
}

static void pending_command(struct rewrite *rewrite, const struct value_item *item)
{
	begin_on_tmp(rewrite, "XCLAIM");
	add(rewrite, buffer_readable(&rewrite->group));
	add(rewrite, buffer_readable(&rewrite->consumer));
	add_text(rewrite, "0");
	add_id(rewrite, item->pending.id);
	add_text(rewrite, "TIME");
	add_number(rewrite, item->pending.delivered_at_ms);
	add_text(rewrite, "RETRYCOUNT");
	add_number(rewrite, (int64_t)item->pending.delivery_count);
	add_text(rewrite, "FORCE");
	add_text(rewrite, "JUSTID");
}

static bool stream_item_command(struct rewrite *rewrite, bool *failed, struct error *error)
{
	struct value_stream_id id;
	struct value_item item;

	if (owed_command(rewrite))
		return true;
	while (next_item(rewrite, &item, failed, error)) {
		switch (item.kind) {
		case VALUE_ITEM_ENTRY:
			if (!dangling_next(&rewrite->dangling, &item.entry.id, &id))
				return entry_command(rewrite, &item, failed, error);
			dangling_command(rewrite, &item, id);
			return true;
		case VALUE_ITEM_STREAM:
			if (dangling_next(&rewrite->dangling, NULL, &id)) {
				dangling_command(rewrite, &item, id);
				return true;
			}
			stream_command(rewrite, &item);
			return true;
		case VALUE_ITEM_GROUP: group_command(rewrite, &item); return true;
		case VALUE_ITEM_CONSUMER:
			if (consumer_command(rewrite, &item))
				return true;
			break;
		case VALUE_ITEM_PENDING: pending_command(rewrite, &item); return true;
		default: /* a stream has no others */ break;
		}
	}
	return !*failed && mending_command(rewrite);
}

/* False: the value is complete, or *failed. */
static bool value_command(struct rewrite *rewrite, bool *failed, struct error *error)
{
	enum value_kind kind = value_reader_kind(rewrite->reader);

	switch (kind) {
	case VALUE_STRING: return string_command(rewrite, failed, error);
	case VALUE_STREAM: return stream_item_command(rewrite, failed, error);
	case VALUE_LIST:
	case VALUE_SET:
	case VALUE_ZSET:
	case VALUE_HASH: return elements_command(rewrite, kind, failed, error);
	case VALUE_MODULE: /* refused at the beginning */ break;
	}
	return false;
}

/* ---- public ---- */

void rewrite_set_times(struct rewrite *rewrite, const struct guard_times *times)
{
	rewrite->times = *times;
}

void rewrite_name_temporary(struct rewrite *rewrite, const char *whose)
{
	snprintf(rewrite->whose, sizeof(rewrite->whose), "%s", whose);
}

struct slice rewrite_temporary(const struct rewrite *rewrite)
{
	return slice_of_string(rewrite->tmp_name);
}

bool rewrite_begin(struct rewrite *rewrite, const struct event *event, uint16_t slot, bool valkey,
		   const struct target_abilities *target, enum rewrite_form form, struct error *error)
{
	rewrite->event = *event;
	rewrite->target = target;
	rewrite->valkey = valkey;
	rewrite->form = form;
	rewrite->phase = PHASE_CLEAN;
	rewrite->has_item = rewrite->string_begun = false;
	rewrite->expiring_count = rewrite->expiring_at = 0;
	rewrite->entries = 0;
	rewrite->owed = OWED_NOTHING;
	dangling_clear(&rewrite->dangling);
	rewrite->mending = MENDING_DELETE;
	rewrite->mended = 0;
	rewrite->lost_field_expiries = rewrite->lost_consumers = 0;
	snprintf(rewrite->tmp_name, sizeof(rewrite->tmp_name), "keyferry:tmp:%s%s{%s}", rewrite->whose,
		 rewrite->whose[0] ? ":" : "", slot_tag(slot));
	rewrite->tmp = form == REWRITE_DIRECT ? event->key : slice_of_string(rewrite->tmp_name);
	if (!value_reader_begin(rewrite->reader, event->type, valkey, event->value)) {
		refuse(rewrite, error, rdb_type_refusal(event->type, valkey), "Use a target of the source's version");
		return false;
	}
	switch (value_reader_kind(rewrite->reader)) {
	case VALUE_STREAM:
		if (!target->streams) {
			refuse_old(rewrite, error, "streams");
			return false;
		}
		if (!dangling_collect(&rewrite->dangling, rewrite->reader)) {
			refuse(rewrite, error, "it has more pending entries than can be claimed one by one",
			       "Use a target of the source's version");
			return false;
		}
		return value_reader_begin(rewrite->reader, event->type, valkey, event->value);
	case VALUE_MODULE:
		refuse(rewrite, error, "only a server with the module that made it, of its version, can take it",
		       "Load the module into the target and use a target of the source's version");
		return false;
	default: return true;
	}
}

enum rewrite_answer rewrite_next(struct rewrite *rewrite, uint32_t *ret_argc, struct slice **ret_argv, struct error *error)
{
	bool failed = false;

	switch (rewrite->phase) {
	case PHASE_CLEAN:
		rewrite->phase = PHASE_VALUE;
		begin_on_tmp(rewrite, "DEL");
		return finish(rewrite, ret_argc, ret_argv);
	case PHASE_VALUE:
		if (value_command(rewrite, &failed, error))
			return finish_value(rewrite, ret_argc, ret_argv, error);
		if (failed)
			return REWRITE_FAILED;
		rewrite->phase = PHASE_EXPIRY;
		/* fall through */
	case PHASE_EXPIRY:
		rewrite->phase = PHASE_PLACE;
		if (rewrite->event.expire_at_ms != EXPIRE_NEVER) {
			begin_on_tmp(rewrite, "PEXPIREAT");
			add_number(rewrite, guard_key_time(&rewrite->times, rewrite->event.expire_at_ms, clock_wall_ms()));
			return finish(rewrite, ret_argc, ret_argv);
		}
		/* fall through */
	case PHASE_PLACE:
		rewrite->phase = rewrite->form == REWRITE_RENAMENX ? PHASE_REST : PHASE_DONE;
		if (rewrite->form == REWRITE_DIRECT)
			break;
		begin_on_tmp(rewrite, rewrite->form == REWRITE_RENAME ? "RENAME" : "RENAMENX");
		add(rewrite, rewrite->event.key);
		finish(rewrite, ret_argc, ret_argv);
		return REWRITE_PLACE;
	case PHASE_REST:
		rewrite->phase = PHASE_DONE;
		begin_on_tmp(rewrite, "DEL");
		return finish(rewrite, ret_argc, ret_argv);
	case PHASE_DONE: break;
	}
	return REWRITE_END;
}

const char *rewrite_losses(struct rewrite *rewrite)
{
	size_t used = 0;
	const struct {
		uint64_t count;
		const char *what;
	} losses[] = {
		{rewrite->lost_field_expiries, "expiries of hash fields"},
		{rewrite->lost_consumers, "consumers without pending entries"},
	};

	rewrite->losses[0] = '\0';
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		if (losses[i].count > 0 && used < sizeof(rewrite->losses))
			used += (size_t)snprintf(rewrite->losses + used, sizeof(rewrite->losses) - used, "%s%llu %s",
						 used ? ", " : "", (unsigned long long)losses[i].count, losses[i].what);
	return rewrite->losses;
}
