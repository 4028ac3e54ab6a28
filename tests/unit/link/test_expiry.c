#include "link/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct expiry expiry;

static void begin(enum guard_form form, int64_t margin_ms, bool always)
{
	expiry_begin(&expiry,
		     &(struct expiry_plan){.form = form, .base = GUARD_KEY_BASE, .margin_ms = margin_ms, .always = always});
}

static enum guard_form look(bool caught_up, int64_t behind_ms, uint64_t decoded, uint64_t applied)
{
	enum guard_form before = expiry.times.form;
	bool changed = expiry_update(&expiry, &(struct expiry_view){caught_up, behind_ms, decoded, applied});

	assert_int_equal(changed, before != expiry.times.form);
	return expiry.times.form;
}

static void test_held_until_in_step(void **state)
{
	(void)state;
	begin(GUARD_HELD, 60000, false);
	assert_int_equal(look(false, -1, 10, 5), GUARD_HELD);
	assert_int_equal(look(false, 100, 20, 15), GUARD_HELD);
	assert_int_equal(look(true, 5000, 30, 15), GUARD_HELD);
	assert_int_equal(look(true, -1, 30, 15), GUARD_HELD);
	assert_int_equal(look(true, 2000, 100, 60), GUARD_LIVE);
	/* What was decoded before the switch has to be applied. */
	assert_false(expiry.ready);
	assert_int_equal(look(true, 100, 120, 99), GUARD_LIVE);
	assert_false(expiry.ready);
	assert_int_equal(look(true, 100, 130, 100), GUARD_LIVE);
	assert_true(expiry.ready);
}

static void test_held_again_when_behind(void **state)
{
	(void)state;
	begin(GUARD_HELD, 60000, false);
	assert_int_equal(look(true, 0, 10, 10), GUARD_LIVE);
	assert_int_equal(look(true, 30000, 10, 10), GUARD_LIVE);
	assert_true(expiry.ready);
	assert_int_equal(look(true, 30001, 10, 10), GUARD_HELD);
	assert_false(expiry.ready);
	assert_int_equal(look(true, 3000, 10, 10), GUARD_HELD);
	assert_int_equal(look(true, 1000, 20, 10), GUARD_LIVE);
	assert_int_equal(look(true, -1, 20, 10), GUARD_HELD);
	begin(GUARD_HELD, 0, false);
	assert_int_equal(look(true, 0, 10, 10), GUARD_LIVE);
	assert_int_equal(look(true, 3000, 10, 10), GUARD_LIVE);
	assert_int_equal(look(true, 3001, 10, 10), GUARD_HELD);
	/* A new generation. */
	assert_int_equal(look(true, 0, 10, 10), GUARD_LIVE);
	begin(GUARD_HELD, 0, false);
	assert_int_equal(look(false, 0, 10, 10), GUARD_HELD);
}

static void test_others(void **state)
{
	atomic_bool lost = false;

	(void)state;
	begin(GUARD_OFF, 0, false);
	assert_int_equal(look(true, 0, 10, 10), GUARD_OFF);
	begin(GUARD_HELD, 0, true);
	assert_int_equal(look(true, 0, 10, 10), GUARD_HELD);
	begin(GUARD_IMPORT, 0, false);
	expiry.plan.import_lost = &lost;
	assert_int_equal(look(true, 0, 10, 10), GUARD_IMPORT);
	atomic_store(&lost, true);
	assert_int_equal(look(true, 0, 10, 10), GUARD_HELD);
	assert_int_equal(look(true, 0, 10, 10), GUARD_LIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_until_in_step),
		cmocka_unit_test(test_held_again_when_behind),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
