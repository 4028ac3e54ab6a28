/* The names of a snapshot: found again, through restarts in the middle, and forgotten with their generation. */
#include "link/name_set.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[80];
static struct error error;

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/keyferry-names-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/names", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder); /* fails where a file was left */
}

static struct slice name_of(unsigned number)
{
	static char text[32];

	return slice_make(text, (size_t)snprintf(text, sizeof(text), "key:%u", number));
}

static void add_range(struct name_set *set, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		assert_true(name_set_add(set, i % 3, name_of(i), &error));
}

static void check_range(const struct name_set *set, unsigned from, unsigned to, bool expected)
{
	for (unsigned i = from; i < to; i++) {
		if (name_set_has(set, i % 3, name_of(i)) != expected)
			fail_msg("key:%u is %sin the set", i, expected ? "not " : "");
		assert_false(name_set_has(set, i % 3 + 1, name_of(i)));
	}
}

static void test_found_again(void **state)
{
	const unsigned counts[] = {0, 1, 2, 4095, 4096, 4097, 1500000}; /* the last does not fit into the sorter's memory */

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct name_set *set = name_set_open(path, i + 1, &error);

		assert_non_null(set);
		add_range(set, 0, counts[i]);
		assert_int_equal(name_set_count(set), counts[i]);
		assert_true(name_set_seal(set, &error));
		check_range(set, 0, counts[i] < 20000 ? counts[i] : 20000, true);
		check_range(set, counts[i], counts[i] + 1000, false);
		name_set_remove(set);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void test_restart(void **state)
{
	struct name_set *set = name_set_open(path, 7, &error);
	FILE *file;

	(void)state;
	assert_non_null(set);
	add_range(set, 0, 10000);
	assert_true(name_set_sync(set, &error));
	add_range(set, 10000, 10010);
	name_set_close(set); /* these were not written, as in a crash */
	file = fopen(path, "a");
	assert_non_null(file);
	fputs("half", file);
	fclose(file);
	set = name_set_open(path, 7, &error);
	assert_non_null(set);
	assert_int_equal(name_set_count(set), 10000);
	add_range(set, 9000, 12000); /* some of them again */
	assert_true(name_set_seal(set, &error));
	check_range(set, 0, 12000, true);
	check_range(set, 12000, 13000, false);
	name_set_close(set);
}

static void test_other_generation(void **state)
{
	struct name_set *set = name_set_open(path, 7, &error);

	(void)state;
	add_range(set, 0, 5000);
	assert_true(name_set_sync(set, &error));
	name_set_close(set);
	set = name_set_open(path, 8, &error);
	assert_int_equal(name_set_count(set), 0);
	add_range(set, 5000, 5010);
	assert_true(name_set_seal(set, &error));
	check_range(set, 0, 5000, false);
	check_range(set, 5000, 5010, true);
	name_set_remove(set);
}

static void test_bytes_in_names(void **state)
{
	struct name_set *set = name_set_open(path, 1, &error);

	(void)state;
	assert_true(name_set_add(set, 0, slice_make("a\0b", 3), &error));
	assert_true(name_set_add(set, 0, slice_make("", 0), &error));
	assert_true(name_set_seal(set, &error));
	assert_true(name_set_has(set, 0, slice_make("a\0b", 3)));
	assert_true(name_set_has(set, 0, slice_make("", 0)));
	assert_false(name_set_has(set, 0, slice_make("a", 1)));
	assert_false(name_set_has(set, 0, slice_make("a\0c", 3)));
	name_set_remove(set);
}

static void test_no_room(void **state)
{
	char missing[120];

	(void)state;
	snprintf(missing, sizeof(missing), "%s/none/names", folder);
	assert_null(name_set_open(missing, 1, &error));
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_non_null(strstr(error.text, missing));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_generation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_in_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
