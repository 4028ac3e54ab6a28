/* Places in a worker's log: the last lines, what comes, files that are turned, lost, cut or strange. */
#include "base/memory.h"
#include "service/worker_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static char *path_of(const char *name)
{
	return memory_printf("%s/%s", folder, name);
}

static void forget(const char *name)
{
	char *path = path_of(name);

	unlink(path);
	free(path);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/keyferry-worker-log-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	forget("log");
	forget("log.1");
	return rmdir(folder);
}

static void write_bytes(const char *bytes, size_t len)
{
	char *path = path_of("log");
	FILE *file = fopen(path, "a");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	free(path);
}

static void write_text(const char *text)
{
	write_bytes(text, strlen(text));
}

/* As cmd/log_file.h does. */
static void turn(void)
{
	char *now = path_of("log"), *old = path_of("log.1");

	assert_int_equal(rename(now, old), 0);
	free(now);
	free(old);
}

/* Lines up to the end, apart by '|'; free(). A gap is a '!'. */
static char *read_on(struct worker_log_place *place)
{
	json_t *lines = json_array(), *line;
	char *text = NULL;
	size_t len, i;
	FILE *out = open_memstream(&text, &len);
	bool more = true;

	while (more) {
		bool gap;

		more = worker_log_read(folder, place, lines, &gap);
		if (gap)
			fputc('!', out);
		json_array_foreach (lines, i, line)
			fprintf(out, "%s|", json_string_value(line));
		json_array_clear(lines);
	}
	json_decref(lines);
	fclose(out);
	return text;
}

static void expect(struct worker_log_place *place, const char *wanted)
{
	char *text = read_on(place);

	assert_string_equal(text, wanted);
	free(text);
}

static void expect_back(uint32_t most, const char *wanted)
{
	struct worker_log_place place;

	worker_log_back(folder, most, &place);
	expect(&place, wanted);
}

static void test_last_lines(void **state)
{
	(void)state;
	expect_back(3, "");
	write_text("one\ntwo\nthree\n");
	expect_back(1, "three|");
	expect_back(3, "one|two|three|");
	expect_back(10, "one|two|three|");
	turn();
	expect_back(2, "two|three|");
	write_text("four\nfive\nhalf");
	expect_back(1, "five|");
	expect_back(2, "four|five|");
	expect_back(3, "three|four|five|");
	expect_back(4, "two|three|four|five|");
	expect_back(9, "one|two|three|four|five|");
}

static void test_what_comes(void **state)
{
	struct worker_log_place place, nothing;

	(void)state;
	worker_log_back(folder, 100, &nothing);
	expect(&nothing, "");
	write_text("one\ntw");
	worker_log_back(folder, 100, &place);
	expect(&place, "one|");
	expect(&place, "");
	write_text("o\n\n\nthree\n");
	expect(&place, "two|three|");
	turn();
	expect(&place, "");
	write_text("four");
	expect(&place, "");
	write_text("\n");
	expect(&place, "four|");
	/* Before all that there is: from the very beginning, without a gap. */
	expect(&nothing, "one|two|three|four|");
}

/* What was not read before the turn is read behind it, and what is lost is told. */
static void test_turns(void **state)
{
	struct worker_log_place early, late;

	(void)state;
	write_text("one\ntwo\n");
	worker_log_back(folder, 1, &early);
	worker_log_back(folder, 2, &late);
	expect(&late, "one|two|");
	write_text("three\n");
	turn();
	write_text("four\n");
	expect(&late, "three|four|");
	turn();
	write_text("five\n");
	expect(&late, "five|");
	expect(&early, "!four|five|");
	forget("log.1");
	forget("log");
	expect(&late, "");
	write_text("six\n");
	expect(&late, "!six|");
	expect(&early, "!six|");
}

/* A new file that happens to have the inode of an old one is another one. */
static void test_same_offset_in_another_file(void **state)
{
	struct worker_log_place place;

	(void)state;
	write_text("2026-01-01 one\n");
	worker_log_back(folder, 1, &place);
	expect(&place, "2026-01-01 one|");
	forget("log");
	write_text("2026-01-02 one\n2026-01-02 two\n");
	expect(&place, "!2026-01-02 one|2026-01-02 two|");
	/* Cut off, as nobody does: from its beginning. */
	place.offset = 1000000;
	expect(&place, "!2026-01-02 one|2026-01-02 two|");
}

static void test_strange_lines(void **state)
{
	static const char bytes[] = "first\n\xff\xfe caf\xc3\xa9\nwith\0nul\nend\n";
	char *longest = memory_alloc(100001);
	struct worker_log_place place;
	json_t *lines = json_array();
	size_t len = 0, i;
	json_t *line;
	bool gap;

	(void)state;
	write_bytes(bytes, sizeof(bytes) - 1);
	expect_back(100, "first|?? caf??|with?nul|end|");
	expect_back(2, "with?nul|end|");
	worker_log_back(folder, 1, &place);
	expect(&place, "end|");
	memset(longest, 'x', 100000);
	longest[100000] = '\0';
	write_text(longest);
	write_text("\nbehind\n");
	while (worker_log_read(folder, &place, lines, &gap))
		assert_false(gap);
	json_array_foreach (lines, i, line) {
		assert_true(json_string_length(line) <= WORKER_LOG_READ);
		len += json_string_length(line);
	}
	assert_int_equal(len, 100000 + strlen("behind"));
	json_decref(lines);
	/* A first line longer than what a file is known by. */
	turn();
	write_text(longest);
	worker_log_back(folder, 1, &place);
	assert_int_not_equal(place.file, 0);
	free(longest);
}

/* Of many lines as many as were asked for, wherever blocks end. */
static void test_many_lines(void **state)
{
	struct worker_log_place place;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		char line[64];

		snprintf(line, sizeof(line), "line %d of the log%.*s\n", i, i % 17, "................");
		write_text(line);
		if (i == 3000)
			turn();
	}
	for (uint32_t most = 1; most <= 5000; most = most * 3 + 7) {
		json_t *lines = json_array();
		char wanted[64];
		bool gap;

		worker_log_back(folder, most, &place);
		while (worker_log_read(folder, &place, lines, &gap))
			assert_false(gap);
		assert_int_equal(json_array_size(lines), most);
		snprintf(wanted, sizeof(wanted), "line %d of", 5000 - (int)most);
		assert_non_null(strstr(json_string_value(json_array_get(lines, 0)), wanted));
		json_decref(lines);
	}
}

static void test_places_as_text(void **state)
{
	static const char *const wrong[] = {"",
					    "1-2",
					    "-",
					    "0123456789abcdef",
					    "0123456789abcdef-",
					    "0123456789abcdef--1",
					    "0123456789abcdef-1x",
					    "0123456789ABCDEF-1",
					    "0123456789abcdef0-1",
					    "0123456789abcdef-9223372036854775808"};
	struct worker_log_place place = {0x0123456789abcdef, INT64_MAX}, read;
	char text[WORKER_LOG_PLACE_MAX];

	(void)state;
	worker_log_format_place(&place, text);
	assert_string_equal(text, "0123456789abcdef-9223372036854775807");
	assert_true(worker_log_parse_place(text, &read));
	assert_true(read.file == place.file && read.offset == place.offset);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (worker_log_parse_place(wrong[i], &read))
			fail_msg("%s is a place", wrong[i]);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {CASE(test_last_lines),
					   CASE(test_what_comes),
					   CASE(test_turns),
					   CASE(test_same_offset_in_another_file),
					   CASE(test_strange_lines),
					   CASE(test_many_lines),
					   cmocka_unit_test(test_places_as_text)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
