/* Which form of an answer a client likes best. */
#include "api/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_content_type(void **state)
{
	(void)state;
	assert_true(media_is("application/json", "application/json"));
	assert_true(media_is("Application/JSON; charset=utf-8", "application/json"));
	assert_false(media_is("application/jsonx", "application/json"));
	assert_false(media_is("", "application/json"));
	assert_false(media_is(NULL, "application/json"));
}

static void test_choice(void **state)
{
	static const char *const types[] = {"application/json", "text/event-stream", NULL};
	static const char *const text[] = {"text/plain; charset=utf-8", NULL};
	static const struct {
		const char *accept, *chosen;
	} cases[] = {
		{NULL, "application/json"},
		{"", "application/json"},
		{"*/*", "application/json"},
		{"text/event-stream", "text/event-stream"},
		{"text/*", "text/event-stream"},
		{"text/html, */*;q=0.1", "application/json"},
		{"application/json;q=0.2, text/event-stream;q=0.9", "text/event-stream"},
		{"application/json;q=0, */*", "text/event-stream"},
		{"text/html", NULL},
		{"*/*;q=0", NULL},
		{"application/*;q=0.001", "application/json"},
		{",,;q=", NULL},
		{"application", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *chosen = media_choose(cases[i].accept, types);

		if (cases[i].chosen)
			assert_string_equal(chosen, cases[i].chosen);
		else
			assert_null(chosen);
	}
	assert_non_null(media_choose("text/plain", text));
	assert_null(media_choose("application/json", text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_content_type), cmocka_unit_test(test_choice)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
