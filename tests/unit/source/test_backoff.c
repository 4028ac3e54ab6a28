#include "source/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_doubles_to_the_bound(void **state)
{
	struct backoff backoff;
	uint32_t middle = 100;

	(void)state;
	backoff_init(&backoff, 100, 10000, 42);
	for (int i = 0; i < 20; i++) {
		uint32_t delay = backoff_next(&backoff);

		assert_in_range(delay, middle * 7 / 10, middle * 13 / 10);
		middle = middle * 2 > 10000 ? 10000 : middle * 2;
	}
	backoff_reset(&backoff);
	assert_in_range(backoff_next(&backoff), 70, 130);
}

/* Two that lost the same peer at the same time do not come back in step, and the whole range is used. */
static void test_spreads(void **state)
{
	struct backoff one, other;
	uint32_t low = UINT32_MAX, high = 0;
	int same = 0;

	(void)state;
	backoff_init(&one, 1000, 1000, 1);
	backoff_init(&other, 1000, 1000, 2);
	for (int i = 0; i < 1000; i++) {
		uint32_t delay = backoff_next(&one);

		same += delay == backoff_next(&other);
		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
	}
	assert_in_range(same, 0, 100);
	assert_in_range(low, 700, 720);
	assert_in_range(high, 1280, 1300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_to_the_bound),
		cmocka_unit_test(test_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
