#include "base/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void widths(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
	} cases[] = {
		{"", 0},       {"abc", 3}, {"订单", 4}, {"a订b", 4}, {"é", 1},        {"e\u0301", 1},
		{"（可）", 6}, {"→", 1},   {"한국", 4}, {"😀", 2},    {"\xff\xfe", 2}, {"\xe8\xae", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(columns_of(cases[i].text), cases[i].columns);
}

static void what_fits_is_whole_characters(void **state)
{
	(void)state;
	assert_int_equal(columns_fit("订单", 3), 3);
	assert_int_equal(columns_fit("订单", 4), 6);
	assert_int_equal(columns_fit("ab", 9), 2);
	assert_int_equal(columns_fit("e\u0301x", 1), 3);
	assert_int_equal(columns_fit("订", 1), 0);
}

static void what_a_terminal_would_obey_is_gone(void **state)
{
	char text[] = "a\x1b[2Jb\nc\xc2\x9b"
		      "d\xff"
		      "订\xe2\x80\xae"
		      "e";

	(void)state;
	columns_clean(text);
	assert_string_equal(text, "a [2Jb c  d?订   e");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(widths),
		cmocka_unit_test(what_fits_is_whole_characters),
		cmocka_unit_test(what_a_terminal_would_obey_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
