/* Keys that stand twice in a file. */
#include "export/repeats.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A snapshot without checksum, of the given body. */
static bool check(const char *body, size_t len, struct error *error)
{
	char path[] = "/tmp/keyferry-repeats-XXXXXX";
	int file = mkstemp(path);
	bool answer;

	assert_true(file >= 0);
	assert_int_equal(write(file, "REDIS0011", 9), 9);
	assert_int_equal(write(file, body, len), len);
	assert_int_equal(write(file, "\xff\0\0\0\0\0\0\0\0", 9), 9);
	close(file);
	answer = repeats_check(path, 18 + len, error);
	unlink(path);
	return answer;
}

#define KEY(name) "\0\1" name "\1v"
#define CHECK(body, error) check(body, sizeof(body) - 1, error)

static void test_repeats(void **state)
{
	struct error error;

	(void)state;
	assert_true(CHECK("", &error));
	assert_true(CHECK(KEY("a") KEY("b") "\xfe\1" KEY("a"), &error));
	assert_false(CHECK(KEY("a") KEY("b") KEY("c") KEY("b"), &error));
	assert_int_equal(error.kind, ERROR_CONFLICT);
	assert_non_null(strstr(error.text, "\"b\""));
	assert_false(CHECK("\xfe\3" KEY("x") "\xfe\0" KEY("x") "\xfe\3" KEY("x"), &error));
	assert_non_null(strstr(error.text, "database 3"));
	assert_false(CHECK("\0\0\1v\0\0\1v", &error)); /* the empty key */
	assert_false(CHECK("\0\77", &error));          /* damage */
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_false(repeats_check("/tmp/no-such-file-of-keyferry", 100, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_repeats)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
