/* How much a flight may hold: against a server that takes so long for the way and so long for each command. */
#include "sink/flight_bound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define WINDOW_UNITS 32768
#define WINDOW_BYTES (8u << 20)

static void fly(struct flight_bound *bound, int flights, uint64_t way_us, uint64_t unit_ns)
{
	for (int i = 0; i < flights; i++)
		flight_bound_learn(bound, way_us + bound->units * unit_ns / 1000, true);
}

/* The share of the flights' time in which the server does nothing else, in percent. */
static uint64_t busy(const struct flight_bound *bound, uint64_t way_us, uint64_t unit_ns)
{
	uint64_t work = bound->units * unit_ns / 1000;

	return 100 * work / (way_us + work);
}

static void test_near(void **state)
{
	struct flight_bound bound;

	(void)state;
	flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
	assert_int_equal(bound.units, FLIGHT_UNITS_SHORT);
	assert_int_equal(bound.bytes, FLIGHT_BYTES_MAX);
	fly(&bound, 1000, 300, 1000);
	assert_int_equal(bound.units, FLIGHT_UNITS_SHORT);
	/* A server that is near and slow keeps nobody waiting for longer than it did. */
	fly(&bound, 1000, 300, 50000);
	assert_int_equal(bound.units, FLIGHT_UNITS_MAX);
	assert_int_equal(bound.bytes, FLIGHT_BYTES_MAX);
}

static void test_far(void **state)
{
	struct flight_bound bound;

	(void)state;
	flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
	fly(&bound, 20, 100000, 1000);
	/* All that there is room for, and a whole one beside it. */
	assert_int_equal(bound.units, WINDOW_UNITS / 8 * 3);
	assert_int_equal(bound.bytes, WINDOW_BYTES / 8 * 3);
	for (int i = 0; i < 1000; i++) {
		fly(&bound, 1, 100000, 1000);
		assert_true(bound.units >= WINDOW_UNITS / 8 * 3 / 2);
	}
	/* Flights that are not full say nothing of larger ones. */
	flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
	for (int i = 0; i < 100; i++)
		flight_bound_learn(&bound, 100000, false);
	assert_int_equal(bound.units, FLIGHT_UNITS_SHORT);
}

/* Commands that cost the server much: it is not blocked for most of the time. */
static void test_far_and_slow(void **state)
{
	static const uint64_t ways[] = {10000, 20000, 50000, 100000, 200000}, costs[] = {500, 1000, 5000, 20000, 100000};

	(void)state;
	for (size_t way = 0; way < 5; way++) {
		for (size_t cost = 0; cost < 5; cost++) {
			struct flight_bound bound;

			flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
			for (int i = 0; i < 500; i++) {
				fly(&bound, 1, ways[way], costs[cost]);
				if (bound.trial == FLIGHT_BOUND_KEPT && bound.units > FLIGHT_UNITS_MAX)
					assert_true(busy(&bound, ways[way], costs[cost]) <= 40);
			}
		}
	}
}

/* The target is near all of a sudden, or its commands have become expensive. */
static void test_changes(void **state)
{
	struct flight_bound bound;

	(void)state;
	flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
	fly(&bound, 100, 100000, 1000);
	assert_int_equal(bound.units, WINDOW_UNITS / 8 * 3);
	/* Some milliseconds are neither near nor far. */
	fly(&bound, 200, 100, 1000);
	assert_true(bound.units <= 4096);
	flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
	fly(&bound, 100, 100000, 1000);
	for (int i = 0; i < 200; i++)
		fly(&bound, 1, 100000, 50000);
	assert_true(bound.units <= 2048);
	/* And far again. */
	fly(&bound, 200, 100000, 1000);
	assert_true(bound.units >= WINDOW_UNITS / 8 * 3 / 2);
}

static void test_refused(void **state)
{
	struct flight_bound bound;

	(void)state;
	flight_bound_init(&bound, WINDOW_UNITS, WINDOW_BYTES);
	fly(&bound, 20, 100000, 1000);
	flight_bound_refused(&bound);
	assert_int_equal(bound.units, FLIGHT_UNITS_SHORT);
	assert_int_equal(bound.bytes, FLIGHT_BYTES_MAX);
	fly(&bound, 20, 100000, 1000);
	assert_int_equal(bound.units, WINDOW_UNITS / 8 * 3);
}

/* A small window: at least as it is without knowing anything. */
static void test_small_window(void **state)
{
	struct flight_bound bound;

	(void)state;
	flight_bound_init(&bound, 16, 1000);
	fly(&bound, 100, 100000, 1000);
	assert_int_equal(bound.units, FLIGHT_UNITS_MAX);
	assert_int_equal(bound.bytes, FLIGHT_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near),    cmocka_unit_test(test_far),     cmocka_unit_test(test_far_and_slow),
		cmocka_unit_test(test_changes), cmocka_unit_test(test_refused), cmocka_unit_test(test_small_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
