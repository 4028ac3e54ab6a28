/* What the test's own process takes. */
#include "base/process_stats.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_own(void **state)
{
	struct process_stats before = process_stats_read(), after;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	double now = (double)time(NULL);

	(void)state;
	after = process_stats_read();
	close(fd);
	assert_int_equal(after.open_fds, before.open_fds + 1);
	assert_true(after.max_fds >= after.open_fds);
	assert_int_equal(after.threads, 1);
	assert_true(after.resident_bytes > 100000 && after.virtual_bytes > after.resident_bytes);
	/* It was started within the last hour, and says so each time alike. */
	assert_true(after.start_time_seconds <= now + 1 && after.start_time_seconds > now - 3600);
	assert_true(after.start_time_seconds == before.start_time_seconds);
	assert_true(after.cpu_seconds >= before.cpu_seconds && after.cpu_seconds < 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_own)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
