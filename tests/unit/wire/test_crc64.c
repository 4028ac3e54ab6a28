#include "wire/crc64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_check_value(void **state)
{
	(void)state;
	assert_int_equal(crc64(0, "123456789", 9), 0xe9c6d914c4b8d9caULL);
	assert_int_equal(crc64_by_table(0, "123456789", 9), 0xe9c6d914c4b8d9caULL);
}

static void test_nothing_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(crc64(0, NULL, 0), 0);
	assert_int_equal(crc64(0x1234, NULL, 0), 0x1234);
	assert_int_equal(crc64_by_table(0x1234, NULL, 0), 0x1234);
}

/* The two ways agree for every length and alignment around the block sizes of the fast one, begun with 0 or with anything. */
static void test_against_table(void **state)
{
	static uint8_t data[5000];
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		data[i] = (uint8_t)(seed >> 56);
	}
	for (size_t len = 0; len < 1200; len++)
		for (size_t from = 0; from < 9; from++)
			assert_int_equal(crc64(seed * len, data + from, len), crc64_by_table(seed * len, data + from, len));
	assert_int_equal(crc64(0, data, sizeof(data)), crc64_by_table(0, data, sizeof(data)));
}

static void test_continues(void **state)
{
	static const char text[] = "the checksum of a whole is that of its parts, one continued from the other";
	uint64_t whole = crc64(0, text, sizeof(text));

	(void)state;
	for (size_t cut = 0; cut <= sizeof(text); cut++)
		assert_int_equal(crc64(crc64(0, text, cut), text + cut, sizeof(text) - cut), whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_value),
		cmocka_unit_test(test_nothing_changes_nothing),
		cmocka_unit_test(test_against_table),
		cmocka_unit_test(test_continues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
