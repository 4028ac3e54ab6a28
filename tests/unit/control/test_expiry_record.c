#include "control/expiry_record.h"

#include "base/memory.h"
#include "transform/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/keyferry-record-XXXXXX";

static void test_it_is_kept_and_goes(void **state)
{
	struct expiry_record record = {true, guard_base("a"), 60000}, read;
	struct error error;

	(void)state;
	assert_true(expiry_record_read(folder, &read, &error));
	assert_false(read.exists);
	assert_true(expiry_record_write(folder, &record, &error));
	assert_true(expiry_record_read(folder, &read, &error));
	assert_true(read.exists);
	assert_int_equal(read.base, record.base);
	assert_int_equal(read.margin_ms, 60000);
	record.exists = false;
	assert_true(expiry_record_write(folder, &record, &error));
	assert_true(expiry_record_write(folder, &record, &error));
	assert_true(expiry_record_read(folder, &read, &error));
	assert_false(read.exists);
	assert_false(expiry_record_write("/nonexistent", &(struct expiry_record){true, GUARD_KEY_BASE, 0}, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
}

static void test_what_is_not_ours_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"base\": 4503599627370496}",
		"{\"base\": \"x\", \"margin_ms\": 0}",
		"{\"base\": 0, \"margin_ms\": 0}",
		"{\"base\": 4503599627370497, \"margin_ms\": 0}",
		"{\"base\": 9007199254740992, \"margin_ms\": 0}",
		"{\"base\": 4503599627370496, \"margin_ms\": -1}",
		"{\"base\": 4503599627370496, \"margin_ms\": 0",
	};
	char *path = memory_printf("%s/expiry.json", folder);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct expiry_record record;
		struct error error;
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		assert_false(expiry_record_read(folder, &record, &error));
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_non_null(strstr(error.text, path));
	}
	unlink(path);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_kept_and_goes),
		cmocka_unit_test(test_what_is_not_ours_is_refused),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
