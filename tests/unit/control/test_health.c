/* What probes are told. */
#include "base/clock.h"
#include "control/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t now_us = 1000000;

static uint64_t monotonic(void)
{
	return now_us;
}

static int64_t wall(void)
{
	return 0;
}

static const struct clock_source owned = {monotonic, wall};

static void expect(const struct health *health, const struct task_status *status, enum health_probe probe, bool ok,
		   const char *text)
{
	bool said;
	char *answer = health_answer(health, status, probe, &said);

	assert_string_equal(answer, text);
	assert_int_equal(said, ok);
	free(answer);
}

static void test_probes(void **state)
{
	struct link_status link = {.phase = LINK_STREAMING, .source = "h:1", .connected = true};
	struct task_status status = {.name = "t", .state = TASK_SNAPSHOT, .link_count = 1, .links = &link};
	struct health health = {0};

	(void)state;
	health_turn(&health);
	expect(&health, &status, HEALTH_LIVE, true, "ok\n");
	expect(&health, &status, HEALTH_READY, false, "state: snapshot\n");
	status.state = TASK_STREAMING;
	expect(&health, &status, HEALTH_READY, true, "ok\n");
	link.connected = false;
	expect(&health, &status, HEALTH_READY, false, "link h:1: the source is away\n");
	strcpy(link.receiver.away.text, "h:1: NOPERM");
	expect(&health, &status, HEALTH_READY, false, "link h:1: the source is away: h:1: NOPERM\n");
	expect(&health, &status, HEALTH_LIVE, true, "ok\n");
	strcpy(link.applier.waiting_for, "10.1.0.1:6379: OOM");
	expect(&health, &status, HEALTH_READY, false, "link h:1: waiting for 10.1.0.1:6379: OOM\n");
	status.state = TASK_FINISHED;
	expect(&health, &status, HEALTH_READY, true, "ok\n");
	status.state = TASK_STREAMING;
	error_set(&status.error, ERROR_TARGET, "no");
	expect(&health, &status, HEALTH_LIVE, false, "failed: no\n");
}

static void test_silence(void **state)
{
	struct task_status status = {.name = "t", .state = TASK_STREAMING};
	struct health health = {0};

	(void)state;
	health_turn(&health);
	now_us += 31000000;
	expect(&health, &status, HEALTH_LIVE, false, "the control thread has not turned for 31 s\n");
	/* Ending may take its time. */
	health_end(&health);
	expect(&health, &status, HEALTH_LIVE, true, "ok\n");
	expect(&health, &status, HEALTH_READY, false, "the task is being stopped\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_probes), cmocka_unit_test(test_silence)};

	clock_use(&owned);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
