/* The file of a verification's differences: pages, kinds, bounds, a file that is replaced or cut off while somebody reads. */
#include "base/memory.h"
#include "service/differences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct error error;

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/keyferry-differences-XXXXXX");
	assert_non_null(mkdtemp(folder));
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/differences", folder);
	unlink(path);
	return rmdir(folder);
}

static void add(struct differences_writer *writer, const char *kind, int number)
{
	char line[128];

	snprintf(line, sizeof(line), "{\"kind\":\"%s\",\"db\":0,\"key\":\"key-%d\",\"repaired\":false}", kind, number);
	differences_add(writer, slice_of_string(line));
}

static void write_file(int64_t job, int count)
{
	struct differences_writer *writer = differences_begin(folder, job, &error);

	assert_non_null(writer);
	for (int i = 0; i < count; i++)
		add(writer, i % 10 == 3 ? "extra" : "missing", i);
	differences_end(writer);
}

static json_t *read_page(const char *kind, int64_t after, uint32_t most)
{
	json_t *page;

	if (!differences_read(folder, kind, after, most, &page, &error))
		fail_msg("%s", error.text);
	return page;
}

static int64_t integer(const json_t *page, const char *name)
{
	return json_integer_value(json_object_get(page, name));
}

static size_t count_of(const json_t *page)
{
	return json_array_size(json_object_get(page, "items"));
}

static const char *key_of(const json_t *page, size_t number)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(page, "items"), number), "key"));
}

static void test_pages(void **state)
{
	json_t *page;
	int64_t after = 0, seen = 0;

	(void)state;
	write_file(7, 2500);
	do {
		page = read_page(NULL, after, 1000);
		assert_int_equal(integer(page, "job"), 7);
		for (size_t i = 0; i < count_of(page); i++) {
			char key[32];

			snprintf(key, sizeof(key), "key-%d", (int)seen++);
			assert_string_equal(key_of(page, i), key);
		}
		after = integer(page, "next");
		assert_true(json_is_null(json_object_get(page, "next")) == (seen == 2500));
		json_decref(page);
	} while (after);
	assert_int_equal(seen, 2500);
}

static void test_kind(void **state)
{
	json_t *first, *second;

	(void)state;
	write_file(7, 100);
	first = read_page("extra", 0, 6);
	assert_int_equal(count_of(first), 6);
	assert_string_equal(key_of(first, 5), "key-53");
	second = read_page("extra", integer(first, "next"), 6);
	assert_int_equal(count_of(second), 4);
	assert_string_equal(key_of(second, 0), "key-63");
	assert_true(json_is_null(json_object_get(second, "next")));
	json_decref(first);
	json_decref(second);
	first = read_page("type", 0, 6);
	assert_int_equal(count_of(first), 0);
	assert_true(json_is_null(json_object_get(first, "next")));
	json_decref(first);
	/* Exactly a page: there is no other. */
	first = read_page("extra", 0, 10);
	assert_int_equal(count_of(first), 10);
	assert_true(json_is_null(json_object_get(first, "next")));
	json_decref(first);
}

static void test_none(void **state)
{
	json_t *page = read_page(NULL, 0, 10);

	(void)state;
	assert_true(json_is_null(json_object_get(page, "job")));
	json_decref(page);
	write_file(7, 0);
	page = read_page(NULL, 0, 10);
	assert_int_equal(integer(page, "job"), 7);
	assert_int_equal(count_of(page), 0);
	json_decref(page);
}

/* A page of another verification than the one before: the job says so, and what is no beginning of a line is nothing. */
static void test_replaced(void **state)
{
	struct differences_writer *writer;
	json_t *page;

	(void)state;
	write_file(7, 100);
	/* One that is under way, or was broken off, changes nothing. */
	writer = differences_begin(folder, 8, &error);
	add(writer, "type", 1);
	page = read_page(NULL, 0, 10);
	assert_int_equal(integer(page, "job"), 7);
	json_decref(page);
	differences_drop(writer);
	page = read_page(NULL, 0, 10);
	assert_int_equal(integer(page, "job"), 7);
	json_decref(page);
	write_file(9, 3);
	for (int64_t after = 13; after < 400; after += 7) {
		page = read_page(NULL, after, 10);
		assert_int_equal(integer(page, "job"), 9);
		assert_true(count_of(page) <= 3);
		json_decref(page);
	}
	page = read_page(NULL, INT64_MAX, 10);
	assert_int_equal(count_of(page), 0);
	json_decref(page);
}

static void test_cut_off(void **state)
{
	char path[128];
	struct stat file;
	json_t *page;

	(void)state;
	write_file(7, 10);
	snprintf(path, sizeof(path), "%s/differences", folder);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(truncate(path, file.st_size - 5), 0);
	page = read_page(NULL, 0, 100);
	assert_int_equal(count_of(page), 9);
	assert_true(json_is_null(json_object_get(page, "next")));
	json_decref(page);
	assert_int_equal(truncate(path, 3), 0);
	page = read_page(NULL, 0, 100);
	assert_true(json_is_null(json_object_get(page, "job")));
	json_decref(page);
}

static void test_bounds(void **state)
{
	struct differences_writer *writer = differences_begin(folder, 7, &error);
	static char large[400000];
	json_t *page;

	(void)state;
	memset(large, 'x', sizeof(large));
	memcpy(large, "{\"key\":\"", 8);
	memcpy(large + sizeof(large) - 2, "\"}", 2);
	for (int i = 0; i < 300; i++)
		differences_add(writer, (struct slice){(const uint8_t *)large, sizeof(large)});
	differences_end(writer);
	/* Large ones make small pages. */
	page = read_page(NULL, 0, 1000);
	assert_int_equal(count_of(page), 2);
	assert_int_equal(integer(page, "next"), 10 + 2 * (sizeof(large) + 1));
	json_decref(page);
	page = read_page(NULL, 10 + 166 * (sizeof(large) + 1), 1000);
	assert_int_equal(count_of(page), 1);
	assert_true(json_is_null(json_object_get(page, "next")));
	json_decref(page);
	write_file(8, DIFFERENCES_KEPT + 20);
	page = read_page("extra", 0, DIFFERENCES_KEPT);
	assert_int_equal(count_of(page), DIFFERENCES_KEPT / 10);
	json_decref(page);
}

static void test_no_folder(void **state)
{
	(void)state;
	assert_null(differences_begin("/proc/none", 7, &error));
	assert_non_null(strstr(error.text, "/proc/none/differences.new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
		cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
