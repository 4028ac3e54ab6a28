/* What a scan_writer writes into the spool, byte by byte: the snapshot, the commands behind it, large values, and what cannot be put. */
#include "source/scan_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#define NEVER (-1)
#define LARGE ((size_t)3 << 20)

static char dir[64], notes[INCIDENT_TEXT_MAX];
static struct spool *spool;
static struct names *names;
static struct scan_writer *scan_writer;

static void on_note(void *owner, int log_level, const char *text)
{
	(void)owner;
	(void)log_level;
	snprintf(notes, sizeof(notes), "%s", text);
}

static void on_tell(void *owner, const struct incident *incident)
{
	on_note(owner, (int)incident_kind_level(incident->kind), incident->text);
}

static const struct intake_events intake_callbacks = {on_note, on_tell};

static int set_up(void **state)
{
	struct spool_options options = {.dir = dir, .segment_size = 1 << 20, .max_size = 4 << 20};
	char names_dir[80];
	struct error error;
	uint64_t cut;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/keyferry-scan_writer-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(names_dir, sizeof(names_dir), "%s/names", dir);
	names = names_open(names_dir, &error);
	snprintf(names_dir, sizeof(names_dir), "%s/spool", dir);
	mkdir(names_dir, 0700);
	options.dir = names_dir;
	spool = spool_open(&options, &cut, &error);
	scan_writer = scan_writer_new(spool, names, dir, &intake_callbacks, NULL);
	return spool && names ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	scan_writer_free(scan_writer);
	names_close(names);
	spool_close(spool);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void assert_spool(uint64_t from, const char *bytes, size_t len)
{
	struct error error;
	const uint8_t *view;

	assert_int_equal(spool_end(spool) - from, len);
	view = spool_view(spool, from, len, &error);
	assert_non_null(view);
	assert_memory_equal(view, bytes, len);
}

#define ASSERT_SPOOL(from, literal) assert_spool(from, literal, sizeof(literal) - 1)
/* A payload: type, value, the version 10, a checksum that nobody looks at. */
#define PAYLOAD(value) SLICE(value "\x0a\0CHECKSUM")

static void key(uint32_t db, const char *name, int64_t expire_at_ms, struct slice payload)
{
	struct error error;

	assert_true(scan_writer_key(scan_writer, db, slice_of_string(name), expire_at_ms, payload, &error));
}

static void test_snapshot_and_commands(void **state)
{
	uint64_t end;

	(void)state;
	assert_int_equal(scan_writer_begin(scan_writer, true), HOLD_NONE);
	assert_true(scan_writer_in_snapshot(scan_writer));
	key(0, "a", NEVER, PAYLOAD("\0\1x"));
	key(0, "b", 258, PAYLOAD("\1list"));
	key(3, "c", NEVER, PAYLOAD("\0\1y"));
	assert_int_equal(spool_end(spool), 0); /* until it is flushed */
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	assert_int_equal(scan_writer_offset(scan_writer), -1);
	scan_writer_end_snapshot(scan_writer);
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	assert_false(scan_writer_in_snapshot(scan_writer));
	end = spool_end(spool);
	assert_int_equal(spool_snapshot_end(spool), end);
	ASSERT_SPOOL(0, "REDIS0010\xfe\0\0\1a\1x\xfc\2\1\0\0\0\0\0\0\1\1blist\xfe\3\0\1c\1y\xff\0\0\0\0\0\0\0\0");
	key(3, "a", NEVER, PAYLOAD("\0\1x"));
	scan_writer_gone(scan_writer, 3, SLICE("b"));
	key(0, "b", 258, PAYLOAD("\0\1x"));
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	ASSERT_SPOOL(
		end,
		"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n$13\r\n\0\1x\x0a\0CHECKSUM\r\n$7\r\nREPLACE\r\n"
		"*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
		"*6\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$3\r\n258\r\n$13\r\n\0\1x\x0a\0CHECKSUM\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n");
	assert_int_equal(scan_writer_offset(scan_writer), spool_end(spool) - end);
}

static void test_empty_snapshot(void **state)
{
	(void)state;
	assert_int_equal(scan_writer_begin(scan_writer, true), HOLD_NONE);
	scan_writer_end_snapshot(scan_writer);
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	ASSERT_SPOOL(0, "REDIS0009\xff\0\0\0\0\0\0\0\0");
}

static void test_versions(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(scan_writer_begin(scan_writer, true), HOLD_NONE);
	assert_true(scan_writer_functions(scan_writer, SLICE("\xf5\3lib\x50\0CHECKSUM"), &error)); /* 80: Valkey's own */
	assert_true(scan_writer_key(scan_writer, 0, SLICE("k"), NEVER, SLICE("\0\1x\x51\0CHECKSUM"), &error));
	assert_false(scan_writer_key(scan_writer, 0, SLICE("k"), NEVER, PAYLOAD("\0\1x"), &error));
	assert_int_equal(error.kind, ERROR_SOURCE);
	assert_false(scan_writer_key(scan_writer, 0, SLICE("k"), NEVER, SLICE("\0\x50\0CHECKSU"),
				     &error)); /* no value is that short */
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	ASSERT_SPOOL(0, "VALKEY080\xf5\3lib\xfe\0\0\1k\1x");
}

static void test_heartbeat(void **state)
{
	(void)state;
	assert_int_equal(scan_writer_begin(scan_writer, false), HOLD_NONE);
	key(0, "DTS_REDIS_TIMESTAMP_HEARTBEAT", 99,
	    PAYLOAD("\0\3"
		    "123"));
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	ASSERT_SPOOL(0,
		     "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$29\r\nDTS_REDIS_TIMESTAMP_HEARTBEAT\r\n$3\r\n123\r\n");
}

static void put_large(const uint8_t *bytes, size_t len)
{
	struct error error;

	for (size_t at = 0; at < len; at += 1000003)
		assert_true(scan_writer_large_piece(scan_writer, slice_make(bytes + at, len - at < 1000003 ? len - at : 1000003),
						    &error));
}

/* In pieces, begun twice, in both forms, and through a spool that is too small for two of them. */
static void test_large(void **state)
{
	uint8_t *value = malloc(LARGE);
	char head[200];
	struct error error;
	uint64_t end;
	int len;

	(void)state;
	for (size_t i = 0; i < LARGE; i++)
		value[i] = (uint8_t)(i * 7 + i / 4096);
	value[0] = 0;
	memcpy(value + LARGE - 10, "\x0a\0CHECKSUM", 10);
	assert_int_equal(scan_writer_begin(scan_writer, true), HOLD_NONE);
	assert_true(scan_writer_large_begin(scan_writer, &error));
	put_large(value + 5, 1 << 20); /* its connection is lost */
	assert_true(scan_writer_large_begin(scan_writer, &error));
	put_large(value, LARGE);
	assert_int_equal(scan_writer_large_size(scan_writer), LARGE);
	assert_true(scan_writer_large_end(scan_writer, 0, SLICE("big"), NEVER, &error));
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	scan_writer_end_snapshot(scan_writer);
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	end = spool_end(spool);
	len = 9 + 2 + 1 + 4;
	assert_int_equal(end, (uint64_t)len + LARGE - 1 - 10 + 9);
	assert_memory_equal(spool_view(spool, (uint64_t)len, LARGE - 11, &error), value + 1, LARGE - 11);
	/* The second does not fit beside it. */
	assert_true(scan_writer_large_begin(scan_writer, &error));
	put_large(value, LARGE);
	assert_true(scan_writer_large_end(scan_writer, 0, SLICE("big"), 5, &error));
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_ROOM);
	spool_release(spool, end);
	assert_int_equal(scan_writer_flush(scan_writer), HOLD_NONE);
	len = snprintf(head, sizeof(head),
		       "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*6\r\n$7\r\nRESTORE\r\n$3\r\nbig\r\n$1\r\n5\r\n$%zu\r\n", LARGE);
	assert_memory_equal(spool_view(spool, end, (uint64_t)len, &error), head, (size_t)len);
	assert_memory_equal(spool_view(spool, end + (uint64_t)len, LARGE, &error), value, LARGE);
	end += (uint64_t)len + LARGE;
	ASSERT_SPOOL(end, "\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n");
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_snapshot_and_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty_snapshot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_heartbeat, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
