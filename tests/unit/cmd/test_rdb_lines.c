/* `keyferry rdb --format jsonl`: every recorded file prints as what the servers said of it, byte for byte; and files that are cut off
 * or damaged. */
#include "../decode/fixture.h"
#include "base/memory.h"
#include "cmd/rdb_lines.h"
#include "scratch_file.h"
#include "wire/rdb.h"
#include "json/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* What the file prints; to be freed. */
static char *print_file(struct error *error, bool *whole)
{
	struct rdb_file file;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	error_clear(error);
	assert_true(rdb_file_open(&file, scratch_file_path(), error));
	*whole = rdb_lines_print(&file, out, error);
	rdb_file_close(&file);
	fclose(out);
	return text;
}

static char *read_text(const char *name)
{
	FILE *file = fopen(name, "r");
	char *text = NULL;
	size_t len = 0;
	ssize_t got;

	assert_non_null(file);
	got = getdelim(&text, &len, '\0', file);
	assert_true(got > 0);
	fclose(file);
	return text;
}

/* Names the first line that is not the same. */
static void assert_same_lines(const char *name, const char *got, const char *expected)
{
	const char *line = got;
	size_t same = 0;
	size_t from;

	while (got[same] == expected[same] && got[same] != '\0') {
		if (got[same++] == '\n')
			line = got + same;
	}
	if (got[same] == expected[same])
		return;
	from = same > 60 ? same - 60 : 0;
	fail_msg("%s: line %.60s...: \"%.100s\" should be \"%.100s\"", name, line, got + from, expected + from);
}

/* ---- files of servers ---- */

static void check_fixture(const struct fixture *fixture)
{
	char *expected = read_text(fixture->expected);
	struct error error;
	bool whole;
	char *got;

	scratch_file_write(slice_make(fixture->data, fixture->len));
	got = print_file(&error, &whole);
	if (!whole)
		fail_msg("%s: %s", fixture->name, error.text);
	assert_same_lines(fixture->name, got, expected);
	free(got);
	free(expected);
}

static void test_files_of_servers(void **state)
{
	(void)state;
	assert_int_equal(fixture_each(0, check_fixture), 108);
}

/* ---- cut off ---- */

struct place {
	uint32_t db;
	char key[128]; /* the recorded small files have none longer, and none with a zero byte */
	uint64_t end;
};

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left;
	const struct place *b = right;

	return a->db != b->db ? (a->db < b->db ? -1 : 1) : strcmp(a->key, b->key);
}

/* Where each key ends, in the order in which they are printed. */
static size_t find_places(const struct fixture *fixture, struct place *places, size_t room)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct event event = {0};
	struct error error;
	uint64_t need, scanned;
	size_t count = 0;

	for (uint64_t at = 0; event.kind != EVENT_SNAPSHOT_END || at == 0; at = event.end) {
		assert_int_equal(snapshot_decode(decoder, slice_make(fixture->data + at, fixture->len - at), at, &event, &need,
						 &scanned, &error),
				 PARSE_OK);
		if (event.kind != EVENT_KEY)
			continue;
		assert_true(count < room && event.key.len < sizeof(places->key) && !memchr(event.key.data, '\0', event.key.len));
		places[count] = (struct place){.db = event.db, .end = event.end};
		memcpy(places[count++].key, event.key.data, event.key.len);
	}
	snapshot_decoder_free(decoder);
	qsort(places, count, sizeof(*places), compare_places);
	return count;
}

/* Cut off at `len`, the file prints just the keys that end before, then an error. */
static void check_cut(const struct fixture *fixture, size_t len, const struct place *places, size_t count, const char *expected)
{
	char *wanted = memory_alloc(strlen(expected) + 1);
	const char *line = expected;
	struct error error;
	size_t at = 0;
	bool whole;
	char *got;

	for (size_t i = 0; i < count; i++) {
		size_t line_len = (size_t)(strchr(line, '\n') + 1 - line);

		if (places[i].end <= len) {
			memcpy(wanted + at, line, line_len);
			at += line_len;
		}
		line += line_len;
	}
	wanted[at] = '\0';
	assert_int_equal(truncate(scratch_file_path(), (off_t)len), 0);
	got = print_file(&error, &whole);
	assert_false(whole);
	assert_int_equal(error.kind, ERROR_SOURCE);
	assert_non_null(strstr(error.text, "position"));
	assert_true(error.hint[0] != '\0');
	assert_same_lines(fixture->name, got, wanted);
	free(got);
	free(wanted);
}

static void check_cuts(const struct fixture *fixture)
{
	static struct place places[128];
	size_t count;
	char *expected;
	/* All bytes of the smallest files and of a small one with all kinds of values; steps through those of other servers. */
	size_t step = fixture->len < 1000 || strstr(fixture->name, "redis-7.4.1") ? 1 : 29;

	if (fixture->len >= 1000 && !strstr(fixture->name, "-nochecksum"))
		return;
	expected = read_text(fixture->expected);
	count = find_places(fixture, places, sizeof(places) / sizeof(places[0]));
	scratch_file_write(slice_make(fixture->data, fixture->len));
	for (size_t len = fixture->len; len > 0;) {
		len -= len < step ? len : step;
		check_cut(fixture, len, places, count, expected);
	}
	free(expected);
}

static void test_cut_off(void **state)
{
	(void)state;
	assert_true(fixture_each(20 * 1024, check_cuts) > 0);
}

/* ---- files made here ---- */

#define RDB(body) "REDIS0011" body "\xff\x00\x00\x00\x00\x00\x00\x00\x00"
#define LINE(db, key, type, value)                                                                                               \
	"{\"db\":" db ",\"key\":\"" key "\",\"type\":\"" type "\",\"ttl_at_ms\":null,\"value\":" value "}\n"

static void assert_prints(struct slice bytes, const char *expected)
{
	struct error error;
	bool whole;
	char *got;

	scratch_file_write(bytes);
	got = print_file(&error, &whole);
	if (!whole)
		fail_msg("%s", error.text);
	assert_string_equal(got, expected);
	free(got);
}

#define PRINTS(body, expected) assert_prints(SLICE(RDB(body)), expected)

/* Keys and elements in any order of the file. */
static void test_order(void **state)
{
	(void)state;
	PRINTS("", "");
	PRINTS("\xfe\x0a\x00\x01"
	       "a\x01x\xfe\x02\x00\x01"
	       "b\x01x\x00\x00\x01x\x00\x02"
	       "aa\x01x\x00\x01"
	       "a\x01x",
	       LINE("2", "", "string", "\"x\"") LINE("2", "a", "string", "\"x\"") LINE("2", "aa", "string", "\"x\"")
		       LINE("2", "b", "string", "\"x\"") LINE("10", "a", "string", "\"x\""));
	PRINTS("\x02\x01s\x04\x01"
	       "b\x02"
	       "aa\xc0\x0a\x01"
	       "a",
	       LINE("0", "s", "set", "[\"10\",\"a\",\"aa\",\"b\"]"));
	PRINTS("\x04\x01h\x02\x01"
	       "b\x01"
	       "1\x01"
	       "a\x01"
	       "2",
	       LINE("0", "h", "hash", "[[\"a\",\"2\"],[\"b\",\"1\"]]"));
	/* By score, then by member; both zeros are equal. */
	PRINTS("\x03\x01z\x07\x01"
	       "f\xfe\x01"
	       "e\x03"
	       "1e3\x01"
	       "d\x01"
	       "2\x01"
	       "c\x01"
	       "0\x01"
	       "b\x02-0\x01"
	       "a\x02-1\x01"
	       "0\xff",
	       LINE("0", "z", "zset",
		    "[[\"0\",\"-inf\"],[\"a\",\"-1\"],[\"b\",\"-0\"],[\"c\",\"0\"],[\"d\",\"2\"],[\"e\",\"1000\"],[\"f\",\"inf\"]"
		    "]"));
	PRINTS("\x02\x01s\x00\x01\x01l\x00\x04\x01h\x00",
	       LINE("0", "h", "hash", "[]") LINE("0", "l", "list", "[]") LINE("0", "s", "set", "[]"));
	PRINTS("\x07\x01m\x03\x02\x07\x05\x02hi\x04\0\0\0\0\0\0\xf8\x3f\x04\0\0\0\0\0\0\xf0\x7f\x00",
	       LINE("0", "m", "AAAAAAAAA", "{\"version\":3,\"items\":[7,\"hi\",1.5,\"inf\"]}"));
}

/* Damage inside values: the others are printed, and the first that is not is named. */
static void test_damaged_values(void **state)
{
	static const char one[] = RDB("\x0b\x01"
				      "b\x08\x03\0\0\0\0\0\0\0\x00\x01"
				      "a\x01x\x00\x01"
				      "c\x01x");
	static const char two[] = RDB("\x0b\x01"
				      "b\x08\x03\0\0\0\0\0\0\0\x01\x01"
				      "a\x01\xc4\x00\x01"
				      "c\x01x");
	static const char both[] = RDB("\x0b\x01"
				       "b\x08\x03\0\0\0\0\0\0\0\x0a\x01"
				       "a\x01x\x00\x01"
				       "c\x01x\x63");
	struct error error;
	bool whole;
	char *got;

	(void)state;
	scratch_file_write(slice_make(one, sizeof(one) - 1));
	got = print_file(&error, &whole);
	assert_false(whole);
	assert_int_equal(error.kind, ERROR_SOURCE);
	assert_non_null(strstr(error.text, scratch_file_path()));
	assert_non_null(strstr(error.text, "key \"b\" of database 0 cannot be read at position 13: an intset"));
	assert_string_equal(got, LINE("0", "a", "string", "\"x\"") LINE("0", "c", "string", "\"x\""));
	free(got);

	/* Damage to a string inside a list already shows in the walk, and ends the file there. */
	scratch_file_write(slice_make(two, sizeof(two) - 1));
	got = print_file(&error, &whole);
	assert_false(whole);
	assert_non_null(strstr(error.text, "1 of the values before it are damaged, and"));
	assert_non_null(strstr(error.text, "at position 25"));
	assert_string_equal(got, "");
	free(got);

	scratch_file_write(slice_make(both, sizeof(both) - 1));
	got = print_file(&error, &whole);
	assert_false(whole);
	assert_non_null(strstr(error.text, "2 of the values before it are damaged, and"));
	assert_string_equal(got, LINE("0", "c", "string", "\"x\""));
	free(got);
}

static void assert_number(double number, const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	json_number_print(out, number);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_numbers(void **state)
{
	(void)state;
	assert_number(0, "0.0");
	assert_number(-1, "-1.0");
	assert_number(0.1, "0.1");
	assert_number(1.0 / 3, "0.3333333333333333");
	assert_number((double)0.7061F, "0.7060999870300293");
	assert_number(1e300, "1e+300");
	assert_number(5e-324, "4.94065645841247e-324");
	assert_number(-1e300 * 1e300, "\"-inf\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_servers), cmocka_unit_test(test_cut_off), cmocka_unit_test(test_order),
		cmocka_unit_test(test_damaged_values),   cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, scratch_file_setup, scratch_file_teardown);
}
