/* Targets of requests: what is taken apart, and what is refused. */
#include "api/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_path_and_query(void **state)
{
	struct uri uri;

	(void)state;
	assert_int_equal(uri_parse(&uri, "/api/v1/tasks/orders%2Deu/log?lines=100&level=a%20b+c&empty=&bare"), URI_OK);
	assert_int_equal(uri.segment_count, 5);
	assert_string_equal(uri.segments[3], "orders-eu");
	assert_string_equal(uri_parameter(&uri, "lines"), "100");
	assert_string_equal(uri_parameter(&uri, "level"), "a b c");
	assert_string_equal(uri_parameter(&uri, "empty"), "");
	assert_string_equal(uri_parameter(&uri, "bare"), "");
	assert_null(uri_parameter(&uri, "other"));
}

static void test_slashes(void **state)
{
	struct uri uri;

	(void)state;
	assert_int_equal(uri_parse(&uri, "/"), URI_OK);
	assert_int_equal(uri.segment_count, 0);
	assert_int_equal(uri_parse(&uri, "/a/"), URI_OK);
	assert_int_equal(uri.segment_count, 2);
	assert_string_equal(uri.segments[1], "");
	assert_int_equal(uri_parse(&uri, "/a//b?"), URI_OK);
	assert_int_equal(uri.segment_count, 3);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"",
					  "a",
					  "http://x/a",
					  "*",
					  "/%",
					  "/%4",
					  "/%zz",
					  "/a%00b",
					  "/a%2fb",
					  "/a%0ab",
					  "/%ff",
					  "/%c0%80",
					  "/a#b",
					  "/a?x=1&x=2",
					  "/a?x=%ff",
					  "/a?%00=1",
					  "/1/2/3/4/5/6/7/8/9/10/11/12/13",
					  "/1/2/3/4/5/6/7/8/9/10/11/12/",
					  "/a?1=1&2=2&3=3&4=4&5=5&6=6&7=7&8=8&9=9&10=&11=&12=&13=&14=&15=&16=&17="};
	struct uri uri;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(uri_parse(&uri, bad[i]), URI_BAD);
		assert_int_equal(uri.segment_count, 0);
		assert_int_equal(uri.parameter_count, 0);
	}
}

static void test_length(void **state)
{
	char *target = malloc(URI_BYTES_MAX + 2);
	struct uri uri;

	(void)state;
	memset(target, 'a', URI_BYTES_MAX + 1);
	target[0] = '/';
	target[URI_BYTES_MAX + 1] = '\0';
	assert_int_equal(uri_parse(&uri, target), URI_TOO_LONG);
	target[URI_BYTES_MAX] = '\0';
	assert_int_equal(uri_parse(&uri, target), URI_OK);
	free(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_path_and_query), cmocka_unit_test(test_slashes),
					   cmocka_unit_test(test_refused), cmocka_unit_test(test_length)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
