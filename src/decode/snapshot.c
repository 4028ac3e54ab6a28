#include "decode/snapshot.h"

#include "base/memory.h"
#include "wire/rdb.h"
#include "wire/rdb_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Servers write an expiry, an idle time or a frequency, and a slot's sizes before a key. The limit keeps the bytes that are
 * read again when a key arrives in pieces few, whatever is sent. */
#define PREFIXES_MAX 16
/* The key of a value of unknown type is waited for, to be named in the error; but what is read as its length may be anything. */
#define UNKNOWN_KEY_MAX (1024 * 1024)
/* Decompressed bytes beyond this are given back before the next event: one huge key does not stay in memory for ever. */
#define MEMORY_KEPT (64 * 1024)

/* What is known of the event under way. Offsets count from the event's first byte, since memory may move between calls. */
struct head {
	uint8_t byte; /* value type or opcode */
	int64_t expire_at_ms;
	int64_t idle_seconds;
	int32_t frequency;
	bool key_plain; /* the key's bytes are in the decoder's memory, not in `in` */
	uint64_t key_at;
	uint64_t key_len;
	uint64_t value_at; /* the value, or the opcode's operands */
	bool string;       /* a raw string: its bytes are here */
	uint64_t string_at;
	uint64_t string_len;
};

struct snapshot_decoder {
	struct snapshot_place place;
	bool walking; /* `head` and `walk` hold: a call ended with MORE inside a value or an opcode's operands */
	bool ended;   /* SNAPSHOT_END was handed out */
	struct head head;
	struct rdb_walk walk;
	struct buffer key;  /* a key, or an AUX field's name, that was not stored plain */
	struct buffer body; /* a library, a script or an AUX field's value that was not stored plain */
};

struct snapshot_decoder *snapshot_decoder_new(void)
{
	struct snapshot_decoder *decoder = memory_alloc_zero(1, sizeof(*decoder));

	buffer_init(&decoder->key, RDB_PLAIN_MAX);
	buffer_init(&decoder->body, RDB_PLAIN_MAX);
	return decoder;
}

void snapshot_decoder_free(struct snapshot_decoder *decoder)
{
	if (!decoder)
		return;
	buffer_free(&decoder->key);
	buffer_free(&decoder->body);
	free(decoder);
}

struct snapshot_place snapshot_decoder_place(const struct snapshot_decoder *decoder)
{
	return decoder->place;
}

void snapshot_decoder_resume(struct snapshot_decoder *decoder, struct snapshot_place place)
{
	decoder->place = place;
	decoder->walking = false;
	decoder->ended = false;
}

/* ---- one call ---- */

/* The arguments of one snapshot_decode(), so that the steps below need not hand all of them on. */
struct call {
	struct snapshot_decoder *decoder;
	struct slice in;
	uint64_t position;
	struct event *ret;
	uint64_t *need;
	uint64_t *scanned;
	struct error *error;
};

static enum parse more(const struct call *call, uint64_t need)
{
	*call->need = need;
	return PARSE_MORE;
}

static enum parse bad(const struct call *call, uint64_t offset, const char *what)
{
	error_set(call->error, ERROR_SOURCE, "the snapshot cannot be read at position %" PRIu64 ": %s", call->position + offset,
		  what);
	return PARSE_BAD;
}

/* Where damage is met inside a known key: says whose value it is. */
static enum parse bad_value(const struct call *call, uint64_t offset, const char *what)
{
	const struct snapshot_decoder *decoder = call->decoder;
	const struct head *head = &decoder->head;
	const uint8_t *key = head->key_plain ? buffer_readable(&decoder->key).data : call->in.data + head->key_at;
	char quoted[160];

	slice_quote(slice_make(key, head->key_len), quoted, sizeof(quoted));
	error_set(call->error, ERROR_SOURCE,
		  "the snapshot cannot be read at position %" PRIu64 ": %s (in the value of key %s of database %" PRIu32
		  ", value type %u, RDB version %" PRIu32 "%s)",
		  call->position + offset, what, quoted, decoder->place.db, head->byte, decoder->place.rdb_version,
		  decoder->place.valkey ? " of Valkey" : "");
	return PARSE_BAD;
}

/* An opcode, or the type of a value whose key cannot be told, that is not known. */
static enum parse bad_byte(const struct call *call, uint64_t offset, uint8_t byte)
{
	const struct snapshot_place *place = &call->decoder->place;

	error_set(call->error, ERROR_SOURCE,
		  "the snapshot cannot be read at position %" PRIu64 ": %s %u %s (RDB version %" PRIu32 "%s)",
		  call->position + offset, byte >= RDB_OPCODE_FIRST ? "opcode" : "value type", byte,
		  rdb_type_refusal(byte, place->valkey), place->rdb_version, place->valkey ? " of Valkey" : "");
	return PARSE_BAD;
}

static enum parse finish(const struct call *call, struct event event, uint64_t taken)
{
	if (event.kind == EVENT_PROGRESS)
		event.raw = slice_make(call->in.data, taken);
	event.edge = TRANSACTION_NONE;
	event.db = call->decoder->place.db;
	event.start = call->position;
	event.end = call->position + taken;
	*call->ret = event;
	*call->scanned = taken;
	call->decoder->walking = false;
	return PARSE_OK;
}

static struct event plain_event(enum event_kind kind, uint8_t byte)
{
	return (struct event){.kind = kind, .type = byte, .expire_at_ms = EXPIRE_NEVER, .idle_seconds = -1, .frequency = -1};
}

/* Plain bytes of the string at `at`, which is whole. */
static enum parse plain_string(const struct call *call, uint64_t at, struct buffer *memory, struct slice *ret, uint64_t *end)
{
	struct rdb_string string;
	struct parse_fault fault;
	const char *wrong;
	uint64_t need;
	enum parse answer = rdb_string_read(call->in, at, &string, &need, &fault);

	if (answer == PARSE_BAD)
		return bad(call, fault.offset, fault.what);
	if (answer == PARSE_MORE)
		return more(call, need);
	if (call->in.len - at < string.header + string.stored)
		return more(call, at + string.header + string.stored);
	wrong = rdb_string_plain(&string, call->in.data + at + string.header, memory, ret);
	if (wrong)
		return bad(call, at, wrong);
	*end = at + string.header + string.stored;
	return PARSE_OK;
}

static void give_back(struct buffer *buffer)
{
	if (buffer->cap > MEMORY_KEPT)
		buffer_free(buffer);
}

/* ---- keys ---- */

/* The length of a small raw string at p, and its header's size; false: neither (integer, LZF, more than 16,383 bytes). */
static inline bool small_length(const uint8_t *p, uint32_t *length, uint32_t *header)
{
	if (p[0] < 0x40) {
		*length = p[0];
		*header = 1;
		return true;
	}
	*length = (uint32_t)(p[0] & 0x3f) << 8 | p[1];
	*header = 2;
	return p[0] < 0x80;
}

/* Most keys of most data sets: a raw key, a raw string value, with an expiry or without, all here. False: not that simple. */
static inline bool decode_simple(const struct call *call)
{
	const uint8_t *p = call->in.data;
	uint64_t at = 0;
	int64_t expire_at_ms = EXPIRE_NEVER;
	uint32_t key_len, key_header, value_len, value_header;

	if (call->in.len < 16)
		return false;
	if (p[0] == RDB_OPCODE_EXPIRETIME_MS) {
		expire_at_ms = (int64_t)rdb_little_endian(p + 1, 8);
		at = 9;
	}
	if (p[at] != RDB_TYPE_STRING || !small_length(p + at + 1, &key_len, &key_header))
		return false;
	at += 1 + key_header;
	if (call->in.len < at + key_len + 2 || !small_length(p + at + key_len, &value_len, &value_header) ||
	    call->in.len < at + key_len + value_header + value_len)
		return false;
	finish(call,
	       (struct event){
		       .kind = EVENT_KEY,
		       .type = RDB_TYPE_STRING,
		       .key = slice_make(p + at, key_len),
		       .value = slice_make(p + at + key_len, value_header + value_len),
		       .string = slice_make(p + at + key_len + value_header, value_len),
		       .expire_at_ms = expire_at_ms,
		       .idle_seconds = -1,
		       .frequency = -1,
	       },
	       at + key_len + value_header + value_len);
	return true;
}

/* The opcodes that speak of the key behind them, into `head`; *at stands at the first other byte then. */
static enum parse read_prefixes(const struct call *call, struct head *head, uint64_t *at, unsigned *count)
{
	const uint8_t *p = call->in.data;

	for (*count = 0;; ++*count) {
		uint64_t room = call->in.len - *at;
		unsigned size = 0;

		if (room == 0)
			return more(call, *at + 1);
		if (*count == PREFIXES_MAX)
			return bad(call, *at, "too many opcodes stand before one key");
		switch (p[*at]) {
		case RDB_OPCODE_EXPIRETIME_MS:
			if (room < 9)
				return more(call, *at + 9);
			head->expire_at_ms = (int64_t)rdb_little_endian(p + *at + 1, 8);
			*at += 9;
			break;
		case RDB_OPCODE_EXPIRETIME:
			if (room < 5)
				return more(call, *at + 5);
			head->expire_at_ms = (int64_t)(int32_t)rdb_little_endian(p + *at + 1, 4) * 1000;
			*at += 5;
			break;
		case RDB_OPCODE_FREQ:
			if (room < 2)
				return more(call, *at + 2);
			head->frequency = p[*at + 1];
			*at += 2;
			break;
		case RDB_OPCODE_IDLE:
			if (room < 2)
				return more(call, *at + 2);
			size = rdb_length_size(p[*at + 1]);
			if (size == 0)
				return bad(call, *at + 1, "an idle time is not a number");
			if (room < 1 + size)
				return more(call, *at + 1 + size);
			head->idle_seconds = (int64_t)(rdb_length_decode(p + *at + 1, size) & INT64_MAX);
			*at += 1 + size;
			break;
		case RDB_OPCODE_SLOT_INFO:
			++*at;
			for (unsigned i = 0; i < 3; i++) {
				if (call->in.len == *at)
					return more(call, *at + 1);
				size = rdb_length_size(p[*at]);
				if (size == 0)
					return bad(call, *at, "a slot's size is not a number");
				if (call->in.len - *at < size)
					return more(call, *at + size);
				*at += size;
			}
			break;
		default: return PARSE_OK;
		}
	}
}

/* Key, and for a raw string the place of its bytes, into `head`. */
static enum parse read_key(const struct call *call, struct head *head, uint64_t at)
{
	struct snapshot_decoder *decoder = call->decoder;
	struct rdb_string string;
	struct parse_fault fault;
	struct slice key;
	uint64_t need;
	unsigned size;
	enum parse answer = plain_string(call, at, &decoder->key, &key, &head->value_at);

	if (answer != PARSE_OK)
		return answer;
	/* A raw key is a part of `in`, whose memory may be elsewhere at the next call; any other is in the decoder's own. */
	head->key_len = key.len;
	head->key_plain = decoder->key.data != NULL && key.data == buffer_readable(&decoder->key).data;
	head->key_at = head->key_plain ? 0 : (uint64_t)(key.data - call->in.data);
	if (head->byte != RDB_TYPE_STRING)
		return PARSE_OK;
	answer = rdb_string_read(call->in, head->value_at, &string, &need, &fault);
	if (answer == PARSE_MORE)
		return more(call, need);
	/* Damage is left to the walk, which comes upon it next and knows whose value it is in. */
	size = answer == PARSE_OK && string.form == RDB_STRING_RAW ? string.header : 0;
	head->string = size > 0;
	head->string_at = head->value_at + size;
	head->string_len = head->string ? string.stored : 0;
	return PARSE_OK;
}

static enum parse finish_key(const struct call *call)
{
	const struct head *head = &call->decoder->head;
	const uint8_t *p = call->in.data;
	uint64_t end = call->decoder->walk.at;

	return finish(
		call,
		(struct event){
			.kind = EVENT_KEY,
			.type = head->byte,
			.key = slice_make(head->key_plain ? buffer_readable(&call->decoder->key).data : p + head->key_at,
					  head->key_len),
			.value = slice_make(p + head->value_at, end - head->value_at),
			.string = head->string ? slice_make(p + head->string_at, head->string_len) : (struct slice){NULL, 0},
			.expire_at_ms = head->expire_at_ms,
			.idle_seconds = head->idle_seconds,
			.frequency = head->frequency,
		},
		end);
}

/* ---- opcodes ---- */

static enum parse finish_select(const struct call *call)
{
	const struct head *head = &call->decoder->head;
	uint64_t db = rdb_length_decode(call->in.data + head->value_at, rdb_length_size(call->in.data[head->value_at]));

	if (db >= RDB_DATABASES_MAX)
		return bad(call, head->value_at, "a database's number is impossible");
	call->decoder->place.db = (uint32_t)db;
	return finish(call, plain_event(EVENT_PROGRESS, head->byte), call->decoder->walk.at);
}

static enum parse finish_aux(const struct call *call)
{
	struct snapshot_decoder *decoder = call->decoder;
	struct event event = plain_event(EVENT_PROGRESS, RDB_OPCODE_AUX);
	uint64_t at = decoder->head.value_at;
	enum parse answer = plain_string(call, at, &decoder->key, &event.key, &at);

	if (answer == PARSE_OK)
		answer = plain_string(call, at, &decoder->body, &event.value, &at);
	if (answer != PARSE_OK)
		return answer;
	if (slice_equal(event.key, SLICE("lua"))) {
		event.kind = EVENT_SCRIPT;
		event.key = (struct slice){NULL, 0};
	}
	return finish(call, event, at);
}

static enum parse finish_function(const struct call *call)
{
	struct snapshot_decoder *decoder = call->decoder;
	struct event event = plain_event(EVENT_FUNCTION, RDB_OPCODE_FUNCTION2);
	uint64_t end;
	enum parse answer = plain_string(call, decoder->head.value_at, &decoder->body, &event.value, &end);

	return answer == PARSE_OK ? finish(call, event, end) : answer;
}

/* What a module keeps beside the keys; slots whose copy is under way. */
static enum parse finish_operands(const struct call *call)
{
	struct event event = plain_event(EVENT_PROGRESS, call->decoder->head.byte);
	uint64_t at = call->decoder->head.value_at;

	event.value = slice_make(call->in.data + at, call->decoder->walk.at - at);
	return finish(call, event, call->decoder->walk.at);
}

static enum parse finish_opcode(const struct call *call)
{
	switch (call->decoder->head.byte) {
	case RDB_OPCODE_SELECTDB: return finish_select(call);
	case RDB_OPCODE_AUX: return finish_aux(call);
	case RDB_OPCODE_FUNCTION2: return finish_function(call);
	case RDB_OPCODE_MODULE_AUX:
	case RDB_OPCODE_SLOT_IMPORT: return finish_operands(call);
	default: return finish(call, plain_event(EVENT_PROGRESS, call->decoder->head.byte), call->decoder->walk.at);
	}
}

static enum parse decode_magic(const struct call *call)
{
	struct snapshot_place *place = &call->decoder->place;
	struct parse_fault fault;
	struct event event = plain_event(EVENT_PROGRESS, 0);
	uint32_t version;
	bool valkey;

	switch (rdb_magic_read(call->in, &version, &valkey, &fault)) {
	case PARSE_MORE: return more(call, RDB_MAGIC_LEN);
	case PARSE_BAD: return bad(call, fault.offset, fault.what);
	case PARSE_OK: break;
	}
	*place = (struct snapshot_place){.rdb_version = version, .valkey = valkey};
	return finish(call, event, RDB_MAGIC_LEN);
}

static enum parse decode_end(const struct call *call)
{
	uint64_t taken = 1 + (call->decoder->place.rdb_version >= RDB_CHECKSUM_SINCE ? RDB_CHECKSUM_LEN : 0);

	if (call->in.len < taken)
		return more(call, taken);
	call->decoder->ended = true;
	return finish(call, plain_event(EVENT_SNAPSHOT_END, RDB_OPCODE_EOF), taken);
}

/* ---- the events ---- */

/* Goes on with, or begins, the walk over a value or an opcode's operands; finishes the event at its end. */
static enum parse walk_on(const struct call *call)
{
	struct snapshot_decoder *decoder = call->decoder;
	bool key = decoder->head.byte < RDB_OPCODE_FIRST;
	struct parse_fault fault;

	switch (rdb_walk_run(&decoder->walk, call->in, call->need, &fault)) {
	case PARSE_BAD: return key ? bad_value(call, fault.offset, fault.what) : bad(call, fault.offset, fault.what);
	case PARSE_MORE:
		/* A key's value is not looked at again; an opcode's operands are read once more when they are whole. */
		if (key)
			*call->scanned = decoder->walk.at < call->in.len ? decoder->walk.at : call->in.len;
		return PARSE_MORE;
	case PARSE_OK: break;
	}
	return key ? finish_key(call) : finish_opcode(call);
}

static enum parse begin_event(const struct call *call)
{
	struct snapshot_decoder *decoder = call->decoder;
	struct head head = {.expire_at_ms = EXPIRE_NEVER, .idle_seconds = -1, .frequency = -1};
	unsigned prefixes;
	uint64_t at = 0;
	enum parse answer = read_prefixes(call, &head, &at, &prefixes);
	bool known;

	if (answer != PARSE_OK)
		return answer;
	head.byte = call->in.data[at];
	if (head.byte >= RDB_OPCODE_FIRST) {
		/* Sizes of a slot that holds no key after all; anything else would lose what it says of a key. */
		if (prefixes > 0 && (head.expire_at_ms != EXPIRE_NEVER || head.idle_seconds >= 0 || head.frequency >= 0))
			return bad(call, at, "an expiry, idle time or frequency stands before an opcode and not before a key");
		if (prefixes > 0)
			return finish(call, plain_event(EVENT_PROGRESS, RDB_OPCODE_SLOT_INFO), at);
		if (head.byte == RDB_OPCODE_EOF)
			return decode_end(call);
		head.value_at = at + 1;
		known = rdb_walk_opcode(&decoder->walk, head.byte, decoder->place.valkey, head.value_at);
		if (!known)
			return bad_byte(call, at, head.byte);
	} else {
		answer = read_key(call, &head, at + 1);
		known = rdb_type_version(head.byte, decoder->place.valkey) != 0;
		if (!known && (answer == PARSE_BAD || (answer == PARSE_MORE && *call->need > at + UNKNOWN_KEY_MAX)))
			return bad_byte(call, at, head.byte);
		if (answer != PARSE_OK)
			return answer;
		known = rdb_walk_value(&decoder->walk, head.byte, decoder->place.valkey, head.value_at);
	}
	decoder->head = head;
	if (!known) {
		char what[160];

		snprintf(what, sizeof(what), "value type %u %s", head.byte, rdb_type_refusal(head.byte, decoder->place.valkey));
		return bad_value(call, at, what);
	}
	decoder->walking = true;
	return walk_on(call);
}

enum parse snapshot_decode(struct snapshot_decoder *decoder, struct slice in, uint64_t position, struct event *ret,
			   uint64_t *need, uint64_t *scanned, struct error *error)
{
	const struct call call = {decoder, in, position, ret, need, scanned, error};

	*scanned = 0;
	if (decoder->walking)
		return walk_on(&call);
	if (in.len == 0)
		return more(&call, 1);
	if (decoder->ended)
		return bad(&call, 0, "it has ended already");
	if (decoder->place.rdb_version == 0)
		return decode_magic(&call);
	if (decode_simple(&call))
		return PARSE_OK;
	give_back(&decoder->key);
	give_back(&decoder->body);
	return begin_event(&call);
}
