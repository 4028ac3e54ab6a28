/* What the sink says of what it waits for. */
#include "sink/sink_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PEER "10.0.0.1:6379"

static struct sink sink;

/* Answers do not name the node, errors of its connection do: it is named once in each case. */
static void test_node_is_named_once(void **state)
{
	static const struct {
		const char *why, *cause;
	} cases[] = {
		{"OOM command not allowed", "target " PEER ": OOM command not allowed"},
		{PEER ": connection refused", "target " PEER ": connection refused"},
		{PEER " does not answer", "target " PEER ": does not answer"},
		{"target " PEER ": LOADING", "target " PEER ": LOADING"},
		{"target " PEER " has been silent for 9.0 s", "target " PEER " has been silent for 9.0 s"},
		{"target " PEER "0: LOADING", "target " PEER ": target " PEER "0: LOADING"},
		{PEER "0: connection refused", "target " PEER ": " PEER "0: connection refused"},
		{"", "target " PEER ": "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sink_remember_cause(&sink, PEER, cases[i].why);
		assert_string_equal(sink.cause, cases[i].cause);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_node_is_named_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
