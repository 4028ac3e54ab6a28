/* The reader and the summary behind `keyferry rdb`. */
#include "../decode/fixture.h"
#include "base/memory.h"
#include "cmd/rdb_file.h"
#include "cmd/rdb_summary.h"
#include "scratch_file.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* What became of one reading: everything the summary says, and how it ended. */
struct reading {
	struct rdb_summary summary;
	enum rdb_checksum checksum;
	struct error error;
	bool whole;
	char *text; /* the printed summary */
};

static struct reading read_file(void)
{
	struct reading reading = {.checksum = RDB_CHECKSUM_NOT_SEEN};
	struct rdb_file file;
	struct event event = {0};
	size_t len;
	FILE *out = open_memstream(&reading.text, &len);

	assert_true(rdb_file_open(&file, scratch_file_path(), &reading.error));
	rdb_summary_init(&reading.summary, 1700000000000);
	do {
		reading.whole = rdb_file_next(&file, &event, &reading.checksum, &reading.error);
		if (reading.whole)
			rdb_summary_add(&reading.summary, &event, snapshot_decoder_place(file.decoder));
	} while (reading.whole && event.kind != EVENT_SNAPSHOT_END);
	rdb_summary_print(&reading.summary, &file, reading.checksum, out);
	fclose(out);
	rdb_file_close(&file);
	return reading;
}

static void done(struct reading *reading)
{
	rdb_summary_free(&reading->summary);
	free(reading->text);
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

/* ---- files of servers ---- */

static void check_fixture(const struct fixture *fixture)
{
	struct reading reading;
	uint64_t keys = 0;
	char *line = NULL;
	size_t room = 0;
	FILE *expected = fopen(fixture->expected, "r");

	assert_non_null(expected);
	while (getline(&line, &room, expected) > 0)
		keys++;
	free(line);
	fclose(expected);
	scratch_file_write(slice_make(fixture->data, fixture->len));
	reading = read_file();
	if (!reading.whole)
		fail_msg("%s: %s", fixture->name, reading.error.text);
	assert_int_equal(reading.checksum, fixture->checksum ? RDB_CHECKSUM_RIGHT : RDB_CHECKSUM_NONE);
	assert_int_equal(reading.summary.keys, keys);
	assert_says(reading.text, fixture->checksum ? "checksum     right" : "checksum     none");
	done(&reading);
}

static void test_files_of_servers(void **state)
{
	(void)state;
	fixture_each(0, check_fixture);
}

/* ---- files made here ---- */

static void test_summary(void **state)
{
	static const char rdb[] = "REDIS0011"
				  "\xfa\x09redis-ver\x05"
				  "7.2.6"
				  "\xfa\x05"
				  "ctime\xc2\x00\xf1\x53\x65"
				  "\xfa\x03lua\x08return 1"
				  "\xf5\x0a"
				  "#!lua name"
				  "\xfe\x09"
				  "\x00\x01"
				  "a\x05"
				  "12345"
				  "\xfc\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01"
				  "b\x01x" /* 1970 */
				  "\xfc\x00\x40\x23\x0e\x43\x02\x00\x00\x02\x01"
				  "c\x01\x03one" /* 2048 or so */
				  "\xfe\x00"
				  "\x00\x01\n\x02yy"
				  "\xff\x00\x00\x00\x00\x00\x00\x00\x00"
				  "*1\r\n";
	struct reading reading;

	(void)state;
	scratch_file_write(slice_make(rdb, sizeof(rdb) - 1));
	reading = read_file();
	assert_true(reading.whole);
	assert_string_equal(reading.summary.writer, "redis 7.2.6");
	assert_int_equal(reading.summary.keys, 4);
	assert_int_equal(reading.summary.bytes, 6 + 2 + 5 + 3);
	assert_int_equal(reading.summary.with_expiry, 2);
	assert_int_equal(reading.summary.expired, 1);
	assert_int_equal(reading.summary.first_expiry, 0x02430e234000);
	assert_int_equal(reading.summary.functions, 1);
	assert_int_equal(reading.summary.scripts, 1);
	assert_int_equal(reading.summary.database_count, 2);
	assert_int_equal(reading.summary.type_count, 2);
	assert_int_equal(reading.summary.largest_count, 4);
	assert_string_equal(reading.summary.largest[0].key, "\"a\"");
	assert_string_equal(reading.summary.largest[2].key, "\"\\x0a\"");
	assert_says(reading.text, "RDB version  11 of Redis, written by redis 7.2.6 at 2023-11-14T22:");
	assert_says(reading.text, "expiries     2, 1 of them past; the next 20");
	assert_says(reading.text, "behind it    4 bytes");
	done(&reading);
}

static void test_largest(void **state)
{
	struct rdb_summary summary;
	uint8_t value[64] = {0};

	(void)state;
	rdb_summary_init(&summary, 0);
	for (unsigned i = 0; i < 40; i++) {
		struct event event = {.kind = EVENT_KEY,
				      .db = i,
				      .expire_at_ms = EXPIRE_NEVER,
				      .key = SLICE("k"),
				      .value = slice_make(value, 1 + i * 17 % 40)};

		rdb_summary_add(&summary, &event, (struct snapshot_place){.rdb_version = 11});
	}
	assert_int_equal(summary.largest_count, RDB_SUMMARY_LARGEST);
	for (unsigned i = 0; i < RDB_SUMMARY_LARGEST; i++) {
		assert_int_equal(summary.largest[i].bytes, 40 - i);
		assert_int_equal(1 + summary.largest[i].db * 17 % 40, 40 - i);
	}
	rdb_summary_free(&summary);
}

/* A file may name more module types than there are rows. */
static void test_many_module_types(void **state)
{
	struct rdb_summary summary;
	uint64_t counted = 0;

	(void)state;
	rdb_summary_init(&summary, 0);
	for (unsigned i = 0; i < 500; i++) {
		uint8_t value[] = {0x81, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i, 0, 0, 0, 0};
		struct event event = {.kind = EVENT_KEY,
				      .type = RDB_TYPE_MODULE_2,
				      .expire_at_ms = EXPIRE_NEVER,
				      .key = SLICE("k"),
				      .value = slice_make(value, sizeof(value))};

		rdb_summary_add(&summary, &event, (struct snapshot_place){.rdb_version = 11});
	}
	assert_int_equal(summary.type_count, RDB_SUMMARY_TYPES);
	assert_string_equal(summary.types[RDB_SUMMARY_TYPES - 1].name, "module");
	for (size_t i = 0; i < summary.type_count; i++)
		counted += summary.types[i].keys;
	assert_int_equal(counted, 500);
	rdb_summary_free(&summary);
}

/* Values larger than what is looked at in one go: a string, and a list of many elements, with a key and an end behind. */
static void test_large_values(void **state)
{
	const size_t string_len = 11 << 20;
	const uint32_t elements = 600000;
	uint8_t *data = memory_alloc(40 << 20);
	size_t len = 0;
	uint64_t crc;
	struct reading reading;

	(void)state;
	memcpy(data, "REDIS0011\x00\x01s\x80\x00\xb0\x00\x00", 17);
	len = 17;
	for (size_t i = 0; i < string_len; i++)
		data[len++] = (uint8_t)(i * i >> 7);
	memcpy(data + len, "\x01\x01l\x80\x00\x09\x27\xc0", 8);
	len += 8;
	for (uint32_t i = 0; i < elements; i++) {
		data[len++] = 20;
		memset(data + len, (int)(i % 256), 20);
		len += 20;
	}
	memcpy(data + len, "\x00\x01z\x01z\xff", 6);
	len += 6;
	crc = crc64_by_table(0, data, len);
	for (unsigned i = 0; i < 8; i++)
		data[len++] = (uint8_t)(crc >> 8 * i);
	scratch_file_write(slice_make(data, len));
	reading = read_file();
	assert_true(reading.whole);
	assert_int_equal(reading.checksum, RDB_CHECKSUM_RIGHT);
	assert_int_equal(reading.summary.keys, 3);
	assert_int_equal(reading.summary.largest[0].bytes, 5 + elements * 21);
	assert_int_equal(reading.summary.largest[1].bytes, 5 + string_len);
	done(&reading);

	data[5000000] ^= 1;
	scratch_file_write(slice_make(data, len));
	reading = read_file();
	assert_false(reading.whole);
	assert_int_equal(reading.error.kind, ERROR_SOURCE);
	assert_says(reading.error.text, "checksum");
	assert_int_equal(reading.checksum, RDB_CHECKSUM_WRONG);
	assert_int_equal(reading.summary.keys, 3);
	assert_says(reading.text, "checksum     wrong");
	done(&reading);

	scratch_file_write(slice_make(data, len - 9000000));
	reading = read_file();
	assert_false(reading.whole);
	assert_int_equal(reading.error.kind, ERROR_SOURCE);
	assert_says(reading.error.text, "cut off");
	assert_int_equal(reading.summary.keys, 1);
	assert_says(reading.text, "checksum     not reached");
	done(&reading);
	free(data);
}

/* ---- damage, and no file ---- */

static void assert_damaged(struct slice bytes, uint64_t keys, const char *first, const char *second)
{
	struct reading reading;

	scratch_file_write(bytes);
	reading = read_file();
	assert_false(reading.whole);
	assert_int_equal(reading.error.kind, ERROR_SOURCE);
	assert_says(reading.error.text, scratch_file_path());
	assert_says(reading.error.text, first);
	assert_says(reading.error.text, second);
	assert_true(reading.error.hint[0] != '\0');
	assert_int_equal(reading.summary.keys, keys);
	done(&reading);
}

static void test_damage(void **state)
{
	(void)state;
	assert_damaged(SLICE(""), 0, "cut off", "position 0");
	assert_damaged(SLICE("REDIS00"), 0, "cut off", "position 7");
	assert_damaged(SLICE("*1\r\n$4\r\nPING\r\n"), 0, "position 0", "not an RDB file");
	assert_damaged(SLICE("REDIS0011\x00\x01"
			     "a\x01"
			     "b"),
		       1, "cut off", "position 14");
	assert_damaged(SLICE("REDIS0011\x00\x01"
			     "a\x01"
			     "b\xff\x01\x02"),
		       1, "cut off", "at least 6 bytes more");
	assert_damaged(SLICE("REDIS0011\x00\x01"
			     "a\x01"
			     "b\x32\x01"
			     "c\x01"
			     "d"),
		       1, "value type 50", "position 14");
	assert_damaged(SLICE("REDIS0011\x00\x01"
			     "a\x01"
			     "b\xff\x01\x02\x03\x04\x05\x06\x07\x08"),
		       1, "checksum", "position 15");
}

static void test_no_file(void **state)
{
	struct rdb_file file;
	struct error error;

	(void)state;
	assert_false(rdb_file_open(&file, "/nowhere/dump.rdb", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_says(error.text, "/nowhere/dump.rdb");
	assert_false(rdb_file_open(&file, "/tmp", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_false(rdb_file_open(&file, "/dev/null", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_servers),  cmocka_unit_test(test_summary),      cmocka_unit_test(test_largest),
		cmocka_unit_test(test_many_module_types), cmocka_unit_test(test_large_values), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, scratch_file_setup, scratch_file_teardown);
}
