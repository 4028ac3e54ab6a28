/* Lines that repeat are counted, and so are those that come too fast; nothing is dropped without being told. */
#include "base/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000u

static struct log_limit limit;

static bool pass(const char *text, uint64_t now)
{
	return log_limit_pass(&limit, 1, "source", "a:1", text, now);
}

static void test_repeats(void **state)
{
	struct log_due due;

	(void)state;
	log_limit_init(&limit, 0);
	assert_true(pass("lost", 0));
	assert_false(pass("lost", SECOND));
	assert_false(pass("lost", 2 * SECOND));
	/* Another link, part, level, or text: not the same line. */
	assert_true(log_limit_pass(&limit, 1, "source", "b:1", "lost", 2 * SECOND));
	assert_true(log_limit_pass(&limit, 1, "verify", "a:1", "lost", 2 * SECOND));
	assert_true(log_limit_pass(&limit, 2, "source", "a:1", "lost", 2 * SECOND));
	assert_true(pass("found", 2 * SECOND));
	assert_false(log_limit_due(&limit, 29 * SECOND, false, &due));
	assert_true(log_limit_due(&limit, 31 * SECOND, false, &due));
	assert_string_equal(due.text, "lost (2 times more in 31 s)");
	assert_string_equal(due.label, "source");
	assert_string_equal(due.link, "a:1");
	assert_string_equal(due.kind, "log_repeated");
	assert_int_equal(due.count, 2);
	assert_false(log_limit_due(&limit, 31 * SECOND, false, &due));
	/* It keeps coming: a line in each span. */
	assert_false(pass("lost", 40 * SECOND));
	assert_false(log_limit_due(&limit, 60 * SECOND, false, &due));
	assert_true(log_limit_due(&limit, 61 * SECOND, false, &due));
	assert_string_equal(due.text, "lost (1 time more in 30 s)");
	/* It has stopped, and comes again much later: said at once. */
	assert_true(pass("lost", 120 * SECOND));
	assert_int_equal(limit.left_out, 3);
}

static void test_end_tells_all(void **state)
{
	struct log_due due;

	(void)state;
	log_limit_init(&limit, 0);
	assert_true(pass("lost", 0));
	assert_false(pass("lost", SECOND));
	assert_true(log_limit_due(&limit, 2 * SECOND, true, &due));
	assert_string_equal(due.text, "lost (1 time more in 2 s)");
	assert_false(log_limit_due(&limit, 2 * SECOND, true, &due));
}

/* More different lines than are remembered: they are written, not mixed up, and no count is lost. */
static void test_many_different(void **state)
{
	struct log_due due;
	char text[32];

	(void)state;
	log_limit_init(&limit, 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2 * LOG_REPEATS; i++) {
			snprintf(text, sizeof(text), "line %d", i);
			assert_int_equal(pass(text, (uint64_t)round * SECOND), round == 0 || i >= LOG_REPEATS);
		}
	}
	for (int i = 0; i < LOG_REPEATS; i++)
		assert_true(log_limit_due(&limit, 40 * SECOND, false, &due));
	assert_false(log_limit_due(&limit, 40 * SECOND, false, &due));
}

static void test_rate(void **state)
{
	struct log_due due;
	char text[32];
	int written = 0;

	(void)state;
	log_limit_init(&limit, 0);
	for (int i = 0; i < 10 * LOG_BURST; i++) {
		snprintf(text, sizeof(text), "key %d", i);
		written += pass(text, 0);
	}
	assert_int_equal(written, LOG_BURST);
	/* A flood of one level does not hide another one. */
	assert_true(log_limit_pass(&limit, 3, "", "", "error", 0));
	assert_false(log_limit_due(&limit, 0, false, &due));
	assert_true(log_limit_due(&limit, SECOND, false, &due));
	assert_int_equal(due.count, 9 * LOG_BURST);
	assert_string_equal(due.kind, "log_suppressed");
	assert_int_equal(due.level, 1);
	assert_false(log_limit_due(&limit, SECOND, false, &due));
	for (written = 0; pass((snprintf(text, sizeof(text), "again %d", written), text), SECOND); written++)
		;
	assert_int_equal(written, LOG_PER_SECOND - 1); /* one was the line that told */
	assert_true(log_limit_due(&limit, SECOND, true, &due));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_end_tells_all),
		cmocka_unit_test(test_many_different),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
