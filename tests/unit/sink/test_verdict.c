/* What each error of Redis and Valkey means, and the redirections' forms. */
#include "sink/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_verdicts(void **state)
{
	static const struct {
		const char *text;
		enum verdict verdict;
	} cases[] = {
		{"MOVED 3999 10.0.0.1:6381", VERDICT_MOVED},
		{"ASK 3999 10.0.0.1:6381", VERDICT_ASK},
		{"TRYAGAIN Multiple keys request during rehashing of slot", VERDICT_WAIT},
		{"CLUSTERDOWN Hash slot not served", VERDICT_WAIT},
		{"LOADING Redis is loading the dataset in memory", VERDICT_WAIT},
		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", VERDICT_WAIT},
		{"READONLY You can't write against a read only replica.", VERDICT_WAIT},
		{"OOM command not allowed when used memory > 'maxmemory'.", VERDICT_WAIT},
		{"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		 VERDICT_WAIT},
		{"NOREPLICAS Not enough good replicas to write.", VERDICT_WAIT},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", VERDICT_WAIT},
		{"EXECABORT Transaction discarded because of previous errors.", VERDICT_WAIT},
		{"EXECABORT Transaction discarded because of: NOPERM User x has no permissions to run the 'exec' command",
		 VERDICT_DENIED},
		{"ERR max number of clients reached", VERDICT_WAIT},
		{"ERR Error running script (call to f_x): @user_script:1: -OOM command not allowed when used memory > "
		 "'maxmemory'.",
		 VERDICT_WAIT},
		{"BUSYKEY Target key name already exists.", VERDICT_EXISTS},
		{"NOSCRIPT No matching script. Please use EVAL.", VERDICT_NOSCRIPT},
		{"NOPERM this user has no permissions to run the 'set' command", VERDICT_DENIED},
		{"NOAUTH Authentication required.", VERDICT_DENIED},
		{"ERR unknown command 'FOO', with args beginning with: ", VERDICT_UNKNOWN},
		{"ERR unknown command `FOO`, with args beginning with: ", VERDICT_UNKNOWN},
		{"ERR wrong number of arguments for 'set' command", VERDICT_UNKNOWN},
		{"ERR syntax error", VERDICT_UNKNOWN},
		{"ERR Bad data format", VERDICT_UNKNOWN},
		{"ERR DUMP payload version or checksum are wrong", VERDICT_UNKNOWN},
		{"ERR Error running script (call to f_x): @user_script:1: @user_script: 1: Unknown Redis command called from Lua "
		 "script",
		 VERDICT_UNKNOWN},
		{"ERR Unknown Redis command called from script script: x, on @user_script:1.", VERDICT_UNKNOWN},
		{"ERR Unknown command called from script script: x, on @user_script:1.", VERDICT_UNKNOWN},
		{"ERR Error running script (call to f_x): @user_script:1: @user_script: 1: Lua script attempted to access a non local "
		 "key in a cluster node",
		 VERDICT_UNKNOWN},
		{"WRONGTYPE Operation against a key holding the wrong kind of value", VERDICT_REFUSED},
		{"BUSYGROUP Consumer Group name already exists", VERDICT_REFUSED},
		{"ERR no such key", VERDICT_REFUSED},
		{"ERR The ID specified in XADD is equal or smaller than the target stream top item", VERDICT_REFUSED},
		{"", VERDICT_REFUSED},
		{"BUSYX", VERDICT_REFUSED},
		{"ASKING", VERDICT_REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (verdict_of(cases[i].text) != cases[i].verdict)
			fail_msg("'%s' is %d", cases[i].text, verdict_of(cases[i].text));
}

static void test_redirections(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t slot, port;
	} cases[] = {
		{"MOVED 3999 10.0.0.1:6381", "10.0.0.1", 3999, 6381},
		{"ASK 0 ::1:6381", "::1", 0, 6381},
		{"ASK 16383 fe80::1%eth0:1", "fe80::1%eth0", 16383, 1},
		{"MOVED 3999 node-1.example.com:65535", "node-1.example.com", 3999, 65535},
		{"MOVED 3999 :6381", "asked.example.com", 3999, 6381},
		{"MOVED 3999 ?:6381", "asked.example.com", 3999, 6381},
	};
	struct endpoint asked = {.host = "asked.example.com", .port = 7000};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct endpoint endpoint;
		uint16_t slot;

		assert_true(verdict_redirection(cases[i].text, &asked, &slot, &endpoint));
		assert_string_equal(endpoint.host, cases[i].host);
		assert_int_equal(endpoint.port, cases[i].port);
		assert_int_equal(slot, cases[i].slot);
	}
}

static void test_no_redirections(void **state)
{
	static const char *const texts[] = {"",
					    "MOVED",
					    "MOVED ",
					    "MOVED 1",
					    "MOVED 1 ",
					    "MOVED 1 host",
					    "MOVED 1 host:",
					    "MOVED 1 host:0",
					    "MOVED 1 host:65536",
					    "MOVED 16384 host:1",
					    "MOVED -1 host:1",
					    "MOVED x host:1",
					    "MOVED 1x host:1",
					    "MOVED  host:1"};
	struct endpoint asked = {.host = "a", .port = 1}, endpoint = {.host = "untouched", .port = 9};
	char long_host[400] = "MOVED 1 ";
	uint16_t slot = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(verdict_redirection(texts[i], &asked, &slot, &endpoint));
	memset(long_host + 8, 'h', 300);
	strcpy(long_host + 308, ":6379");
	assert_false(verdict_redirection(long_host, &asked, &slot, &endpoint));
	assert_int_equal(slot, 7);
	assert_string_equal(endpoint.host, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_redirections),
		cmocka_unit_test(test_no_redirections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
