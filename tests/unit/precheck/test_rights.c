/* What servers of several versions say about a right, by a dry run or to the command itself. */
#include "precheck/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static enum denial denial_of(enum resp_type type, const char *text, bool dry_run)
{
	const struct resp_node answer = {.type = type, .text = slice_of_string(text)};

	return rights_denial(&answer, dry_run);
}

static void to_the_command(void **state)
{
	static const struct {
		const char *text;
		enum denial denial;
	} rows[] = {
		{"NOPERM this user has no permissions to run the 'psync' command or its subcommand", DENIAL_COMMAND}, /* 6.0 */
		{"NOPERM this user has no permissions to run the 'psync' command", DENIAL_COMMAND},                   /* 7.0 */
		{"NOPERM User sync has no permissions to run the 'config|get' command", DENIAL_COMMAND},              /* 7.2 */
		{"NOPERM this user has no permissions to access one of the keys used as arguments", DENIAL_KEY},
		{"NOPERM No permissions to access a key", DENIAL_KEY},
		{"EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'exec' command",
		 DENIAL_COMMAND},
		{"EXECABORT Transaction discarded because of previous errors.", DENIAL_NONE},
		{"ERR unknown command `PSYNC`, with args beginning with: ", DENIAL_UNKNOWN},
		{"ERR unknown command 'PSYNC', with args beginning with: ", DENIAL_UNKNOWN},
		{"ERR unknown command 'PSYNC'", DENIAL_UNKNOWN}, /* 2.8 */
		{"ERR wrong number of arguments for 'psync' command", DENIAL_NONE},
		{"ERR PSYNC FAILOVER can't be sent to a master.", DENIAL_NONE},
		{"ERR invalid expire time in 'setex' command", DENIAL_NONE},
		{"MOVED 3999 127.0.0.1:6381", DENIAL_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (denial_of(RESP_ERROR, rows[i].text, false) != rows[i].denial)
			fail_msg("%s", rows[i].text);
	assert_int_equal(denial_of(RESP_SIMPLE, "QUEUED", false), DENIAL_NONE);
	assert_int_equal(denial_of(RESP_BULK, "the value of the key is: this user has no command", false), DENIAL_NONE);
}

static void by_dry_run(void **state)
{
	(void)state;
	assert_int_equal(denial_of(RESP_SIMPLE, "OK", true), DENIAL_NONE);
	assert_int_equal(denial_of(RESP_BULK, "This user has no permissions to run the 'psync' command", true), DENIAL_COMMAND);
	assert_int_equal(denial_of(RESP_BULK, "User default has no permissions to run the 'psync' command", true),
			 DENIAL_COMMAND);
	assert_int_equal(denial_of(RESP_BULK, "This user has no permissions to access the 'k' key", true), DENIAL_KEY);
	assert_int_equal(denial_of(RESP_BULK, "User default has no permissions to access the 'command' key", true), DENIAL_KEY);
	assert_int_equal(denial_of(RESP_ERROR, "ERR Command 'PSYNC' not found", true), DENIAL_UNKNOWN);
	assert_int_equal(denial_of(RESP_ERROR, "ERR wrong number of arguments for 'psync' command", true), DENIAL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(to_the_command), cmocka_unit_test(by_dry_run)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
