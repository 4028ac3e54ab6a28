/* The reader of values: all of the recorded files' values are whole, no part of one is; and each form and each kind of damage, made
 * by hand. That what it reads is what the servers said is tested where it is printed (tests/unit/cmd/test_rdb_lines.c). */
#include "base/memory.h"
#include "decode/event.h"
#include "decode/snapshot.h"
#include "decode/value.h"
#include "decode/value_empty.h"
#include "fixture.h"
#include "wire/rdb.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SMALL 3000

static struct value_reader *reader;

static int make_reader(void **state)
{
	(void)state;
	reader = value_reader_new(1 << 24);
	return 0;
}

static int free_reader(void **state)
{
	(void)state;
	value_reader_free(reader);
	return 0;
}

/* ---- values of servers ---- */

/* Reads all of it, with its bytes in memory of just their length. */
static enum value_answer read_through(uint8_t type, bool valkey, struct slice value, struct parse_fault *fault)
{
	uint8_t *copy = memory_alloc(value.len);
	struct value_item item;
	enum value_answer answer;
	uint64_t items = 0;

	if (value.len > 0)
		memcpy(copy, value.data, value.len);
	assert_true(value_reader_begin(reader, type, valkey, slice_make(copy, value.len)));
	while ((answer = value_reader_next(reader, &item, fault)) == VALUE_ITEM) {
		assert_int_equal(item.index, items++);
		assert_true(item.offset < value.len);
	}
	free(copy);
	return answer;
}

static void check_value(const struct fixture *fixture, const struct event *key, bool valkey)
{
	struct parse_fault fault;
	uint8_t *longer;

	/* Servers have none but by a fault of theirs. */
	assert_false(value_is_empty(key->type, key->value));
	if (read_through(key->type, valkey, key->value, &fault) != VALUE_END)
		fail_msg("%s, key %.*s: %s", fixture->name, (int)key->key.len, (const char *)key->key.data, fault.what);
	if (key->value.len > SMALL)
		return;
	for (size_t len = 0; len < key->value.len; len++) {
		if (read_through(key->type, valkey, slice_make(key->value.data, len), &fault) != VALUE_BAD)
			fail_msg("%s, key %.*s, cut off at %zu: no error", fixture->name, (int)key->key.len,
				 (const char *)key->key.data, len);
		assert_true(fault.offset <= len);
		assert_non_null(fault.what);
	}
	longer = memory_alloc(key->value.len + 1);
	memcpy(longer, key->value.data, key->value.len);
	longer[key->value.len] = 0;
	assert_int_equal(read_through(key->type, valkey, slice_make(longer, key->value.len + 1), &fault), VALUE_BAD);
	assert_int_equal(fault.offset, key->value.len);
	free(longer);
}

static void check_file(const struct fixture *fixture)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct event event = {0};
	struct error error;
	uint64_t need, scanned;

	for (uint64_t at = 0; event.kind != EVENT_SNAPSHOT_END || at == 0; at = event.end) {
		assert_int_equal(snapshot_decode(decoder, slice_make(fixture->data + at, fixture->len - at), at, &event, &need,
						 &scanned, &error),
				 PARSE_OK);
		if (event.kind == EVENT_KEY)
			check_value(fixture, &event, snapshot_decoder_place(decoder).valkey);
	}
	snapshot_decoder_free(decoder);
}

static void test_values_of_servers(void **state)
{
	(void)state;
	assert_true(fixture_each(0, check_file) > 100);
}

/* ---- values made here ---- */

static void print_id(FILE *out, const char *before, struct value_stream_id id)
{
	fprintf(out, "%s%" PRIu64 "-%" PRIu64, before, id.ms, id.seq);
}

static void print_bytes(FILE *out, const char *before, struct slice bytes)
{
	fprintf(out, "%s%.*s", before, (int)bytes.len, (const char *)bytes.data);
}

static void print_item(FILE *out, const struct value_item *item)
{
	print_bytes(out, "", item->bytes);
	switch (item->kind) {
	case VALUE_ITEM_ELEMENT:
		if (value_reader_kind(reader) == VALUE_ZSET)
			fprintf(out, "=%.17g", item->score);
		if (value_reader_kind(reader) != VALUE_HASH)
			break;
		print_bytes(out, "=", item->content);
		if (item->expire_at_ms != EXPIRE_NEVER)
			fprintf(out, "@%" PRId64, item->expire_at_ms);
		break;
	case VALUE_ITEM_ENTRY:
		print_id(out, "", item->entry.id);
		fprintf(out, "(%" PRIu64 ")", item->entry.fields);
		break;
	case VALUE_ITEM_FIELD: print_bytes(out, "=", item->content); break;
	case VALUE_ITEM_STREAM:
		fprintf(out, "stream %" PRIu64, item->stream.length);
		print_id(out, " ", item->stream.last_id);
		if (!item->stream.counted)
			break;
		print_id(out, " from ", item->stream.first_id);
		print_id(out, " deleted ", item->stream.max_deleted_id);
		fprintf(out, " added %" PRIu64, item->stream.entries_added);
		break;
	case VALUE_ITEM_GROUP:
		print_id(out, " group ", item->group.last_id);
		fprintf(out, " read %" PRId64 " pending %" PRIu64, item->group.entries_read, item->group.pending);
		break;
	case VALUE_ITEM_CONSUMER:
		fprintf(out, " consumer %" PRId64 " %" PRId64 " pending %" PRIu64, item->consumer.seen_at_ms,
			item->consumer.active_at_ms, item->consumer.pending);
		break;
	case VALUE_ITEM_PENDING:
		print_id(out, "pending ", item->pending.id);
		fprintf(out, " %" PRId64 "*%" PRIu64, item->pending.delivered_at_ms, item->pending.delivery_count);
		break;
	case VALUE_ITEM_MODULE: fprintf(out, " v%u", item->module.version); break;
	case VALUE_ITEM_SIGNED: fprintf(out, "%" PRId64, item->integer); break;
	case VALUE_ITEM_UNSIGNED: fprintf(out, "u%" PRIu64, item->number); break;
	case VALUE_ITEM_FLOAT:
	case VALUE_ITEM_DOUBLE: fprintf(out, "%g", item->real); break;
	case VALUE_ITEM_BYTES: break;
	}
}

/* All items, with commas between; damage as "!what at offset". */
static const char *describe(uint8_t type, bool valkey, struct slice value)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");
	uint8_t *copy = memory_alloc(value.len);
	struct parse_fault fault;
	struct value_item item;
	enum value_answer answer;

	assert_non_null(out);
	memcpy(copy, value.data, value.len);
	assert_true(value_reader_begin(reader, type, valkey, slice_make(copy, value.len)));
	while ((answer = value_reader_next(reader, &item, &fault)) == VALUE_ITEM) {
		if (item.index > 0)
			putc(',', out);
		print_item(out, &item);
	}
	if (answer == VALUE_BAD)
		fprintf(out, "!%s at %" PRIu64, fault.what, fault.offset);
	putc('\0', out);
	fclose(out);
	free(copy);
	return text;
}

#define READS(type, bytes, text) assert_string_equal(describe(type, false, SLICE(bytes)), text)

static void assert_damaged(const char *got, const char *what, uint64_t offset)
{
	char place[32];

	sprintf(place, " at %" PRIu64, offset);
	if (!strchr(got, '!') || !strstr(strchr(got, '!'), what) || !strstr(got, place))
		fail_msg("\"%s\" does not say \"%s\" at %" PRIu64, got, what, offset);
}

#define DAMAGED(type, bytes, what, offset) assert_damaged(describe(type, false, SLICE(bytes)), what, offset)

static void test_strings(void **state)
{
	(void)state;
	READS(RDB_TYPE_STRING,
	      "\x03"
	      "abc",
	      "abc");
	READS(RDB_TYPE_STRING, "\x00", "");
	READS(RDB_TYPE_STRING, "\xc0\xff", "-1");
	READS(RDB_TYPE_STRING, "\xc2\x00\x00\x00\x80", "-2147483648");
	READS(RDB_TYPE_STRING,
	      "\xc3\x05\x0a\x00"
	      "a\xe0\x00\x00",
	      "aaaaaaaaaa");
	DAMAGED(RDB_TYPE_STRING,
		"\x03"
		"ab",
		"ends inside a string", 0);
	DAMAGED(RDB_TYPE_STRING,
		"\x01"
		"ab",
		"behind the end", 2);
	DAMAGED(RDB_TYPE_STRING, "\xc4", "form", 0);
	DAMAGED(RDB_TYPE_STRING,
		"\xc3\x05\x0b\x00"
		"a\xe0\x00\x00",
		"damaged", 0);
	/* Five bytes cannot become so many. */
	DAMAGED(RDB_TYPE_STRING,
		"\xc3\x05\x80\xff\xff\xff\xff"
		"aaaaa",
		"impossible", 0);
}

static void test_budget(void **state)
{
	static const char lzf[] = "\xc3\x05\x0a\x00"
				  "a\xe0\x00\x00";
	static const char longer[] = "\xc3\x06\x40\x67\x00"
				     "a\xe0\x5d\x00\x00";
	struct value_reader *small = value_reader_new(0);
	struct parse_fault fault;
	struct value_item item;

	(void)state;
	assert_true(value_reader_begin(small, RDB_TYPE_STRING, false, slice_make(lzf, sizeof(lzf) - 1)));
	assert_int_equal(value_reader_next(small, &item, &fault), VALUE_ITEM);
	assert_true(value_reader_begin(small, RDB_TYPE_STRING, false, slice_make(longer, sizeof(longer) - 1)));
	assert_int_equal(value_reader_next(small, &item, &fault), VALUE_BAD);
	assert_non_null(strstr(fault.what, "larger than the memory"));
	value_reader_free(small);
}

static void test_types(void **state)
{
	(void)state;
	assert_false(value_reader_begin(reader, RDB_TYPE_MODULE_PRE_GA, false, SLICE("")));
	assert_false(value_reader_begin(reader, RDB_TYPE_HASH_METADATA_PRE_GA, false, SLICE("")));
	assert_true(value_reader_begin(reader, RDB_TYPE_VALKEY_HASH_2, true, SLICE("")));
	assert_false(value_reader_begin(reader, RDB_TYPE_HASH_METADATA, true, SLICE("")));
	assert_false(value_reader_begin(reader, 8, false, SLICE("")));
	assert_false(value_reader_begin(reader, 26, false, SLICE("")));
	assert_false(value_reader_begin(reader, 255, false, SLICE("")));
}

static void test_lists(void **state)
{
	(void)state;
	READS(RDB_TYPE_LIST,
	      "\x03\x01"
	      "a\xc0\x05\x00",
	      "a,5,");
	READS(RDB_TYPE_LIST, "\x00", "");
	READS(RDB_TYPE_LIST_ZIPLIST, "\x0d\x0d\0\0\0\x0a\0\0\0\x01\0\0\xf6\xff", "5");
	READS(RDB_TYPE_LIST_QUICKLIST,
	      "\x03\x0d\x0d\0\0\0\x0a\0\0\0\x01\0\0\xf6\xff\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff\x0d\x0d\0\0\0\x0a\0\0\0\x01\0\0\xf7"
	      "\xff",
	      "5,6");
	READS(RDB_TYPE_LIST_QUICKLIST_2, "\x02\x01\x05plain\x02\x09\x09\0\0\0\x01\0\x07\x01\xff", "plain,7");
	READS(RDB_TYPE_SET_INTSET, "\x0a\x02\0\0\0\x01\0\0\0\x07\0", "7");
	READS(RDB_TYPE_SET_LISTPACK, "\x09\x09\0\0\0\x01\0\x07\x01\xff", "7");

	DAMAGED(RDB_TYPE_LIST,
		"\x02\x01"
		"a",
		"string is expected", 3);
	/* The count is believed only as far as there are elements. */
	DAMAGED(RDB_TYPE_LIST,
		"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01"
		"a",
		"string is expected", 11);
	DAMAGED(RDB_TYPE_LIST_QUICKLIST_2,
		"\x01\x03\x01"
		"a",
		"neither plain nor packed", 1);
	/* In a node that is not compressed, the offset is that of the element itself. */
	DAMAGED(RDB_TYPE_SET_LISTPACK, "\x09\x09\0\0\0\x01\0\x07\x02\xff", "written behind it", 7);
	DAMAGED(RDB_TYPE_LIST_ZIPLIST,
		"\x02"
		"ab",
		"shorter than its frame", 1);
}

static void test_zsets(void **state)
{
	(void)state;
	READS(RDB_TYPE_ZSET,
	      "\x05\x01"
	      "a\x03"
	      "1.5\x01"
	      "b\xff\x01"
	      "c\xfe\x01"
	      "d\xfd\x01"
	      "e\x02-0",
	      "a=1.5,b=-inf,c=inf,d=nan,e=-0");
	READS(RDB_TYPE_ZSET_2,
	      "\x02\x01"
	      "a\0\0\0\0\0\0\xf8\x3f\x01"
	      "b\0\0\0\0\0\0\xf0\xff",
	      "a=1.5,b=-inf");
	READS(RDB_TYPE_ZSET_LISTPACK,
	      "\x14\x14\0\0\0\x04\0\x81"
	      "a\x02\x83"
	      "1.5\x04\x81"
	      "b\x02\x07\x01\xff",
	      "a=1.5,b=7");
	DAMAGED(RDB_TYPE_ZSET,
		"\x01\x01"
		"a\x03"
		"1.x",
		"not a number", 3);
	DAMAGED(RDB_TYPE_ZSET,
		"\x01\x01"
		"a\x00",
		"not a number", 3);
	DAMAGED(RDB_TYPE_ZSET,
		"\x01\x01"
		"a\x02"
		" 1",
		"not a number", 3);
	DAMAGED(RDB_TYPE_ZSET,
		"\x01\x01"
		"a\x02"
		"1\0",
		"not a number", 3);
	DAMAGED(RDB_TYPE_ZSET,
		"\x01\x01"
		"a\x03"
		"1",
		"ends inside a score", 3);
	DAMAGED(RDB_TYPE_ZSET_2,
		"\x01\x01"
		"a\0\0",
		"ends inside a number", 3);
	DAMAGED(RDB_TYPE_ZSET_LISTPACK,
		"\x0a\x0a\0\0\0\x01\0\x81"
		"a\x02\xff",
		"without a score", 0);
	DAMAGED(RDB_TYPE_ZSET_LISTPACK,
		"\x0d\x0d\0\0\0\x02\0\x81"
		"a\x02\x81"
		"b\x02\xff",
		"not a number", 0);
}

static void test_hashes(void **state)
{
	(void)state;
	READS(RDB_TYPE_HASH,
	      "\x02\x01"
	      "a\x01"
	      "1\x01"
	      "b\xc0\x05",
	      "a=1,b=5");
	READS(RDB_TYPE_HASH_ZIPMAP,
	      "\x08\x01\x01"
	      "a\x01\x01"
	      "1?\xff",
	      "a=1");
	READS(RDB_TYPE_HASH_LISTPACK,
	      "\x0c\x0c\0\0\0\x02\0\x81"
	      "a\x02\x07\x01\xff",
	      "a=7");
	/* The earliest is 1000; relative to it, and one more. */
	READS(RDB_TYPE_HASH_METADATA,
	      "\xe8\x03\0\0\0\0\0\0\x03\x00\x01"
	      "a\x01"
	      "1\x01\x01"
	      "b\x01"
	      "2\x06\x01"
	      "c\x01"
	      "3",
	      "a=1,b=2@1000,c=3@1005");
	READS(RDB_TYPE_HASH_LISTPACK_EX,
	      "\0\0\0\0\0\0\0\0\x14\x14\0\0\0\x06\0\x81"
	      "a\x02\x01\x01\x00\x01\x01\x01\x02\x01\x09\x01\xff",
	      "a=1,1=2@9");
	assert_string_equal(describe(RDB_TYPE_VALKEY_HASH_2, true,
				     SLICE("\x02\x01"
					   "a\x01"
					   "1\xff\xff\xff\xff\xff\xff\xff\xff\x01"
					   "b\x01"
					   "2\x07\0\0\0\0\0\0\0")),
			    "a=1,b=2@7");

	DAMAGED(RDB_TYPE_HASH,
		"\x01\x01"
		"a",
		"string is expected", 3);
	DAMAGED(RDB_TYPE_HASH_LISTPACK,
		"\x0a\x0a\0\0\0\x01\0\x81"
		"a\x02\xff",
		"without a value", 0);
	DAMAGED(RDB_TYPE_HASH_LISTPACK_EX, "\0\0\0\0\0\0\0\0\x0b\x0b\0\0\0\x02\0\x01\x01\x02\x01\xff", "without its time", 8);
	DAMAGED(RDB_TYPE_HASH_LISTPACK_EX, "\0\0\0\0\0\0\0\0\x0e\x0e\0\0\0\x03\0\x01\x01\x02\x01\xdf\xff\x02\xff", "impossible",
		8);
	DAMAGED(RDB_TYPE_HASH_METADATA,
		"\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x02\x01"
		"a\x01"
		"1",
		"impossible", 9);
	DAMAGED(RDB_TYPE_HASH_METADATA, "\xe8\x03", "ends inside a number", 0);
	assert_damaged(describe(RDB_TYPE_VALKEY_HASH_2, true,
				SLICE("\x01\x01"
				      "a\x01"
				      "1\xfe\xff\xff\xff\xff\xff\xff\xff")),
		       "impossible", 5);
}

static void test_modules(void **state)
{
	(void)state;
	/* Nine times "A", version 3. */
	READS(RDB_TYPE_MODULE_2, "\x03\x02\x07\x01\x08\x05\x02hi\x03\0\0\xc0\x3f\x04\0\0\0\0\0\0\xf8\x3f\x00",
	      "AAAAAAAAA v3,u7,8,hi,1.5,1.5");
	DAMAGED(RDB_TYPE_MODULE_2, "\x03\x06\x00", "unknown kind", 1);
	DAMAGED(RDB_TYPE_MODULE_2, "\x03\x02\x01", "is expected", 3);
	DAMAGED(RDB_TYPE_MODULE_2, "\x03\x00\x00", "behind the end", 2);
}

/* ---- streams ---- */

/* The node's listpack: 1 alive, 1 deleted; the field "f"; 5-1 deleted, 5-2 with just the fields; then with others of its own. */
#define NODE_HEAD "\x10\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01"
#define ENTRY_DELETED                                                                                                            \
	"\x03\x01\x00\x01\x00\x01\x81"                                                                                           \
	"x\x02\x04\x01"
#define ENTRY_SAME "\x02\x01\x00\x01\x01\x01\x07\x01\x04\x01"
#define ENTRY_OWN                                                                                                                \
	"\x00\x01\x03\x01\x00\x01\x02\x01\x81"                                                                                   \
	"a\x02\x09\x01\x81"                                                                                                      \
	"b\x02\x81"                                                                                                              \
	"c\x02\x08\x01"

/* `elements` in a node of the given counts, behind `before` and with `after`. */
static struct slice make_stream(const char *elements, size_t len, char alive, char deleted, unsigned count, const char *after,
				size_t after_len, uint8_t *out)
{
	const char head[] = {alive, 1, deleted, 1, 1, 1, (char)0x81, 'f', 2, 0, 1};
	size_t total = 6 + sizeof(head) + len + 1;
	size_t at = 0;

	out[at++] = 1; /* node */
	memcpy(out + at, NODE_HEAD, 17);
	at += 17;
	out[at++] = (uint8_t)total;
	assert_true(total < 64);
	out[at] = (uint8_t)total;
	out[at + 1] = out[at + 2] = out[at + 3] = 0;
	out[at + 4] = (uint8_t)count;
	out[at + 5] = 0;
	memcpy(out + at + 6, head, sizeof(head));
	memcpy(out + at + 6 + sizeof(head), elements, len);
	out[at + total - 1] = 0xff;
	at += total;
	memcpy(out + at, after, after_len);
	return slice_make(out, at + after_len);
}

#define STREAM(type, elements, alive, deleted, count, after)                                                                     \
	describe(type, false,                                                                                                    \
		 make_stream(elements, sizeof(elements) - 1, alive, deleted, count, after, sizeof(after) - 1, memory))

/* Number of entries, last id. */
#define HEAD(length) length "\x08\x01"
#define NO_GROUPS "\x00"
#define ID(ms, seq) "\0\0\0\0\0\0\0" ms "\0\0\0\0\0\0\0" seq
#define TIME(ms) ms "\0\0\0\0\0\0\0"

static void test_stream_entries(void **state)
{
	const uint8_t type = RDB_TYPE_STREAM_LISTPACKS;
	uint8_t memory[512];

	(void)state;
	assert_string_equal(STREAM(type, ENTRY_DELETED ENTRY_SAME ENTRY_OWN, 2, 1, 24, HEAD("\x02") NO_GROUPS),
			    "5-2(1),f=7,8-1(2),a=9,b=c,stream 2 8-1");
	assert_string_equal(
		STREAM(RDB_TYPE_STREAM_LISTPACKS_2, ENTRY_SAME, 1, 0, 10, HEAD("\x01") "\x05\x02\x04\x03\x09" NO_GROUPS),
		"5-2(1),f=7,stream 1 8-1 from 5-2 deleted 4-3 added 9");
	assert_string_equal(describe(type, false, SLICE("\x00\x00\x07\x07\x00")), "stream 0 7-7");

	/* The node's string begins at 18, and is stored as it is; damage to the meaning is told of the node as a whole. */
	assert_damaged(STREAM(type, ENTRY_SAME, 1, 0, 11, HEAD("\x01") NO_GROUPS), "before the count", 46);
	assert_damaged(STREAM(type, ENTRY_SAME, 1, 0, 9, HEAD("\x01") NO_GROUPS), "more elements", 44);
	assert_damaged(STREAM(type, ENTRY_SAME, 2, 0, 10, HEAD("\x01") NO_GROUPS), "fewer entries", 18);
	assert_damaged(STREAM(type, ENTRY_SAME, 1, 1, 10, HEAD("\x01") NO_GROUPS), "fewer entries", 18);
	assert_damaged(STREAM(type, ENTRY_SAME, 0, 0, 10, HEAD("\x01") NO_GROUPS), "more entries", 18);
	assert_damaged(STREAM(type, ENTRY_DELETED, 0, 0, 10, HEAD("\x00") NO_GROUPS), "more deleted entries", 18);
	assert_damaged(STREAM(type, ENTRY_SAME ENTRY_SAME, 2, 0, 15, HEAD("\x02") NO_GROUPS), "do not ascend", 18);
	assert_damaged(STREAM(type, "\x04\x01", 1, 0, 6, HEAD("\x01") NO_GROUPS), "ends inside an entry", 18);
	assert_damaged(STREAM(type, "\x04\x01\x00\x01\x00\x01", 1, 0, 8, HEAD("\x01") NO_GROUPS), "flags", 18);
	assert_damaged(STREAM(type, "\x02\x01\x00\x01\x00\x01\x07\x01\x05\x01", 1, 0, 10, HEAD("\x01") NO_GROUPS),
		       "count of elements", 18);
	assert_damaged(STREAM(type, "\x00\x01\x00\x01\x00\x01\xdf\xff\x02", 1, 0, 9, HEAD("\x01") NO_GROUPS), "impossible", 18);
	assert_damaged(STREAM(type,
			      "\x81"
			      "x\x02",
			      1, 0, 6, HEAD("\x01") NO_GROUPS),
		       "text where a number", 18);
	assert_damaged(STREAM(type, ENTRY_SAME, 1, 0, 10, HEAD("\x02") NO_GROUPS), "as many entries", 47);
	assert_damaged(STREAM(type, ENTRY_SAME, 1, 0, 10, "\x01\x05\x01" NO_GROUPS), "last id is before", 47);
	DAMAGED(type,
		"\x01\x02"
		"ab",
		"not 16 bytes", 1);
}

/* A group of three pending entries, 1-1, 1-2 and 1-3, and two consumers of layout 1. */
#define GROUP_HEAD "\x00\x00\x07\x07\x01\x01g\x05\x06\x03"
#define GROUP_PENDING                                                                                                            \
	ID("\1", "\1")                                                                                                           \
	TIME("\x0a") "\x01" ID("\1", "\2") TIME("\x0b") "\x02" ID("\1", "\3") TIME("\x0c") "\x03"
#define GROUP GROUP_HEAD GROUP_PENDING "\x02"
#define CONSUMER(name, count) "\x01" name TIME("\x14") count

static void test_stream_groups(void **state)
{
	const uint8_t type = RDB_TYPE_STREAM_LISTPACKS;

	(void)state;
	READS(type, GROUP CONSUMER("a", "\x02") ID("\1", "\1") ID("\1", "\3") CONSUMER("b", "\x01") ID("\1", "\2"),
	      "stream 0 7-7,g group 5-6 read -1 pending 3,a consumer 20 20 pending 2,pending 1-1 10*1,pending 1-3 12*3,"
	      "b consumer 20 20 pending 1,pending 1-2 11*2");
	/* Two groups, the first without anybody, of layout 3. */
	READS(RDB_TYPE_STREAM_LISTPACKS_3,
	      "\x00\x00\x07\x07\x00\x00\x00\x00\x09\x02\x01g\x05\x06\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"
	      "\x01h\x05\x06\x04\x00\x01\x01z" TIME("\x14") "\xff\xff\xff\xff\xff\xff\xff\xff\x00",
	      "stream 0 7-7 from 0-0 deleted 0-0 added 9,g group 5-6 read -1 pending 0,h group 5-6 read 4 pending 0,"
	      "z consumer 20 -1 pending 0");

	DAMAGED(type, GROUP CONSUMER("a", "\x01") ID("\1", "\1") CONSUMER("b", "\x01") ID("\1", "\2"), "no consumer has", 140);
	DAMAGED(type, GROUP CONSUMER("a", "\x02") ID("\1", "\1") ID("\1", "\1") CONSUMER("b", "\x01") ID("\1", "\2"),
		"two consumers", 113);
	DAMAGED(type, GROUP CONSUMER("a", "\x01") ID("\1", "\4"), "its group does not have", 97);
	DAMAGED(type, GROUP CONSUMER("a", "\x01") ID("\0", "\1"), "its group does not have", 97);
	DAMAGED(type, GROUP CONSUMER("a", "\x01") "\0\0", "ends inside a number", 97);
	DAMAGED(type,
		"\x00\x00\x07\x07\x01\x01g\x05\x06\x02" ID("\1", "\2") TIME("\x0a") "\x01" ID("\1", "\2") TIME("\x0a") "\x01\x00",
		"do not ascend", 35);
	/* A count that nothing bears out takes no memory. */
	DAMAGED(type, "\x00\x00\x07\x07\x01\x01g\x05\x06\x81\xff\xff\xff\xff\xff\xff\xff\xff", "ends inside a number", 18);
}

/* More pending entries than a row of their index takes, some rows of it, and consumers that have them in turns. */
static void test_many_pending(void **state)
{
	const unsigned count = 1000;
	uint8_t *value = memory_alloc(64 + count * 64);
	struct parse_fault fault;
	struct value_item item;
	unsigned pending = 0;
	size_t len = 9;

	(void)state;
	memcpy(value, "\x00\x00\x07\x07\x01\x01g\x05\x06", 9);
	value[len++] = (uint8_t)(0x40 | count >> 8);
	value[len++] = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		memset(value + len, 0, 24);
		value[len + 6] = (uint8_t)(i >> 8);
		value[len + 7] = (uint8_t)i;
		value[len + 16] = (uint8_t)i;
		len += 24;
		/* Of one byte or two: the entries have no fixed size. */
		if (i % 3 == 0)
			value[len++] = 0x41;
		value[len++] = (uint8_t)(i & 0x3f);
	}
	value[len++] = 4;
	for (unsigned c = 0; c < 4; c++) {
		value[len++] = 1;
		value[len++] = (uint8_t)('a' + c);
		memset(value + len, 0, 8);
		len += 8;
		value[len++] = (uint8_t)(0x40 | count / 4 >> 8);
		value[len++] = (uint8_t)(count / 4);
		for (unsigned i = c; i < count; i += 4, len += 16) {
			memset(value + len, 0, 16);
			value[len + 6] = (uint8_t)(i >> 8);
			value[len + 7] = (uint8_t)i;
		}
	}
	assert_true(value_reader_begin(reader, RDB_TYPE_STREAM_LISTPACKS, false, slice_make(value, len)));
	while (value_reader_next(reader, &item, &fault) == VALUE_ITEM) {
		if (item.kind != VALUE_ITEM_PENDING)
			continue;
		pending++;
		assert_int_equal(item.pending.delivered_at_ms, item.pending.id.ms & 0xff);
		assert_int_equal(item.pending.delivery_count,
				 (item.pending.id.ms & 0x3f) + (item.pending.id.ms % 3 == 0 ? 0x100 : 0));
	}
	assert_int_equal(pending, count);
	free(value);
}

/* Every empty form that there is: the reader finds nothing in it either. */
static void test_empty(void **state)
{
	static const struct {
		uint8_t type;
		struct slice value;
	} cases[] = {
#define VALUE(bytes) {(const uint8_t *)(bytes), sizeof(bytes) - 1}
#define ZIPLIST "\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"
#define LISTPACK "\x07\x07\0\0\0\0\0\xff"
		{RDB_TYPE_LIST, VALUE("\0")},
		{RDB_TYPE_SET, VALUE("\0")},
		{RDB_TYPE_ZSET, VALUE("\0")},
		{RDB_TYPE_ZSET_2, VALUE("\0")},
		{RDB_TYPE_HASH, VALUE("\0")},
		{RDB_TYPE_HASH_ZIPMAP, VALUE("\x02\0\xff")},
		{RDB_TYPE_LIST_ZIPLIST, VALUE(ZIPLIST)},
		{RDB_TYPE_ZSET_ZIPLIST, VALUE(ZIPLIST)},
		{RDB_TYPE_HASH_ZIPLIST, VALUE(ZIPLIST)},
		{RDB_TYPE_SET_INTSET, VALUE("\x08\x02\0\0\0\0\0\0\0")},
		{RDB_TYPE_LIST_QUICKLIST, VALUE("\0")},
		{RDB_TYPE_LIST_QUICKLIST, VALUE("\x01" ZIPLIST)},
		{RDB_TYPE_LIST_QUICKLIST, VALUE("\x02" ZIPLIST ZIPLIST)},
		{RDB_TYPE_HASH_LISTPACK, VALUE(LISTPACK)},
		{RDB_TYPE_ZSET_LISTPACK, VALUE(LISTPACK)},
		{RDB_TYPE_SET_LISTPACK, VALUE(LISTPACK)},
		{RDB_TYPE_LIST_QUICKLIST_2, VALUE("\0")},
		{RDB_TYPE_LIST_QUICKLIST_2, VALUE("\x01\x02" LISTPACK)},
		{RDB_TYPE_LIST_QUICKLIST_2, VALUE("\x02\x02" LISTPACK "\x02" LISTPACK)},
#undef VALUE
#undef ZIPLIST
#undef LISTPACK
	};
	struct parse_fault fault;
	struct value_item item;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(value_is_empty(cases[i].type, cases[i].value));
		assert_true(value_reader_begin(reader, cases[i].type, false, cases[i].value));
		assert_int_equal(value_reader_next(reader, &item, &fault), VALUE_END);
		for (size_t len = 0; len < cases[i].value.len; len++)
			assert_false(value_is_empty(cases[i].type, slice_make(cases[i].value.data, len)));
	}
	assert_false(value_is_empty(RDB_TYPE_STRING, SLICE("\0")));
	assert_false(value_is_empty(RDB_TYPE_LIST, SLICE("\x01\x01x")));
	assert_false(value_is_empty(RDB_TYPE_SET_INTSET, SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_of_servers),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_zsets),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_stream_entries),
		cmocka_unit_test(test_stream_groups),
		cmocka_unit_test(test_many_pending),
	};

	return cmocka_run_group_tests(tests, make_reader, free_reader);
}
