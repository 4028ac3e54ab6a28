#include "source/samples.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void add(struct samples *samples, uint64_t number, int64_t offset)
{
	const struct sample sample = {.number = number,
				      .offset = offset,
				      .wall_ms = (int64_t)number * 1000,
				      .at_us = number * 1000000,
				      .answered_us = number * 1000000 + 1};

	samples_add(samples, &sample);
}

static void test_look_up(void **state)
{
	struct samples *samples = memory_alloc_zero(1, sizeof(*samples));

	(void)state;
	assert_null(samples_last(samples));
	assert_null(samples_at_offset(samples, 5));
	assert_null(samples_after(samples, 0));
	add(samples, 1, 100);
	add(samples, 2, 200);
	add(samples, 3, 200); /* idle: the later time counts */
	add(samples, 5, 350);
	assert_int_equal(samples_last(samples)->offset, 350);
	assert_null(samples_at_offset(samples, 99));
	assert_int_equal(samples_at_offset(samples, 100)->wall_ms, 1000);
	assert_int_equal(samples_at_offset(samples, 199)->wall_ms, 1000);
	assert_int_equal(samples_at_offset(samples, 200)->wall_ms, 3000);
	assert_int_equal(samples_at_offset(samples, 349)->wall_ms, 3000);
	assert_int_equal(samples_at_offset(samples, INT64_MAX)->wall_ms, 5000);
	assert_int_equal(samples_after(samples, 0)->offset, 100);
	assert_int_equal(samples_after(samples, 1)->offset, 200);
	assert_int_equal(samples_after(samples, 3)->offset, 350);
	assert_int_equal(samples_after(samples, 4)->offset, 350);
	assert_null(samples_after(samples, 5));
	free(samples);
}

static void test_fences(void **state)
{
	struct samples *samples = memory_alloc_zero(1, sizeof(*samples));

	(void)state;
	assert_null(samples_reaching(samples, 0));
	assert_null(samples_since(samples, 0));
	add(samples, 1, 100);
	add(samples, 2, 200);
	add(samples, 3, 200); /* idle: it came there at 2, and was asked last at 3 */
	add(samples, 5, 350);
	assert_int_equal(samples_reaching(samples, 0)->offset, 100);
	assert_int_equal(samples_reaching(samples, 100)->offset, 100);
	assert_int_equal(samples_reaching(samples, 101)->offset, 200);
	assert_int_equal(samples_reaching(samples, 101)->answered_us, 2000001);
	assert_int_equal(samples_reaching(samples, 350)->offset, 350);
	assert_null(samples_reaching(samples, 351));
	assert_int_equal(samples_since(samples, 0)->offset, 100);
	assert_int_equal(samples_since(samples, 1000000)->offset, 100);
	assert_int_equal(samples_since(samples, 1000001)->offset, 200);
	assert_int_equal(samples_since(samples, 3000001)->offset, 350);
	assert_null(samples_since(samples, 5000001));
	free(samples);
}

static void test_another_history(void **state)
{
	struct samples *samples = memory_alloc_zero(1, sizeof(*samples));

	(void)state;
	add(samples, 1, 100);
	add(samples, 2, 200);
	add(samples, 3, 50);
	assert_null(samples_at_offset(samples, 49));
	assert_int_equal(samples_at_offset(samples, 200)->wall_ms, 3000);
	free(samples);
}

/* A source that comes back with less than it had, and is beyond it when it is sampled next. */
static void test_history_told_by_its_id(void **state)
{
	struct samples *samples = memory_alloc_zero(1, sizeof(*samples));

	(void)state;
	samples_enter(samples, "one", "", -1);
	add(samples, 1, 100);
	add(samples, 2, 200);
	samples_enter(samples, "two", "one", 150);
	add(samples, 4, 250);
	assert_int_equal(samples_reaching(samples, 100)->number, 1);
	assert_int_equal(samples_reaching(samples, 101)->number, 4); /* 200 was another one's */
	samples_enter(samples, "two", "one", 150);
	assert_int_equal(samples_reaching(samples, 250)->number, 4);
	samples_enter(samples, "three", "nobody", 300);
	assert_null(samples_last(samples));
	add(samples, 5, 260);
	assert_int_equal(samples_reaching(samples, 1)->number, 5);
	/* All of it is shared. */
	samples_enter(samples, "four", "three", 260);
	assert_int_equal(samples_last(samples)->number, 5);
	/* Nothing of it. */
	samples_enter(samples, "five", "four", 259);
	assert_null(samples_last(samples));
	free(samples);
}

/* Days of samples: the recent ones are all there, and no moment is farther from a sample than a small part of its age. */
static void test_bounded(void **state)
{
	const uint64_t count = 300000;
	struct samples *samples = memory_alloc_zero(1, sizeof(*samples));

	(void)state;
	for (uint64_t i = 1; i <= count; i++)
		add(samples, i, (int64_t)i * 10);
	assert_in_range(samples->count, SAMPLES_MAX / 2, SAMPLES_MAX);
	for (uint64_t i = count - SAMPLES_MAX / 4; i <= count; i++)
		assert_int_equal(samples_at_offset(samples, (int64_t)i * 10)->number, i);
	for (size_t i = 1; i < samples->count; i++) {
		assert_true(samples->samples[i].offset > samples->samples[i - 1].offset);
		assert_true(samples->samples[i].number > samples->samples[i - 1].number);
	}
	free(samples);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look_up),         cmocka_unit_test(test_fences),
		cmocka_unit_test(test_another_history), cmocka_unit_test(test_history_told_by_its_id),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
