/* Rates over the last readings, in made-up time. */
#include "control/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND 1000000ULL

static void test_too_few(void **state)
{
	struct rate rate = {0};

	(void)state;
	assert_true(rate_per_second(&rate) == 0);
	rate_sample(&rate, 1000, SECOND);
	assert_true(rate_per_second(&rate) == 0);
	rate_sample(&rate, 2000, SECOND); /* no time has passed */
	assert_true(rate_per_second(&rate) == 0);
}

static void test_steady(void **state)
{
	struct rate rate = {0};

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		rate_sample(&rate, i * 500, i * SECOND / 2);
		if (i > 0)
			assert_true(rate_per_second(&rate) > 999.9 && rate_per_second(&rate) < 1000.1);
	}
}

/* What is older than the readings kept does not count. */
static void test_only_the_last(void **state)
{
	struct rate rate = {0};
	uint64_t now = 0;

	(void)state;
	rate_sample(&rate, 0, now);
	rate_sample(&rate, 1000000000, now += SECOND);
	for (int i = 0; i < RATE_SAMPLES; i++)
		rate_sample(&rate, 1000000000, now += SECOND);
	assert_true(rate_per_second(&rate) == 0);
	rate_sample(&rate, 1000000000 + (RATE_SAMPLES - 1) * 10, now += SECOND);
	assert_true(rate_per_second(&rate) > 9.99 && rate_per_second(&rate) < 10.01);
}

/* A counter that begins anew (a full resync) is no negative rate. */
static void test_counter_falls(void **state)
{
	struct rate rate = {0};

	(void)state;
	rate_sample(&rate, 5000, SECOND);
	rate_sample(&rate, 100, 2 * SECOND);
	assert_true(rate_per_second(&rate) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_few),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_only_the_last),
		cmocka_unit_test(test_counter_falls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
