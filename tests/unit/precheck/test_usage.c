/* Commands that clients have used: which are in the stream, which may need several slots. */
#include "precheck/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct used_command *used(const struct usage *usage, const char *name)
{
	for (uint32_t i = 0; i < usage->count; i++)
		if (strcmp(usage->commands[i].name, name) == 0)
			return &usage->commands[i];
	fail_msg("%s is not there", name);
	return NULL;
}

static void is_read_and_judged(void **state)
{
	struct usage usage = {.count = 0};

	(void)state;
	usage_add(
		&usage,
		"# Commandstats\r\ncmdstat_get:calls=5,usec=1\r\ncmdstat_set:calls=2,usec=1\r\ncmdstat_rename:calls=3,usec=1\r\n"
		"cmdstat_mset:calls=1,usec=1\r\ncmdstat_xgroup|create:calls=1,usec=1\r\ncmdstat_FT.ADD:calls=1,usec=1\r\ncmdstat_move:calls=4,usec=1\r\n"
		"cmdstat_zunionstore:calls=1,usec=1\r\ncmdstat_spop:calls=1,usec=1\r\ncmdstat_eval:calls=1,usec=1\r\ncmdstat_swapdb:calls=0,usec=1\r\n");
	usage_add(&usage, "cmdstat_set:calls=40,usec=1\n");
	usage_add(&usage, NULL);
	assert_int_equal(used(&usage, "set")->calls, 42);
	assert_true(used(&usage, "set")->streamed && !used(&usage, "set")->across);
	assert_false(used(&usage, "get")->streamed);
	assert_true(used(&usage, "rename")->across);
	assert_false(used(&usage, "mset")->across); /* it is split */
	assert_true(used(&usage, "zunionstore")->across);
	assert_true(used(&usage, "xgroup|create")->streamed && used(&usage, "xgroup|create")->info);
	assert_null(used(&usage, "ft.add")->info);
	assert_true(used(&usage, "move")->other_database && !used(&usage, "move")->across);
	assert_false(used(&usage, "spop")->streamed); /* replicas get SREM, DEL */
	assert_false(used(&usage, "eval")->streamed);
	for (uint32_t i = 0; i < usage.count; i++)
		assert_string_not_equal(usage.commands[i].name, "swapdb"); /* never called */
	usage_free(&usage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(is_read_and_judged)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
