/* What a cut-over says to the task's process: held by its lock, so that one that was killed says nothing. */
#include "control/cutover_file.h"

#include "base/memory.h"
#include "control/work_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char moment[CUTOVER_MOMENT_MAX];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/keyferry-cutover-XXXXXX");
	assert_non_null(mkdtemp(folder));
	return 0;
}

static int tear_down(void **state)
{
	char *path = memory_printf("%s/cutover", folder), *lock = memory_printf("%s/lock", folder);

	(void)state;
	unlink(path);
	unlink(lock);
	free(path);
	free(lock);
	return rmdir(folder);
}

static void test_stages(void **state)
{
	struct error error;
	struct cutover_file *file;

	(void)state;
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_NONE);
	file = cutover_file_open(folder, &error);
	assert_non_null(file);
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_UNDER_WAY);
	assert_null(cutover_file_open(folder, &error));
	assert_int_equal(error.kind, ERROR_BUSY);
	assert_true(cutover_file_end(file, &error));
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_ENDING);
	/* Rolled back: nothing is left. */
	cutover_file_close(file);
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_NONE);
	file = cutover_file_open(folder, &error);
	assert_non_null(file);
	assert_true(cutover_file_end(file, &error));
	assert_true(cutover_file_done(file, "2026-03-01T12:34:56.789Z", &error));
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_DONE);
	cutover_file_close(file);
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_DONE);
	assert_string_equal(moment, "2026-03-01T12:34:56.789Z");
}

static void test_killed(void **state)
{
	struct cutover_file *file;
	struct error error;
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		file = cutover_file_open(folder, &error);
		_exit(file && cutover_file_end(file, &error) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* It is there, and nobody means it any more. */
	assert_int_equal(cutover_file_read(folder, moment), CUTOVER_NONE);
	file = cutover_file_open(folder, &error);
	assert_non_null(file);
	cutover_file_close(file);
}

static void test_no_folder(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(cutover_file_read("/nonexistent/folder", moment), CUTOVER_NONE);
	assert_null(cutover_file_open("/nonexistent/folder", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
}

/* Whether a task is run there: asked without getting in its way. */
static void test_holder(void **state)
{
	char holder[32], own[32];
	struct error error;
	struct work_dir *dir;

	(void)state;
	assert_false(work_dir_is_held(folder, holder));
	dir = work_dir_open(folder, &error);
	assert_non_null(dir);
	assert_true(work_dir_is_held(folder, holder));
	snprintf(own, sizeof(own), "%ld", (long)getpid());
	assert_string_equal(holder, own);
	work_dir_close(dir);
	assert_false(work_dir_is_held(folder, holder));
	dir = work_dir_open(folder, &error);
	assert_non_null(dir);
	work_dir_close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_holder, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
