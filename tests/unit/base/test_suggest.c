#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static size_t distance(const char *a, const char *b)
{
	size_t there = suggest_distance(slice_of_string(a), slice_of_string(b));

	assert_int_equal(there, suggest_distance(slice_of_string(b), slice_of_string(a)));
	return there;
}

static void distances_count_edits(void **state)
{
	(void)state;
	assert_int_equal(distance("", ""), 0);
	assert_int_equal(distance("abc", ""), 3);
	assert_int_equal(distance("source", "source"), 0);
	assert_int_equal(distance("sorce", "source"), 1);
	assert_int_equal(distance("adress", "address"), 1);
	assert_int_equal(distance("snyc", "sync"), 1); /* neighbours swapped */
	assert_int_equal(distance("ca", "abc"), 3);    /* a swapped pair is not edited again */
	assert_int_equal(distance("kitten", "sitting"), 3);
}

static void long_words_are_near_to_nothing(void **state)
{
	static const char longest[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	(void)state;
	assert_int_equal(sizeof(longest) - 1, SUGGEST_WORD_MAX);
	assert_int_equal(suggest_distance(slice_of_string(longest), SLICE("")), SUGGEST_WORD_MAX);
	assert_true(suggest_distance(slice_make("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 65),
				     SLICE("a")) == SIZE_MAX);
}

static void the_nearest_name_is_found(void **state)
{
	static const char *const names[] = {"sync", "rdb", "help", "version"};

	(void)state;
	assert_string_equal(suggest_nearest(SLICE("snyc"), names, 4), "sync");
	assert_string_equal(suggest_nearest(SLICE("verson"), names, 4), "version");
	assert_string_equal(suggest_nearest(SLICE("hlep"), names, 4), "help");
	assert_null(suggest_nearest(SLICE("frobnicate"), names, 4));
	assert_null(suggest_nearest(SLICE("x"), names, 4));
	assert_null(suggest_nearest(SLICE(""), names, 4));
	assert_null(suggest_nearest(SLICE("sync"), names, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances_count_edits),
		cmocka_unit_test(long_words_are_near_to_nothing),
		cmocka_unit_test(the_nearest_name_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
