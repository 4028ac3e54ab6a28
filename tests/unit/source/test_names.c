/* The register of names: what a pass does not find, restarts and kills in the middle, doubles, torn files. */
#include "source/names.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/keyferry-names-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct names *open_names(void)
{
	struct error error;
	struct names *names = names_open(dir, &error);

	assert_non_null(names);
	return names;
}

static int padding; /* of names: zeros before the number */

static void add(struct names *names, uint32_t db, int from, int to)
{
	struct error error;
	char key[300];

	for (int i = from; i < to; i++) {
		snprintf(key, sizeof(key), "key:%0*d", padding, i);
		names_add(names, db, slice_of_string(key));
	}
	assert_true(names_flush(names, &error));
}

static void begin_pass(struct names *names)
{
	struct error error;

	assert_true(names_begin_pass(names, &error));
}

/* Works to the end; how many were missing, and the sum of their numbers. */
static int work(struct names *names, long *sum)
{
	enum names_answer answer;
	struct error error;
	struct slice key;
	int missing = 0;
	uint32_t db;

	*sum = 0;
	while ((answer = names_work(names, &db, &key, &error)) != NAMES_DONE) {
		assert_int_not_equal(answer, NAMES_FAILED);
		if (answer != NAMES_MISSING)
			continue;
		assert_true(slice_starts_with(key, SLICE("key:")));
		*sum += strtol((const char *)key.data + 4, NULL, 10) + 1000000L * db;
		missing++;
	}
	return missing;
}

static int end_pass(struct names *names, long *sum)
{
	names_end_pass(names);
	return work(names, sum);
}

static void commit(struct names *names)
{
	struct error error;

	assert_true(names_commit(names, &error));
}

static int files(const char *suffix)
{
	struct dirent *entry;
	DIR *list = opendir(dir);
	int count = 0;

	while ((entry = readdir(list)))
		count += strstr(entry->d_name, suffix) != NULL;
	closedir(list);
	return count;
}

static void test_missing(void **state)
{
	struct names *names = open_names();
	long sum;

	(void)state;
	begin_pass(names);
	add(names, 0, 0, 100);
	assert_int_equal(end_pass(names, &sum), 0); /* the first: nothing was there before */
	add(names, 1, 5, 7);                        /* told of behind it */
	begin_pass(names);
	add(names, 0, 0, 98);
	add(names, 1, 6, 7);
	assert_int_equal(end_pass(names, &sum), 3);
	assert_int_equal(sum, 98 + 99 + 1000005);
	commit(names);
	begin_pass(names);
	add(names, 0, 0, 98);
	add(names, 1, 6, 7);
	assert_int_equal(end_pass(names, &sum), 0); /* forgotten */
	names_close(names);
}

/* Until the target has lost them, those that are missing are found again, also by another process. */
static void test_not_committed(void **state)
{
	struct names *names = open_names();
	long sum;

	(void)state;
	begin_pass(names);
	add(names, 0, 0, 10);
	end_pass(names, &sum);
	begin_pass(names);
	add(names, 0, 0, 9);
	assert_int_equal(end_pass(names, &sum), 1);
	begin_pass(names);
	add(names, 0, 0, 9);
	assert_int_equal(end_pass(names, &sum), 1);
	names_close(names);
	names = open_names();
	assert_int_equal(files(".tmp"), 0);
	begin_pass(names);
	add(names, 0, 0, 8);
	assert_int_equal(end_pass(names, &sum), 2);
	commit(names);
	names_close(names);
	names = open_names();
	begin_pass(names);
	assert_int_equal(end_pass(names, &sum), 8);
	names_close(names);
}

static void test_pass_that_was_cut_off(void **state)
{
	struct names *names = open_names();
	long sum;

	(void)state;
	begin_pass(names);
	add(names, 0, 0, 10);
	names_close(names);
	names = open_names();
	begin_pass(names);
	add(names, 0, 3, 20);
	names_close(names); /* half a pass */
	names = open_names();
	begin_pass(names);
	add(names, 0, 5, 20);
	assert_int_equal(end_pass(names, &sum), 5);
	assert_int_equal(sum, 0 + 1 + 2 + 3 + 4);
	names_close(names);
}

static void test_torn_tail(void **state)
{
	struct names *names = open_names();
	char path[160];
	struct stat facts;
	long sum;

	(void)state;
	begin_pass(names);
	add(names, 0, 0, 10);
	names_close(names);
	snprintf(path, sizeof(path), "%s/%020d.names", dir, 1);
	assert_int_equal(stat(path, &facts), 0);
	assert_int_equal(truncate(path, facts.st_size - 3), 0);
	names = open_names();
	begin_pass(names);
	assert_int_equal(end_pass(names, &sum), 9);
	names_close(names);
}

/* More than the sorter holds in memory, and added all over again: one file without doubles is left. */
static void test_many(void **state)
{
	struct names *names = open_names();
	uint64_t size = 0;
	struct stat facts;
	char path[160];
	long sum;

	(void)state;
	begin_pass(names);
	for (int round = 0; round < 3; round++)
		add(names, 0, 0, 200000);
	assert_int_equal(end_pass(names, &sum), 0);
	begin_pass(names);
	add(names, 0, 7, 200000);
	assert_int_equal(end_pass(names, &sum), 7);
	commit(names);
	for (int number = 0; number < 9; number++) {
		snprintf(path, sizeof(path), "%s/%020d.names", dir, number);
		size += stat(path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
	}
	assert_in_range(size, 200000ull * 10, 200000ull * 13);
	names_close(names);
}

static void test_tidy(void **state)
{
	struct names *names = open_names();
	long sum;

	(void)state;
	begin_pass(names);
	add(names, 0, 0, 1000);
	end_pass(names, &sum);
	names_tidy(names);
	assert_false(names_working(names)); /* not worth it */
	padding = 250;
	add(names, 0, 0, 280000);
	names_tidy(names);
	assert_true(names_working(names));
	assert_int_equal(work(names, &sum), 0);
	assert_false(names_working(names));
	begin_pass(names);
	add(names, 0, 10, 280000);
	assert_int_equal(end_pass(names, &sum), 1000 + 10); /* those without padding too */
	padding = 0;
	names_close(names);
}

static void test_no_folder(void **state)
{
	struct error error;

	(void)state;
	assert_null(names_open("/proc/nowhere/names", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_missing, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_not_committed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_pass_that_was_cut_off, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_torn_tail, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_many, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_tidy, make_dir, remove_dir),
		cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
