/* The backlog: keys rest after they were read, large ones longer; a moment ends when all that waited is taken. */
#include "source/backlog.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t now_us = 1000000;
static bool ready;

static uint64_t monotonic(void)
{
	return now_us;
}

static int64_t wall(void)
{
	return 0;
}

static void on_ready(void *owner)
{
	(void)owner;
	ready = true;
}

static void assert_next(struct backlog *backlog, const char *name)
{
	struct slice key;
	uint32_t db;

	if (!name) {
		assert_false(backlog_take(backlog, &db, &key));
		return;
	}
	assert_true(backlog_take(backlog, &db, &key));
	assert_true(slice_equal(key, slice_of_string(name)));
}

static void wait_ready(struct loop *loop)
{
	ready = false;
	assert_true(loop_run_until(loop, &ready, UINT64_MAX));
}

static void test_rest(void **state)
{
	const struct clock_source source = {monotonic, wall};
	struct loop *loop;
	struct backlog *backlog;

	(void)state;
	clock_use(&source);
	loop = loop_new();
	backlog = backlog_new(loop, 1 << 20, on_ready, NULL);
	assert_true(backlog_add(backlog, 0, SLICE("small")));
	assert_true(backlog_add(backlog, 0, SLICE("large")));
	assert_next(backlog, "small");
	assert_next(backlog, "large");
	backlog_rest(backlog, 0, SLICE("small"), 10);
	backlog_rest(backlog, 0, SLICE("large"), BACKLOG_BYTES); /* a second */
	assert_true(backlog_add(backlog, 0, SLICE("small")));
	assert_true(backlog_add(backlog, 0, SLICE("large")));
	assert_true(backlog_add(backlog, 1, SLICE("large"))); /* another database: another key */
	backlog_hold(backlog);
	assert_int_equal(backlog_awaited(backlog), 3);
	assert_true(backlog_add(backlog, 0, SLICE("later")));
	assert_next(backlog, "large");
	assert_next(backlog, "later");
	assert_next(backlog, NULL);
	assert_int_equal(backlog_awaited(backlog), 2);
	assert_true(backlog_add(backlog, 0, SLICE("small"))); /* told of again while it rests */
	now_us += 20000;
	wait_ready(loop);
	assert_next(backlog, "small");
	assert_next(backlog, NULL);
	assert_int_equal(backlog_awaited(backlog), 1);
	now_us += 1000000;
	wait_ready(loop);
	assert_next(backlog, "large");
	assert_int_equal(backlog_awaited(backlog), 0);
	assert_next(backlog, NULL);
	backlog_free(backlog);
	loop_free(loop);
	clock_use(NULL);
}

/* What does not fit is said, and nothing that was added is lost. */
static void test_full(void **state)
{
	struct loop *loop = loop_new();
	struct backlog *backlog = backlog_new(loop, 64 << 10, on_ready, NULL);
	char name[32];
	int count = 0, taken = 0;
	struct slice key;
	uint32_t db;

	(void)state;
	do
		snprintf(name, sizeof(name), "key:%d", count++);
	while (backlog_add(backlog, 0, slice_of_string(name)));
	for (int i = 0; i < count - 1; i++) {
		snprintf(name, sizeof(name), "key:%d", i);
		backlog_rest(backlog, 0, slice_of_string(name), BACKLOG_BYTES / 20);
	}
	while (taken < count - 1) {
		if (backlog_take(backlog, &db, &key))
			taken++;
		else
			wait_ready(loop);
	}
	assert_next(backlog, NULL);
	backlog_free(backlog);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
