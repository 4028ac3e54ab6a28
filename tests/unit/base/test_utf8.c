#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void valid_text_is_taken(void **state)
{
	(void)state;
	assert_true(utf8_is_valid(SLICE("")));
	assert_true(utf8_is_valid(SLICE("orders")));
	assert_true(utf8_is_valid(SLICE("\xc3\xa9")));
	assert_true(utf8_is_valid(SLICE("\xe8\xae\xa2\xe5\x8d\x95")));
	assert_true(utf8_is_valid(SLICE("\xf0\x9f\x98\x80")));
	assert_true(utf8_is_valid(SLICE("\xf4\x8f\xbf\xbf")));
	assert_true(utf8_is_valid(SLICE("\xed\x9f\xbf\xee\x80\x80"))); /* both sides of the surrogates */
}

static void broken_text_is_refused(void **state)
{
	(void)state;
	assert_false(utf8_is_valid(SLICE("\x80")));
	assert_false(utf8_is_valid(SLICE("\xc3")));
	assert_false(utf8_is_valid(SLICE("\xc3(")));
	assert_false(utf8_is_valid(SLICE("\xe8\xae")));
	assert_false(utf8_is_valid(SLICE("\xc0\x80"))); /* overlong */
	assert_false(utf8_is_valid(SLICE("\xc1\xbf")));
	assert_false(utf8_is_valid(SLICE("\xe0\x9f\xbf")));
	assert_false(utf8_is_valid(SLICE("\xf0\x8f\xbf\xbf")));
	assert_false(utf8_is_valid(SLICE("\xed\xa0\x80")));     /* surrogate */
	assert_false(utf8_is_valid(SLICE("\xf4\x90\x80\x80"))); /* over U+10FFFF */
	assert_false(utf8_is_valid(SLICE("\xff")));
}

static void assert_mended(const char *text, const char *expected)
{
	char copy[32];

	snprintf(copy, sizeof(copy), "%s", text);
	utf8_mend(copy, strlen(copy));
	assert_string_equal(copy, expected);
}

static void broken_text_is_mended(void **state)
{
	(void)state;
	assert_mended("", "");
	assert_mended("orders \xe8\xae\xa2", "orders \xe8\xae\xa2");
	assert_mended("orders \xe8\xae", "orders ??");
	assert_mended("\xff\xc3\xa9 x", "??? x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_text_is_taken),
		cmocka_unit_test(broken_text_is_refused),
		cmocka_unit_test(broken_text_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
