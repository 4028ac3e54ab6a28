/* Trends: buckets and their means, bounds, clocks that are put back, minutes from and for the store. */
#include "service/trend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOON INT64_C(1767355200) /* a whole minute */

static struct trend *trend;

static int set_up(void **state)
{
	(void)state;
	trend = trend_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trend_free(trend);
	return 0;
}

static void take(int64_t at_s, double lag, double commands)
{
	double values[TREND_VALUES] = {[TREND_LAG] = lag,
				       [TREND_COMMANDS] = commands,
				       [TREND_BYTES] = 2 * commands,
				       [TREND_SPOOL] = 3,
				       [TREND_PROGRESS] = (double)NAN};

	trend_take(trend, at_s * 1000, values);
}

/* A column as text: "1 2.5 null". */
static void expect(const char *span, int64_t now_s, const char *column, const char *wanted)
{
	json_t *tree = trend_tree(trend, span, now_s * 1000), *values = json_object_get(tree, column), *value;
	char text[4096] = "";
	size_t i;

	json_array_foreach (values, i, value) {
		size_t len = strlen(text);

		if (json_is_null(value))
			snprintf(text + len, sizeof(text) - len, "%snull", i ? " " : "");
		else
			snprintf(text + len, sizeof(text) - len, "%s%.10g", i ? " " : "",
				 json_number_value(value) - (strcmp(column, "time") == 0 ? (double)NOON : 0));
	}
	json_decref(tree);
	assert_string_equal(text, wanted);
}

static size_t length(const char *span, int64_t now_s)
{
	json_t *tree = trend_tree(trend, span, now_s * 1000);
	size_t len = json_array_size(json_object_get(tree, "time"));

	json_decref(tree);
	return len;
}

static void test_buckets(void **state)
{
	(void)state;
	take(NOON + 1, 0.5, 10);
	take(NOON + 2, 2, 20);
	take(NOON + 4, 1, 60);
	take(NOON + 5, (double)NAN, 7);
	take(NOON + 12, 0.25, 1);
	expect("15m", NOON + 12, "time", "0 5 10");
	expect("15m", NOON + 12, "lag_seconds", "2 null 0.25");
	expect("15m", NOON + 12, "commands_per_second", "30 7 1");
	expect("15m", NOON + 12, "bytes_per_second", "60 14 2");
	expect("15m", NOON + 12, "spool_bytes", "3 3 3");
	expect("15m", NOON + 12, "progress", "null null null");
	/* The minute that is not over is there, and known where one of its samples is. */
	expect("1h", NOON + 12, "time", "0");
	expect("1h", NOON + 12, "lag_seconds", "2");
	take(NOON + 60, 4, 1);
	expect("24h", NOON + 60, "lag_seconds", "2 4");
}

static void test_nothing(void **state)
{
	json_t *tree = trend_tree(NULL, "24h", NOON * 1000);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(tree, "time")), 0);
	assert_int_equal(json_array_size(json_object_get(tree, "progress")), 0);
	json_decref(tree);
	assert_true(trend_is_span("1h"));
	assert_false(trend_is_span("2h"));
}

static void test_bounds(void **state)
{
	int64_t end = NOON + 30 * 3600;

	(void)state;
	for (int64_t at = NOON; at < end; at += 5)
		take(at, 1, 1);
	assert_int_equal(length("15m", end), 15 * 60 / 5);
	assert_int_equal(length("1h", end), 60);
	assert_int_equal(length("24h", end), 24 * 60);
	/* What is older than its span is not told, though it is kept until something newer comes. */
	assert_int_equal(length("15m", end + 900), 0);
	assert_int_equal(length("24h", end + 86400), 0);
}

static void test_clock_put_back(void **state)
{
	(void)state;
	for (int64_t at = NOON; at < NOON + 600; at++)
		take(at, 1, 1);
	take(NOON + 130, 9, 1);
	expect("1h", NOON + 130, "time", "0 60 120");
	expect("1h", NOON + 130, "lag_seconds", "1 1 9");
	take(NOON - 3600, 5, 1);
	expect("24h", NOON, "time", "-3600");
}

static void test_stored(void **state)
{
	struct store_trend minute;
	struct trend *next;

	(void)state;
	take(NOON, 1, 1);
	assert_false(trend_unstored(trend, &minute));
	take(NOON + 60, 2, 1);
	take(NOON + 120, 3, 1);
	next = trend_new();
	for (int i = 0; i < 2; i++) {
		assert_true(trend_unstored(trend, &minute));
		assert_int_equal(minute.at_s, NOON + 60 * i);
		assert_true(minute.values[TREND_LAG] == 1 + i);
		trend_put_back(next, &minute);
		trend_stored(trend);
	}
	assert_false(trend_unstored(trend, &minute));
	trend_close_minute(trend);
	assert_true(trend_unstored(trend, &minute));
	assert_int_equal(minute.at_s, NOON + 120);
	trend_put_back(next, &minute);
	/* The daemon after it: goes on in the same minute, whose first half it has not seen. */
	trend_free(trend);
	trend = next;
	assert_false(trend_unstored(trend, &minute));
	expect("1h", NOON + 130, "lag_seconds", "1 2 3");
	take(NOON + 140, 7, 1);
	expect("1h", NOON + 140, "lag_seconds", "1 2 7");
	/* The quarter shows minutes of before, up to where it has something finer. */
	expect("15m", NOON + 140, "time", "0 60 140");
	take(NOON + 180, 1, 1);
	assert_true(trend_unstored(trend, &minute));
	assert_int_equal(minute.at_s, NOON + 120);
}

static void test_clock_put_back_before_it_is_stored(void **state)
{
	struct store_trend minute;

	(void)state;
	for (int i = 0; i < 5; i++)
		take(NOON + 60 * i, 1, 1);
	take(NOON, 1, 1);
	assert_false(trend_unstored(trend, &minute));
	take(NOON + 60, 1, 1);
	assert_true(trend_unstored(trend, &minute));
	trend_stored(trend);
	assert_false(trend_unstored(trend, &minute));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_buckets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_put_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_put_back_before_it_is_stored, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
