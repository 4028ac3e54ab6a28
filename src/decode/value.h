/* A serialised value, read item by item.
 *
 *     reader = value_reader_new(budget);
 *     value_reader_begin(reader, event.type, valkey, event.value);
 *     while ((answer = value_reader_next(reader, &item, &fault)) == VALUE_ITEM) ...
 *
 * All value types and encodings of wire/rdb.h become the same few items, whatever form the server had them in: what a set holds
 * does not depend on its being a table, an intset or a listpack. Integers come as the text that the server shows. The caller pulls,
 * so it decides how many items make a chunk, and may stop at any of them.
 *
 * What comes, in this order:
 *     string, list, set, zset, hash    ELEMENT, each
 *     stream                           { ENTRY FIELD... }... STREAM { GROUP { CONSUMER PENDING... }... }...
 *     module                           MODULE { SIGNED | UNSIGNED | FLOAT | DOUBLE | BYTES }...
 * A stream's deleted entries are left out. A pending entry comes under its consumer, with what the group knows of it.
 *
 * Nothing in the bytes is trusted: every length, count and id is checked against the bytes that are there, and no memory is taken
 * for anything not yet seen. A reader's memory is the plain bytes of one packed node and of the parts of one item where the file
 * has them compressed, each at most `budget`, and for a stream at most 4 % of the bytes of the largest group's pending entries.
 * That elements of a set or fields of a hash differ from each other is not checked.
 * Format facts: see wire/rdb.h, and t_stream.c and rdb.c of Redis 5.0 to 8.0 for streams.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_DECODE_VALUE_H
#define KEYFERRY_DECODE_VALUE_H

#include "base/slice.h"
#include "wire/parse.h"

enum value_kind { VALUE_STRING, VALUE_LIST, VALUE_SET, VALUE_ZSET, VALUE_HASH, VALUE_STREAM, VALUE_MODULE };

enum value_item_kind {
	VALUE_ITEM_ELEMENT,  /* bytes; zset: score; hash: content, expire_at_ms */
	VALUE_ITEM_ENTRY,    /* entry: so many FIELDs follow */
	VALUE_ITEM_FIELD,    /* bytes is the field, content its value */
	VALUE_ITEM_STREAM,   /* stream: what is true of the stream as a whole, behind its entries */
	VALUE_ITEM_GROUP,    /* bytes is the name; group */
	VALUE_ITEM_CONSUMER, /* bytes is the name; consumer: so many PENDINGs follow */
	VALUE_ITEM_PENDING,  /* pending */
	VALUE_ITEM_MODULE,   /* bytes is the name of the module's type; module */
	VALUE_ITEM_SIGNED,   /* integer; known to the format, but servers write UNSIGNED for these, too */
	VALUE_ITEM_UNSIGNED, /* number */
	VALUE_ITEM_FLOAT,    /* real */
	VALUE_ITEM_DOUBLE,   /* real */
	VALUE_ITEM_BYTES,    /* bytes */
};

struct value_stream_id {
	uint64_t ms;
	uint64_t seq;
};

#define VALUE_READ_UNKNOWN (-1) /* entries that a group has read */

struct value_item {
	enum value_item_kind kind;
	uint64_t index;     /* items of the value before this one */
	uint64_t offset;    /* in the value: where it begins, or the packed node that it is in */
	struct slice bytes; /* these live until the next call */
	struct slice content;
	union {
		double score;         /* NaN only where the file says so; servers keep none */
		int64_t expire_at_ms; /* of a hash's field: Unix ms, or EXPIRE_NEVER */
		struct {
			struct value_stream_id id;
			uint64_t fields;
		} entry;
		struct {
			struct value_stream_id last_id;
			uint64_t length; /* entries */
			uint64_t groups;
			bool counted; /* the following are there: since Redis 7.0 */
			struct value_stream_id first_id;
			struct value_stream_id max_deleted_id;
			uint64_t entries_added;
		} stream;
		struct {
			struct value_stream_id last_id;
			int64_t entries_read; /* or VALUE_READ_UNKNOWN, as always before Redis 7.0 */
			uint64_t pending;     /* of all its consumers together */
			uint64_t consumers;
		} group;
		struct {
			int64_t seen_at_ms;
			int64_t active_at_ms; /* -1: never; before Redis 7.2, which first told them apart: seen_at_ms */
			uint64_t pending;
		} consumer;
		struct {
			struct value_stream_id id;
			int64_t delivered_at_ms;
			uint64_t delivery_count;
		} pending;
		struct {
			uint64_t id;
			unsigned version; /* of the encoding */
		} module;
		int64_t integer;
		uint64_t number;
		double real;
	};
};

enum value_answer { VALUE_ITEM, VALUE_END, VALUE_BAD };

struct value_reader;

/* `budget`: bytes that a compressed part may become; larger ones make the value BAD. RDB_PLAIN_MAX holds everything that a server
 * has under its usual settings. Taken only where it is needed. */
struct value_reader *value_reader_new(size_t budget);
void value_reader_free(struct value_reader *reader);

/* `value` is whole: an event's, or that of a DUMP payload without its type and tail; it outlives the reading. False: the type
 * cannot be read, rdb_type_refusal() says why. */
bool value_reader_begin(struct value_reader *reader, uint8_t type, bool valkey, struct slice value);
enum value_kind value_reader_kind(const struct value_reader *reader);

/* BAD: *fault, its offset counted from the value's first byte; nothing may be read on. END: the value is whole to its last byte. */
enum value_answer value_reader_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);

#endif
