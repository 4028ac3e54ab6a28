/* Host and Origin: what a page of another site can make a browser send. */
#include "api/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_host(void **state)
{
	static const char *const local[] = {"localhost", "LOCALHOST:7280", "127.0.0.1", "127.8.9.1:1", "[::1]", "[::1]:7280"};
	static const char *const foreign[] = {"example.net",
					      "localhost.example.net",
					      "127.0.0.1.example.net",
					      "10.0.0.1:7280",
					      "[::2]",
					      "[::1]x",
					      "[::1",
					      "",
					      ":7280",
					      "0.0.0.0",
					      "127.1"};

	(void)state;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		assert_true(origin_host_is_local(local[i]));
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_false(origin_host_is_local(foreign[i]));
	assert_false(origin_host_is_local(NULL));
}

static void test_own_page(void **state)
{
	(void)state;
	assert_true(origin_is_own(NULL, NULL, "a:1"));
	assert_true(origin_is_own("http://a:1", NULL, "a:1"));
	assert_true(origin_is_own("https://a", "same-origin", "a:443"));
	assert_true(origin_is_own("http://a:80", NULL, "a"));
	assert_true(origin_is_own(NULL, "none", "a"));
	assert_false(origin_is_own("http://b:1", NULL, "a:1"));
	assert_false(origin_is_own("http://a:2", NULL, "a:1"));
	assert_false(origin_is_own("null", NULL, "a:1"));
	assert_false(origin_is_own("http://a:1", "cross-site", "a:1"));
	assert_false(origin_is_own("http://a:1", "same-site", "a:1"));
	assert_false(origin_is_own("http://a:1", NULL, NULL));
	assert_false(origin_is_own("ftp://a:1", NULL, "a:1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_host), cmocka_unit_test(test_own_page)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
