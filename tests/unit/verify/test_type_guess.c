/* Guesses: learned by the shapes of names, and given up where they were wrong. */
#include "verify/type_guess.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct type_guesses guesses;

static struct slice name_of(const char *prefix, int number, char out[64])
{
	return slice_make(out, (size_t)snprintf(out, 64, "%s%d", prefix, number));
}

static int begin(void **state)
{
	(void)state;
	memset(&guesses, 0, sizeof(guesses));
	return 0;
}

static void learn(const char *prefix, const char *type, int times)
{
	char text[64];

	for (int i = 0; i < times; i++)
		type_guess_learn(&guesses, name_of(prefix, 1000 + 7 * i, text), slice_of_string(type));
}

static void assert_guess(const char *key, const char *type)
{
	struct slice guess = type_guess(&guesses, slice_of_string(key));

	assert_true(slice_equal(guess, slice_of_string(type)));
}

static void test_shapes(void **state)
{
	(void)state;
	assert_guess("cart:17", "");
	learn("cart:", "hash", GUESS_AFTER - 1);
	assert_guess("cart:17", "");
	learn("cart:", "hash", 1);
	learn("{user}.", "zset", GUESS_AFTER);
	assert_guess("cart:17", "hash");
	assert_guess("cart:f3a9", "hash"); /* an id is as good as a number */
	assert_guess("cart:x", "");
	assert_guess("cart:17:x", "");
	assert_guess("cart.17", "");
	assert_guess("{user}.5", "zset");
	assert_guess("", "");
}

static void test_wrong_once_is_wrong_for_ever(void **state)
{
	(void)state;
	learn("a:", "string", GUESS_AFTER);
	assert_guess("a:1", "string");
	learn("a:", "list", 1);
	assert_guess("a:1", "");
	learn("a:", "string", 3 * GUESS_AFTER);
	assert_guess("a:1", "");
	/* Nothing tells the length of a module's value. */
	learn("m:", "ReJSON-RL", 3 * GUESS_AFTER);
	assert_guess("m:1", "");
	/* Names of bytes of any kind. */
	type_guess_learn(&guesses, SLICE("\0\377"), SLICE("set"));
	assert_int_equal(type_guess(&guesses, SLICE("\0\377")).len, 0);
}

static void test_lengths(void **state)
{
	(void)state;
	assert_true(slice_equal(type_length_command(SLICE("stream")), SLICE("XLEN")));
	assert_int_equal(type_length_command(SLICE("ReJSON-RL")).len, 0);
	assert_int_equal(type_length_command(SLICE("")).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_shapes, begin),
		cmocka_unit_test_setup(test_wrong_once_is_wrong_for_ever, begin),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
