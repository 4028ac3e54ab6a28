/* A worker's log is turned when it is large, and only then. */
#include "cmd/log_file.h"

#include "base/memory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static int kept[2]; /* standard output and error of the test itself */

static char *path_of(const char *name)
{
	return memory_printf("%s/%s", folder, name);
}

static long size_of(const char *name)
{
	char *path = path_of(name);
	struct stat file;
	long size = stat(path, &file) == 0 ? (long)file.st_size : -1;

	free(path);
	return size;
}

static int set_up(void **state)
{
	char *path;
	int fd;

	(void)state;
	strcpy(folder, "/tmp/keyferry-log-XXXXXX");
	assert_non_null(mkdtemp(folder));
	path = path_of("log");
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	free(path);
	assert_true(fd >= 0);
	kept[0] = dup(STDOUT_FILENO);
	kept[1] = dup(STDERR_FILENO);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return 0;
}

static void put_back(void)
{
	dup2(kept[0], STDOUT_FILENO);
	dup2(kept[1], STDERR_FILENO);
	close(kept[0]);
	close(kept[1]);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"log", "log.1"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *path = path_of(names[i]);

		unlink(path);
		free(path);
	}
	return rmdir(folder);
}

static void say(size_t len)
{
	char *text = memory_alloc(len);

	memset(text, 'x', len);
	(void)!write(STDERR_FILENO, text, len);
	free(text);
}

static void test_turns(void **state)
{
	long first, old, second, third;

	(void)state;
	say(100);
	log_file_turn(folder, 100);
	first = size_of("log");
	old = size_of("log.1");
	say(1);
	log_file_turn(folder, 100);
	second = size_of("log");
	say(50);
	(void)!write(STDOUT_FILENO, "y", 1);
	say(100);
	log_file_turn(folder, 100);
	third = size_of("log.1");
	put_back();
	assert_int_equal(first, 100);
	assert_int_equal(old, -1);
	assert_int_equal(second, 0);
	/* The one before is gone, and nothing of this one is missing. */
	assert_int_equal(third, 151);
}

static void test_no_file(void **state)
{
	int null = open("/dev/null", O_WRONLY);
	long old;

	(void)state;
	dup2(null, STDERR_FILENO);
	close(null);
	log_file_turn(folder, 0);
	old = size_of("log.1");
	put_back();
	assert_int_equal(old, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
