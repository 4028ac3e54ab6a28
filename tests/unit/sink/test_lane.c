/* Lanes: held and released in any order, and how long a slot waits. */
#include "sink/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(const struct lanes *lanes)
{
	uint32_t held = 0;

	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		held += lanes->of_slot[slot] != NULL;
	assert_int_equal(held, lanes->held_count);
	for (uint32_t i = 0; i < lanes->held_count; i++) {
		assert_int_equal(lanes->held[i]->index, i);
		assert_ptr_equal(lanes_find(lanes, lanes->held[i]->slot), lanes->held[i]);
	}
}

static void test_hold_and_release(void **state)
{
	static struct lanes lanes;
	uint32_t random = 7;

	(void)state;
	assert_null(lanes_find(&lanes, 5));
	assert_ptr_equal(lanes_hold(&lanes, 5), lanes_hold(&lanes, 5));
	lanes_release(&lanes, lanes_find(&lanes, 5));
	assert_null(lanes_find(&lanes, 5));
	for (int i = 0; i < 20000; i++) {
		uint16_t slot;

		random = random * 1103515245 + 12345;
		slot = (uint16_t)(random >> 16 & 0xff);
		if (lanes_find(&lanes, slot))
			lanes_release(&lanes, lanes_find(&lanes, slot));
		else
			assert_int_equal(lanes_hold(&lanes, slot)->slot, slot);
		if (i % 500 == 0)
			check(&lanes);
	}
	lanes_free(&lanes);
	assert_int_equal(lanes.held_count, 0);
	check(&lanes);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		lanes_hold(&lanes, (uint16_t)slot);
	check(&lanes);
	lanes_free(&lanes);
}

static void test_back_off(void **state)
{
	struct lane lane = {0};
	uint32_t expected = 50;

	(void)state;
	for (int i = 0; i < 12; i++) {
		lane_back_off(&lane, 50, 1000000);
		assert_int_equal(lane.backoff_ms, expected);
		assert_int_equal(lane.retry_at_us, 1000000 + expected * 1000);
		expected = expected * 2 > 2000 ? 2000 : expected * 2;
	}
	lane.backoff_ms = 0; /* it went well once */
	lane_back_off(&lane, 10, 0);
	assert_int_equal(lane.retry_at_us, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hold_and_release),
		cmocka_unit_test(test_back_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
