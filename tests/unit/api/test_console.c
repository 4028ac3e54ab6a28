/* Files of the console: who gets them, in which form, and what a browser may do with them. */
#include "api/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *header(const struct answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->header_count; i++)
		if (strcmp(answer->headers[i].name, name) == 0)
			return answer->headers[i].value;
	return NULL;
}

static struct call ask(const char *method, const char *target)
{
	return (struct call){.method = method, .target = target};
}

static void test_page(void **state)
{
	struct call call = ask("GET", "/?again");
	struct answer answer = {0};
	char tag[80];

	(void)state;
	assert_true(console_answer(&call, &answer));
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.type, "text/html; charset=utf-8");
	assert_null(header(&answer, "Content-Encoding"));
	assert_string_equal(header(&answer, "Cache-Control"), "no-cache");
	assert_non_null(strstr(header(&answer, "Content-Security-Policy"), "script-src 'self';"));
	assert_null(strstr(header(&answer, "Content-Security-Policy"), "unsafe"));
	assert_memory_equal(answer.body, "<!doctype html>", 15);
	snprintf(tag, sizeof(tag), "%s", header(&answer, "ETag"));
	answer_free(&answer);

	/* Whoever has it is told so. */
	answer = (struct answer){0};
	call.headers.if_none_match = tag;
	assert_true(console_answer(&call, &answer));
	assert_int_equal(answer.status, 304);
	assert_null(answer.body);
	answer_free(&answer);
}

static void test_forms(void **state)
{
	static const struct {
		const char *accept;
		bool packed;
	} cases[] = {
		{NULL, false},  {"", false},         {"gzip", true},        {"deflate, gzip;q=0.8, br", true},
		{"GZIP", true}, {"gzip;q=0", false}, {"gzip; q=0.5", true}, {"x-gzip, br", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct call call = ask("HEAD", "/");
		struct answer answer = {0};

		call.headers.accept_encoding = cases[i].accept;
		assert_true(console_answer(&call, &answer));
		assert_int_equal(header(&answer, "Content-Encoding") != NULL, cases[i].packed);
		assert_int_equal(memcmp(answer.body, "\x1f\x8b", 2) == 0, cases[i].packed);
		assert_string_equal(header(&answer, "Vary"), "Accept-Encoding");
		answer_free(&answer);
	}
}

/* All but the page are kept for ever, for their path has a digest; every one that the page names is there. */
static void test_files(void **state)
{
	const struct web_file *page = NULL;

	(void)state;
	for (size_t i = 0; i < web_file_count; i++)
		if (strcmp(web_files[i].path, "/") == 0)
			page = &web_files[i];
	assert_non_null(page);
	assert_null(strstr(page->plain, "@BASE@"));
	assert_null(strstr(page->plain, "@PRELOAD@"));
	for (size_t i = 0; i < web_file_count; i++) {
		struct call call = ask("GET", web_files[i].path);
		struct answer answer = {0};

		assert_true(console_answer(&call, &answer));
		assert_int_equal(answer.len, web_files[i].plain_len);
		if (&web_files[i] != page)
			assert_non_null(strstr(header(&answer, "Cache-Control"), "immutable"));
		answer_free(&answer);
	}
	for (const char *at = page->plain; (at = strstr(at, "\"/console/")); at++) {
		char path[256];
		struct call call = ask("GET", path);
		struct answer answer = {0};

		snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 1, "\""), at + 1);
		assert_true(console_answer(&call, &answer));
		answer_free(&answer);
	}
}

static void test_what_is_none(void **state)
{
	static const char *const calls[][2] = {{"POST", "/"}, {"OPTIONS", "/"}, {"GET", "/index.html"},   {"GET", "/console/"},
					       {"GET", "//"}, {"GET", "/../"},  {"GET", "/api/v1/tasks"}, {"GET", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct call call = ask(calls[i][0], calls[i][1]);
		struct answer answer = {0};

		assert_false(console_answer(&call, &answer));
		assert_int_equal(answer.status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
