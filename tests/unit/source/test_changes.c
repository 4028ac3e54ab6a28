/* The set of changed keys: each once, in order, with its mark, within its bound; against a plain list as oracle. */
#include "source/changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static enum changes_answer add(struct changes *changes, uint32_t db, const char *key, uint32_t mark)
{
	return changes_add(changes, db, slice_of_string(key), mark);
}

static void assert_takes(struct changes *changes, uint32_t db, const char *key, uint32_t mark)
{
	uint32_t got_db, got_mark;
	struct slice got;

	assert_true(changes_take(changes, &got_db, &got, &got_mark));
	assert_int_equal(got_db, db);
	assert_int_equal(got_mark, mark);
	assert_true(slice_equal(got, slice_of_string(key)));
}

static void test_each_once_in_order(void **state)
{
	struct changes *changes = changes_new(0);
	uint32_t db, mark;
	struct slice key;

	(void)state;
	assert_int_equal(add(changes, 0, "a", 1), CHANGES_ADDED);
	assert_int_equal(add(changes, 0, "b", 1), CHANGES_ADDED);
	assert_int_equal(add(changes, 1, "a", 2), CHANGES_ADDED); /* another database, another key */
	assert_int_equal(add(changes, 0, "a", 3), CHANGES_KNOWN);
	assert_int_equal(add(changes, 0, "", 3), CHANGES_ADDED);
	assert_int_equal(changes_count(changes), 4);
	assert_true(changes_holds(changes, 1, SLICE("a")));
	assert_false(changes_holds(changes, 1, SLICE("b")));
	assert_takes(changes, 0, "a", 1); /* the first mark counts */
	assert_false(changes_holds(changes, 0, SLICE("a")));
	assert_int_equal(add(changes, 0, "a", 4), CHANGES_ADDED); /* taken: waits again */
	assert_takes(changes, 0, "b", 1);
	assert_takes(changes, 1, "a", 2);
	assert_takes(changes, 0, "", 3);
	assert_takes(changes, 0, "a", 4);
	assert_false(changes_take(changes, &db, &key, &mark));
	changes_free(changes);
}

static void test_bound(void **state)
{
	struct changes *changes = changes_new(64 << 10);
	char key[32];
	int count = 0;

	(void)state;
	do
		snprintf(key, sizeof(key), "key:%d", count++);
	while (add(changes, 0, key, 0) == CHANGES_ADDED);
	assert_in_range(count, 500, 3000);
	assert_int_equal(add(changes, 0, "key:0", 0), CHANGES_KNOWN); /* what waits already costs nothing */
	assert_takes(changes, 0, "key:0", 0);
	assert_int_equal(add(changes, 0, "short", 0), CHANGES_ADDED);
	changes_free(changes);
}

/* A few names, added and taken at random: as a list of them would have it. */
static void test_against_a_list(void **state)
{
	enum { NAMES = 700 };
	struct changes *changes = changes_new(1 << 20);
	static int list[NAMES];
	static bool waits[NAMES];
	int first = 0, count = 0;
	unsigned random = 7;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		char key[32];
		int name;

		random = random * 1103515245 + 12345;
		name = (int)(random >> 8) % NAMES;
		snprintf(key, sizeof(key), "%d", name);
		if ((random >> 4) % (i / 1000 % 2 ? 3 : 2)) {
			assert_int_equal(add(changes, 0, key, 0), waits[name] ? CHANGES_KNOWN : CHANGES_ADDED);
			if (!waits[name])
				list[(first + count++) % NAMES] = name;
			waits[name] = true;
		} else if (count > 0) {
			snprintf(key, sizeof(key), "%d", list[first]);
			assert_takes(changes, 0, key, 0);
			waits[list[first]] = false;
			first = (first + 1) % NAMES;
			count--;
		}
		assert_int_equal(changes_count(changes), count);
	}
	changes_free(changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once_in_order),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_against_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
