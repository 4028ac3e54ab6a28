#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int signals_to_come;

/* In place of the C library's: a signal comes in between so many times. */
int fsync(int file)
{
	if (signals_to_come == 0)
		return fdatasync(file);
	signals_to_come--;
	errno = EINTR;
	return -1;
}

struct bench {
	char folder[64];
	char *path, *beside;
};

static int set_up(void **state)
{
	struct bench *bench = memory_alloc_zero(1, sizeof(*bench));

	snprintf(bench->folder, sizeof(bench->folder), "/tmp/keyferry-file.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	bench->path = memory_printf("%s/state", bench->folder);
	bench->beside = memory_printf("%s/state.new", bench->folder);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	unlink(bench->path);
	unlink(bench->beside);
	rmdir(bench->folder);
	free(bench->path);
	free(bench->beside);
	free(bench);
	return 0;
}

static void assert_content(const char *path, const char *expected)
{
	char text[64];
	int file = open(path, O_RDONLY);
	ssize_t got = read(file, text, sizeof(text) - 1);

	assert_true(got >= 0);
	close(file);
	text[got] = '\0';
	assert_string_equal(text, expected);
}

static void made_and_replaced(void **state)
{
	const struct bench *bench = *state;
	struct stat facts;

	assert_true(file_replace(bench->path, SLICE("the first content")));
	assert_content(bench->path, "the first content");
	assert_int_equal(stat(bench->path, &facts), 0);
	assert_int_equal(facts.st_mode & 0777, 0600);
	assert_true(file_replace(bench->path, SLICE("less")));
	assert_content(bench->path, "less");
	assert_true(file_replace(bench->path, slice_make(NULL, 0)));
	assert_content(bench->path, "");
	assert_int_equal(access(bench->beside, F_OK), -1);
}

/* Of a run that was killed: longer than the new content, and open to all. */
static void left_over(void **state)
{
	const struct bench *bench = *state;
	struct stat facts;
	int file = open(bench->beside, O_WRONLY | O_CREAT, 0600);

	assert_int_equal(write(file, "something long", 14), 14);
	assert_int_equal(fchmod(file, 0666), 0);
	close(file);
	assert_true(file_replace(bench->path, SLICE("short")));
	assert_content(bench->path, "short");
	assert_int_equal(stat(bench->path, &facts), 0);
	assert_int_equal(facts.st_mode & 0777, 0600);
}

static void no_folder(void **state)
{
	const struct bench *bench = *state;
	char *path = memory_printf("%s/none/state", bench->folder);

	errno = 0;
	assert_false(file_replace(path, SLICE("x")));
	assert_int_equal(errno, ENOENT);
	assert_false(file_sync_folder(path));
	assert_int_equal(errno, ENOENT);
	free(path);
}

/* A write that is cut short, as by a disk that fills up in the middle: the reason is told, and the old content counts. */
static void cut_short(void **state)
{
	const struct bench *bench = *state;
	struct rlimit before, limit;

	assert_true(file_replace(bench->path, SLICE("old")));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 4;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	errno = 0;
	assert_false(file_replace(bench->path, SLICE("more than fits")));
	assert_int_equal(errno, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_content(bench->path, "old");
}

static void a_signal_is_no_failure(void **state)
{
	const struct bench *bench = *state;

	signals_to_come = 3;
	assert_true(file_sync_folder(bench->path));
	assert_int_equal(signals_to_come, 0);
	signals_to_come = 3;
	assert_true(file_replace(bench->path, SLICE("x")));
	assert_int_equal(signals_to_come, 0);
	assert_false(file_sync(-1));
	assert_int_equal(errno, EBADF);
}

static void names_without_folder(void **state)
{
	(void)state;
	assert_true(file_sync_folder("name"));
	assert_true(file_sync_folder("/name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_and_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(left_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cut_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_signal_is_no_failure, set_up, tear_down),
		cmocka_unit_test(names_without_folder),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
