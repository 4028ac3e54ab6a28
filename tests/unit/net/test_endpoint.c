#include "net/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct example {
	const char *text;
	uint16_t default_port;
	const char *host; /* NULL: refused */
	uint16_t port;
	const char *formatted;
};

static const struct example examples[] = {
	{"10.0.0.1:6379", 0, "10.0.0.1", 6379, "10.0.0.1:6379"},
	{"10.0.0.1", 7000, "10.0.0.1", 7000, "10.0.0.1:7000"},
	{"redis.example.com:1", 6379, "redis.example.com", 1, "redis.example.com:1"},
	{"[::1]:6380", 6379, "::1", 6380, "[::1]:6380"},
	{"[::1]", 6379, "::1", 6379, "[::1]:6379"},
	{"::1", 6379, "::1", 6379, "[::1]:6379"},
	{"fe80::1%eth0", 6379, "fe80::1%eth0", 6379, "[fe80::1%eth0]:6379"},
	{"/run/redis.sock", 6379, "/run/redis.sock", 0, "/run/redis.sock"},
	{"h:65535", 0, "h", 65535, "h:65535"},
	{"", 6379, NULL, 0, NULL},
	{":6379", 6379, NULL, 0, NULL},
	{"host", 0, NULL, 0, NULL},
	{"host:", 6379, NULL, 0, NULL},
	{"host:0", 6379, NULL, 0, NULL},
	{"host:65536", 6379, NULL, 0, NULL},
	{"host:-1", 6379, NULL, 0, NULL},
	{"host:6379x", 6379, NULL, 0, NULL},
	{"ho st:6379", 6379, NULL, 0, NULL},
	{"user@host:6379", 6379, NULL, 0, NULL},
	{"redis://host:6379", 6379, NULL, 0, NULL},
	{"[::1", 6379, NULL, 0, NULL},
	{"[::1]6379", 6379, NULL, 0, NULL},
	{"[]:6379", 6379, NULL, 0, NULL},
	{"[host]:6379", 6379, NULL, 0, NULL},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		struct endpoint endpoint = {.host = "untouched", .port = 9};
		bool ok = endpoint_parse(slice_of_string(example->text), example->default_port, &endpoint);
		char text[ENDPOINT_TEXT_MAX];

		if (ok != (example->host != NULL))
			fail_msg("'%s' was %s", example->text, ok ? "accepted" : "refused");
		assert_string_equal(endpoint.host, example->host ? example->host : "untouched");
		assert_int_equal(endpoint.port, example->host ? example->port : 9);
		if (ok)
			assert_string_equal(endpoint_format(&endpoint, text), example->formatted);
	}
}

static void test_limits(void **state)
{
	char text[400];
	struct endpoint endpoint;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(endpoint_parse(slice_make(text, 255), 6379, &endpoint));
	assert_int_equal(strlen(endpoint.host), 255);
	assert_false(endpoint_parse(slice_make(text, 256), 6379, &endpoint));
	text[0] = '/';
	assert_true(endpoint_parse(slice_make(text, 107), 0, &endpoint));
	assert_true(endpoint_is_unix(&endpoint));
	assert_false(endpoint_parse(slice_make(text, 108), 0, &endpoint));
}

static void test_equal(void **state)
{
	struct endpoint a = {"10.0.0.1", 6379}, b = a;

	(void)state;
	assert_true(endpoint_equal(&a, &b));
	b.port++;
	assert_false(endpoint_equal(&a, &b));
	b = (struct endpoint){"10.0.0.2", 6379};
	assert_false(endpoint_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
