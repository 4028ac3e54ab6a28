/* Events as bytes of files, byte for byte. */
#include "../spool/memory_disk.h"
#include "export/scribe.h"

#include "base/memory.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
	struct out out;
	struct scribe *scribe;
	struct snapshot_place place;
};

static void open_bench(struct bench *bench, enum scribe_kind kind, uint32_t rdb_version, bool valkey)
{
	struct error error;

	memory_disk_reset();
	*bench = (struct bench){.place = {.rdb_version = rdb_version, .valkey = valkey}};
	out_init(&bench->out, &disk_memory);
	assert_true(out_create(&bench->out, "/disk/file", kind != SCRIBE_JSONL, &error));
	bench->scribe = scribe_new(kind, &bench->out);
}

/* What was written is these bytes; and a checksum of them, where `summed`. */
static void close_bench(struct bench *bench, const char *expected, size_t len, bool summed)
{
	uint8_t found[1024], *sum = found + len;

	assert_true(out_flush(&bench->out));
	assert_int_equal(memory_disk_file_size(0), len + (summed ? 8 : 0));
	assert_true(memory_disk_read(0, 0, found, len + (summed ? 8 : 0)));
	assert_memory_equal(found, expected, len);
	if (summed)
		assert_true(rdb_little_endian(sum, 8) == crc64_by_table(0, found, len));
	scribe_free(bench->scribe);
	out_free(&bench->out);
}

#define CLOSE(bench, expected, summed) close_bench(bench, expected, sizeof(expected) - 1, summed)

static struct event make_event(enum event_kind kind, uint8_t type)
{
	return (struct event){.kind = kind, .type = type, .expire_at_ms = EXPIRE_NEVER, .idle_seconds = -1, .frequency = -1};
}

static void put(struct bench *bench, struct event event)
{
	struct error error;

	assert_true(scribe_snapshot(bench->scribe, &event, &bench->place, &error));
}

static void put_magic(struct bench *bench)
{
	put(bench, make_event(EVENT_PROGRESS, 0));
}

static void put_aux(struct bench *bench, const char *name, const char *value)
{
	struct event event = make_event(EVENT_PROGRESS, RDB_OPCODE_AUX);

	event.key = slice_of_string(name);
	event.value = slice_of_string(value);
	put(bench, event);
}

static void put_key(struct bench *bench, uint32_t db, const char *key, int64_t expire_at_ms, int64_t idle, int32_t frequency)
{
	struct event event = make_event(EVENT_KEY, RDB_TYPE_STRING);

	event.db = db;
	event.key = slice_of_string(key);
	event.value = SLICE("\2hi");
	event.string = SLICE("hi");
	event.expire_at_ms = expire_at_ms;
	event.idle_seconds = idle;
	event.frequency = frequency;
	put(bench, event);
}

static void test_rdb(void **state)
{
	struct bench bench;
	struct event other;

	(void)state;
	open_bench(&bench, SCRIBE_RDB, 11, false);
	put_magic(&bench);
	put_aux(&bench, "redis-ver", "7.2.4");
	put_aux(&bench, "repl-id", "0123");
	put_aux(&bench, "repl-offset", "99");
	put_aux(&bench, "aof-base", "0");
	other = make_event(EVENT_PROGRESS, RDB_OPCODE_MODULE_AUX);
	other.raw = SLICE("\xf7\1\2\3\0");
	put(&bench, other);
	other = make_event(EVENT_FUNCTION, RDB_OPCODE_FUNCTION2);
	other.value = SLICE("#!lua name=l");
	put(&bench, other);
	other = make_event(EVENT_PROGRESS, RDB_OPCODE_RESIZEDB);
	other.raw = SLICE("\xfb\1\0");
	put(&bench, other);
	put_key(&bench, 0, "a", EXPIRE_NEVER, -1, -1);
	put_key(&bench, 0, "b", 0x0102030405060708, 70, -1);
	put_key(&bench, 300, "", EXPIRE_NEVER, -1, 255);
	scribe_snapshot_end(bench.scribe, &bench.place);
	assert_int_equal(scribe_database(bench.scribe), 300);
	CLOSE(&bench,
	      "REDIS0011\xfa\x09redis-ver\5"
	      "7.2.4\xf7\1\2\3\0\xf5\x0c#!lua name=l\xfe\0\0\1a\2hi"
	      "\xfc\x08\7\6\5\4\3\2\1\xf8\x40\x46\0\1b\2hi\xfe\x41\x2c\xf9\xff\0\0\2hi\xff",
	      true);
}

/* Long keys, and files of before there were checksums. */
static void test_lengths(void **state)
{
	static const struct {
		uint64_t length;
		const char *bytes;
		size_t count;
	} cases[] = {{0, "\0", 1},
		     {63, "\x3f", 1},
		     {64, "\x40\x40", 2},
		     {16383, "\x7f\xff", 2},
		     {16384, "\x80\0\0\x40\0", 5},
		     {UINT32_MAX, "\x80\xff\xff\xff\xff", 5},
		     {1ULL << 32, "\x81\0\0\0\1\0\0\0\0", 9}};
	struct bench bench;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[RDB_LENGTH_BYTES_MAX];

		assert_int_equal(rdb_put_length(out, cases[i].length), cases[i].count);
		assert_memory_equal(out, cases[i].bytes, cases[i].count);
		assert_int_equal(rdb_length_size(out[0]), cases[i].count);
		assert_true(rdb_length_decode(out, (unsigned)cases[i].count) == cases[i].length);
	}
	open_bench(&bench, SCRIBE_RDB, 4, false);
	put_magic(&bench);
	scribe_snapshot_end(bench.scribe, &bench.place);
	CLOSE(&bench, "REDIS0004\xff", false);
	open_bench(&bench, SCRIBE_RDB, 80, true);
	put_magic(&bench);
	scribe_snapshot_end(bench.scribe, &bench.place);
	CLOSE(&bench, "VALKEY080\xff", true);
}

static struct event make_command(uint32_t db, struct slice *argv, uint32_t argc)
{
	struct event event = make_event(EVENT_COMMAND, 0);

	event.db = db;
	event.offset = 4711;
	event.argc = argc;
	event.argv = argv;
	return event;
}

static void test_aof(void **state)
{
	struct slice set[] = {SLICE("SET"), SLICE("k"), SLICE("")};
	struct event event;
	struct bench bench;

	(void)state;
	open_bench(&bench, SCRIBE_AOF, 10, false);
	put_magic(&bench);
	put_key(&bench, 0, "a", EXPIRE_NEVER, -1, -1);
	scribe_snapshot_end(bench.scribe, &bench.place);
	CLOSE(&bench,
	      "REDIS0010\xfa\x08"
	      "aof-base\1"
	      "1\xfe\0\0\1a\2hi\xff",
	      true);

	open_bench(&bench, SCRIBE_AOF, 9, false);
	put_magic(&bench);
	CLOSE(&bench,
	      "REDIS0009\xfa\x0c"
	      "aof-preamble\1"
	      "1",
	      false);

	open_bench(&bench, SCRIBE_AOF, 9, false);
	event = make_command(0, set, 3);
	scribe_command(bench.scribe, &event); /* made anew */
	event.raw = SLICE("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$0\r\n\r\n");
	scribe_command(bench.scribe, &event); /* as it came */
	event.raw = SLICE("set k \"\"\r\n");
	event.db = 12;
	scribe_command(bench.scribe, &event); /* in the form that files do not have */
	assert_int_equal(scribe_database(bench.scribe), 12);
	CLOSE(&bench,
	      "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*3\r\n$3\r\nset\r\n$1\r\nk\r\n$0\r\n\r\n"
	      "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
	      false);
}

static void test_jsonl(void **state)
{
	struct slice argv[] = {SLICE("SET"), SLICE("q\"u\\o"), SLICE("\xff\n")};
	struct event event = make_command(3, argv, 3), damaged = make_event(EVENT_KEY, RDB_TYPE_LIST);
	struct bench bench;
	struct error error;

	(void)state;
	open_bench(&bench, SCRIBE_JSONL, 11, false);
	put_magic(&bench);
	put_aux(&bench, "redis-ver", "7.2.4");
	put_key(&bench, 2, "a", 17, -1, -1);
	damaged.key = SLICE("bad");
	damaged.value = SLICE("\7");
	assert_false(scribe_snapshot(bench.scribe, &damaged, &bench.place, &error));
	assert_int_equal(error.kind, ERROR_SOURCE);
	scribe_snapshot_end(bench.scribe, &bench.place);
	scribe_command(bench.scribe, &event);
	CLOSE(&bench,
	      "{\"db\":2,\"key\":\"a\",\"type\":\"string\",\"ttl_at_ms\":17,\"value\":\"hi\"}\n"
	      "{\"command\":[\"SET\",\"q\\\"u\\\\o\",{\"b64\":\"/wo=\"}],\"db\":3,\"offset\":4711}\n",
	      false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rdb), cmocka_unit_test(test_lengths), cmocka_unit_test(test_aof),
					   cmocka_unit_test(test_jsonl)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
