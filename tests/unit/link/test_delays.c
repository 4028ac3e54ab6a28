/* Which bucket a delay is counted in, and what the lag gives it. */
#include "base/clock.h"
#include "link/lag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t counted(const struct delays *delays)
{
	uint64_t count = 0;

	for (unsigned i = 0; i <= DELAY_BOUNDS; i++)
		count += delays->counts[i];
	return count;
}

static void test_bounds(void **state)
{
	struct delays delays = {0};

	(void)state;
	for (unsigned i = 1; i < DELAY_BOUNDS; i++)
		assert_true(delay_bounds[i] > delay_bounds[i - 1]);
	/* A bound belongs to what is below it. */
	delays_add(&delays, 1);
	delays_add(&delays, 5);
	delays_add(&delays, 6);
	delays_add(&delays, INT64_MAX / 2);
	assert_int_equal(delays.counts[0], 1);
	assert_int_equal(delays.counts[2], 1);
	assert_int_equal(delays.counts[3], 1);
	assert_int_equal(delays.counts[DELAY_BOUNDS], 1);
}

static int64_t now_ms = 1000000;

static int64_t wall(void)
{
	return now_ms;
}

static uint64_t monotonic(void)
{
	return (uint64_t)now_ms * 1000;
}

static const struct clock_source owned = {monotonic, wall};

static void test_beats(void **state)
{
	struct slice argv[] = {SLICE("SETEX"), SLICE("DTS_REDIS_TIMESTAMP_HEARTBEAT"), SLICE("60"), SLICE("1000000")};
	struct event beat = {.kind = EVENT_COMMAND, .argc = 4, .argv = argv, .end = 50};
	struct delays delays = {0};
	struct lag lag;

	(void)state;
	lag_init(&lag, NULL, 5000, &delays);
	lag_note(&lag, &beat);
	now_ms += 40;
	lag_applied(&lag, 49, 49);
	assert_int_equal(counted(&delays), 0);
	lag_applied(&lag, 50, 50);
	assert_int_equal(counted(&delays), 1);
	assert_int_equal(delays.counts[5], 1); /* 0.025 < 0.04 <= 0.05 */
	assert_int_equal(delays.sum_ms, 40);
	/* Each beat once; and where beats come, samples tell nothing. */
	lag_applied(&lag, 60, 60);
	lag_sample(&lag, 60);
	assert_int_equal(counted(&delays), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds), cmocka_unit_test(test_beats)};

	clock_use(&owned);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
