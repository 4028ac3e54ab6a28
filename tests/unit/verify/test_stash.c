/* The stash: what was put in comes out, from memory and from its file, in pieces of any size. */
#include "verify/stash.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define LARGE (3u << 20)

static uint8_t *noise(size_t len, unsigned seed)
{
	uint8_t *bytes = memory_alloc(len);

	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245u + 12345u;
		bytes[i] = (uint8_t)(seed >> 16);
	}
	return bytes;
}

static void put(struct stash *stash, struct stash_item *item, const uint8_t *bytes, size_t len, size_t piece)
{
	struct error error;

	for (size_t at = 0; at < len; at += piece)
		assert_true(stash_add(stash, item, slice_make(bytes + at, piece < len - at ? piece : len - at), &error));
}

static void assert_holds(struct stash *stash, const struct stash_item *item, const uint8_t *bytes, size_t len)
{
	struct slice got;
	struct error error;

	assert_true(stash_get(stash, item, &got, &error));
	assert_int_equal(got.len, len);
	assert_memory_equal(got.data, bytes, len);
}

static void test_memory_and_file(void **state)
{
	struct stash *stash = stash_new(1000);
	uint8_t *bytes = noise(LARGE, 7);

	(void)state;
	for (int round = 0; round < 3; round++) {
		struct stash_item small, large, other, late;

		stash_begin(stash, 600, &small);
		stash_begin(stash, LARGE, &large);
		stash_begin(stash, 500, &other); /* no room any more */
		stash_begin(stash, 400, &late);
		assert_non_null(small.memory);
		assert_null(large.memory);
		assert_null(other.memory);
		assert_non_null(late.memory);
		/* Two that are filled in turn. */
		put(stash, &large, bytes, LARGE / 2, 100001);
		put(stash, &other, bytes + 9, 500, 7);
		put(stash, &large, bytes + LARGE / 2, LARGE - LARGE / 2, 65536);
		put(stash, &small, bytes + 77, 600, 600);
		put(stash, &late, bytes + 5, 400, 399);
		assert_holds(stash, &large, bytes, LARGE);
		assert_holds(stash, &other, bytes + 9, 500);
		assert_holds(stash, &small, bytes + 77, 600);
		assert_holds(stash, &late, bytes + 5, 400);
		stash_reset(stash);
	}
	free(bytes);
	stash_free(stash);
}

static void test_more_than_announced(void **state)
{
	struct stash *stash = stash_new(10);
	struct stash_item item;

	(void)state;
	stash_begin(stash, 4, &item);
	put(stash, &item, (const uint8_t *)"abcdef", 6, 3);
	assert_holds(stash, &item, (const uint8_t *)"abcd", 4);
	stash_begin(stash, 0, &item);
	assert_holds(stash, &item, (const uint8_t *)"", 0);
	stash_free(stash);
}

static void test_no_folder(void **state)
{
	struct stash *stash = stash_new(0);
	struct stash_item item;
	struct error error;

	(void)state;
	setenv("TMPDIR", "/nowhere/at/all", 1);
	stash_begin(stash, 4, &item);
	assert_false(stash_add(stash, &item, SLICE("abcd"), &error));
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_non_null(strstr(error.text, "/nowhere/at/all"));
	unsetenv("TMPDIR");
	stash_free(stash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_and_file),
		cmocka_unit_test(test_more_than_announced),
		cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
