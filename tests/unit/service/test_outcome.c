/* What follows when a worker has ended: the whole table. */
#include "base/error.h"
#include "service/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct row {
	const char *name;
	struct ending ending;
	enum outcome outcome;
} rows[] = {
	/* asked */
	{"paused", {.asked = true, .wanted = WANTED_PAUSED, .known = true, .begun = true}, OUTCOME_PAUSED},
	{"paused, and killed for it did not end", {.asked = true, .wanted = WANTED_PAUSED, .begun = true}, OUTCOME_PAUSED},
	{"paused, and failed at the same moment",
	 {.asked = true, .wanted = WANTED_PAUSED, .known = true, .code = ERROR_CONFLICT, .begun = true},
	 OUTCOME_PAUSED},
	{"stopped", {.asked = true, .wanted = WANTED_IDLE, .known = true, .begun = true}, OUTCOME_READY},
	{"restarted", {.asked = true, .wanted = WANTED_RUNNING, .known = true, .begun = true}, OUTCOME_AGAIN_NOW},
	{"paused and resumed while it ended",
	 {.asked = true, .wanted = WANTED_RUNNING, .known = true, .code = ERROR_TARGET, .begun = true},
	 OUTCOME_AGAIN_NOW},
	/* the end of all */
	{"files are through", {.wanted = WANTED_RUNNING, .known = true, .finished = true, .begun = true}, OUTCOME_FINISHED},
	{"files are through, while it was paused",
	 {.asked = true, .wanted = WANTED_PAUSED, .known = true, .finished = true, .begun = true},
	 OUTCOME_FINISHED},
	{"cut over", {.wanted = WANTED_RUNNING, .cut_over = true, .known = true, .begun = true}, OUTCOME_FINISHED},
	{"a cut-over is under way", {.wanted = WANTED_RUNNING, .cutting = true, .known = true, .begun = true}, OUTCOME_AGAIN_NOW},
	{"a cut-over is under way, and it failed",
	 {.wanted = WANTED_RUNNING, .cutting = true, .known = true, .code = ERROR_CONFLICT, .begun = true},
	 OUTCOME_FAILED},
	{"cut over, and killed", {.wanted = WANTED_RUNNING, .cut_over = true, .begun = true}, OUTCOME_FINISHED},
	{"cut over, as the job has told", {.wanted = WANTED_FINISHED, .known = true, .begun = true}, OUTCOME_FINISHED},
	/* by itself */
	{"killed", {.wanted = WANTED_RUNNING, .begun = true}, OUTCOME_AGAIN},
	{"killed at its first start", {.wanted = WANTED_RUNNING}, OUTCOME_AGAIN},
	{"SIGTERM of somebody else", {.wanted = WANTED_RUNNING, .known = true, .begun = true}, OUTCOME_AGAIN},
	{"internal", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_INTERNAL, .begun = true}, OUTCOME_AGAIN},
	{"not to be started", {.wanted = WANTED_RUNNING, .known = true, .code = 127}, OUTCOME_AGAIN},
	{"usage", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_USAGE, .begun = true}, OUTCOME_FAILED},
	{"usage at its first start", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_USAGE}, OUTCOME_FAILED},
	{"precheck", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_PRECHECK}, OUTCOME_PRECHECK_FAILED},
	{"precheck of one that has copied before",
	 {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_PRECHECK, .begun = true},
	 OUTCOME_FAILED},
	{"source away at its first start",
	 {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_SOURCE},
	 OUTCOME_PRECHECK_FAILED},
	{"target away at its first start",
	 {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_TARGET},
	 OUTCOME_PRECHECK_FAILED},
	{"source away", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_SOURCE, .begun = true}, OUTCOME_AGAIN},
	{"target away", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_TARGET, .begun = true}, OUTCOME_AGAIN},
	{"conflict", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_CONFLICT, .begun = true}, OUTCOME_FAILED},
	{"different", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_DIFFERENT, .begun = true}, OUTCOME_FAILED},
	{"run by one that is not known",
	 {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_BUSY, .held = true, .begun = true},
	 OUTCOME_AGAIN_NOW},
	{"run by another", {.wanted = WANTED_RUNNING, .known = true, .code = ERROR_BUSY, .begun = true}, OUTCOME_FAILED},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (outcome_of(&rows[i].ending) != rows[i].outcome)
			fail_msg("%s: %d", rows[i].name, (int)outcome_of(&rows[i].ending));
}

static void test_pauses(void **state)
{
	static const uint32_t expected[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
	uint32_t pause = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		pause = outcome_pause(pause, 100);
		assert_int_equal(pause, expected[i]);
	}
	assert_int_equal(outcome_pause(pause, OUTCOME_STABLE_MS - 1), 60000);
	assert_int_equal(outcome_pause(pause, OUTCOME_STABLE_MS), 1000);
}

static void test_words(void **state)
{
	(void)state;
	for (enum wanted wanted = WANTED_IDLE; wanted <= WANTED_FINISHED; wanted++)
		assert_int_equal(wanted_parse(wanted_name(wanted)), wanted);
	assert_int_equal(wanted_parse("of a later version"), WANTED_IDLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
