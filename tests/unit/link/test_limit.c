/* The token bucket in made-up time. */
#include "link/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND 1000000ULL

/* Spends as fast as it may, `amount` at once, waiting as told; answers what was spent in `seconds`. */
static uint64_t spend(struct limit *limit, uint64_t amount, unsigned seconds)
{
	uint64_t start = 50 * SECOND, now = start, spent = 0;

	while (now < start + seconds * SECOND) {
		uint64_t wait = 0;

		if (limit_ready(limit, now, &wait)) {
			limit_spend(limit, amount);
			spent += amount;
		} else {
			assert_true(wait >= 1);
			now += wait * 1000;
		}
	}
	return spent;
}

static void test_unlimited(void **state)
{
	struct limit limit;
	uint64_t wait = 77;

	(void)state;
	limit_init(&limit, 0);
	for (int i = 0; i < 1000; i++) {
		assert_true(limit_ready(&limit, 1, &wait));
		limit_spend(&limit, UINT64_MAX / 2);
	}
	assert_int_equal(wait, 77);
}

static void test_rate_is_kept(void **state)
{
	static const uint64_t rates[] = {1, 7, 100, 5000, 1000000, 100000000};

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct limit limit;
		uint64_t spent;

		limit_init(&limit, rates[i]);
		spent = spend(&limit, rates[i] > 100000 ? 1000 : 1, 10);
		/* a tenth of a second's worth may come at once, at the start */
		assert_in_range(spent, rates[i] * 10 * 95 / 100, rates[i] * 10 * 103 / 100 + 1001);
	}
}

/* What is larger than the bucket is let through, and paid for. */
static void test_large_amounts(void **state)
{
	struct limit limit;
	uint64_t spent;

	(void)state;
	limit_init(&limit, 1000);
	spent = spend(&limit, 5000, 60);
	assert_in_range(spent, 55000, 66000);
}

/* A long pause saves up no more than the bucket holds. */
static void test_pause(void **state)
{
	struct limit limit;
	uint64_t wait, now = 10 * SECOND;
	int ready = 0;

	(void)state;
	limit_init(&limit, 100);
	assert_true(limit_ready(&limit, now, &wait));
	now += 3600 * SECOND;
	while (limit_ready(&limit, now, &wait)) {
		limit_spend(&limit, 1);
		ready++;
	}
	assert_int_equal(ready, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_rate_is_kept),
		cmocka_unit_test(test_large_amounts),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
