/* Suspects: each key once, names that come later, and when a difference is proven. */
#include "verify/suspects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_unite(void **state)
{
	const struct slice none = {0};
	struct suspects suspects = {0};

	(void)state;
	suspects_add(&suspects, 1, SLICE("b"), 1, SLICE("b"));
	suspects_add(&suspects, 0, SLICE("b"), 0, none);
	suspects_add(&suspects, 0, SLICE("a"), 0, SLICE("x"));
	suspects_add(&suspects, 0, SLICE("ab"), 0, SLICE("ab"));
	suspects_add(&suspects, 0, SLICE("b"), 0, SLICE("b"));
	suspects_add(&suspects, 0, SLICE(""), 0, SLICE(""));
	suspects_unite(&suspects);
	assert_int_equal(suspects.count, 5);
	assert_int_equal(suspects.items[0]->source_key.len, 0);
	assert_non_null(suspects.items[0]->target_key.data);
	assert_true(slice_equal(suspects.items[1]->source_key, SLICE("a")));
	assert_true(slice_equal(suspects.items[2]->source_key, SLICE("ab")));
	assert_true(slice_equal(suspects.items[3]->source_key, SLICE("b")));
	assert_int_equal(suspects.items[4]->source_db, 1);
	suspects_free(&suspects);
	suspects_unite(&suspects);
	assert_int_equal(suspects.count, 0);
}

static void test_names_and_sweep(void **state)
{
	const struct slice none = {0};
	struct suspects suspects = {0};
	uint64_t bytes;

	(void)state;
	suspects_add(&suspects, 3, SLICE("one"), 3, none);
	suspects_add(&suspects, 3, SLICE("two"), 3, SLICE("2"));
	assert_null(suspects.items[0]->target_key.data);
	suspects_name(&suspects, 0, 7, SLICE("a new name"));
	assert_true(slice_equal(suspects.items[0]->source_key, SLICE("one")));
	assert_true(slice_equal(suspects.items[0]->target_key, SLICE("a new name")));
	assert_int_equal(suspects.items[0]->target_db, 7);
	bytes = suspects.bytes;
	suspects.items[0]->over = true;
	suspects_sweep(&suspects);
	assert_int_equal(suspects.count, 1);
	assert_true(slice_equal(suspects.items[0]->source_key, SLICE("two")));
	assert_int_equal(bytes - suspects.bytes, sizeof(struct suspect) + strlen("one") + strlen("a new name") + 1);
	suspects_free(&suspects);
}

/* Rounds: what the quick look said, then what the sure one says of source and target. */
static uint32_t rounds_to_prove(const uint64_t (*rounds)[3], uint32_t count)
{
	struct suspect suspect = {0};

	for (uint32_t i = 0; i < count; i++) {
		suspect.source_print = rounds[i][0];
		suspect_confirm(&suspect, rounds[i][1], rounds[i][2]);
		if (suspect.proven)
			return i + 1;
	}
	return 0;
}

static void test_proof(void **state)
{
	static const uint64_t still[][3] = {{5, 5, 9}, {5, 5, 9}};
	static const uint64_t touched[][3] = {{5, 6, 9}, {7, 8, 9}, {9, 1, 9}, {3, 4, 9}};
	static const uint64_t between[][3] = {{5, 5, 9}, {5, 6, 9}, {5, 5, 9}};
	static const uint64_t counting[][3] = {{1, 1, 11}, {2, 2, 12}, {3, 3, 13}};
	/* A lock that is there now and then: the target was met with it once. */
	static const uint64_t lock[][3] = {{5, 5, 9}, {5, 6, 5}};

	(void)state;
	assert_int_equal(rounds_to_prove(still, 2), 2);
	assert_int_equal(rounds_to_prove(touched, 4), 0);
	assert_int_equal(rounds_to_prove(between, 3), 3);
	assert_int_equal(rounds_to_prove(counting, 3), 3);
	assert_int_equal(rounds_to_prove(lock, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unite),
		cmocka_unit_test(test_names_and_sweep),
		cmocka_unit_test(test_proof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
