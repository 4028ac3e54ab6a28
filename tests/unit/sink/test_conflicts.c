/* What the target refuses for good: keys that exist, commands that its data does not fit, scripts, rights; by each policy,
 * at first and in replays. */
#include "sink_bench.h"

#include "base/clock.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct answer {
	const char *at; /* text that a command has to hold */
	const char *reply;
	int times;
};

static const char *answering(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct answer *answer = owner;

	(void)fake;
	for (; answer->at; answer++) {
		if (answer->times != 0 && strstr(command->text, answer->at)) {
			answer->times--;
			return answer->reply;
		}
	}
	return NULL;
}

static void open_bench(struct sink_bench *bench, struct answer *answers)
{
	sink_bench_open(bench, 0);
	bench->fakes[0].decide = answering;
	bench->fakes[0].owner = answers;
}

static void expect_failed(struct sink_bench *bench, enum error_kind kind, const char *text)
{
	sink_flush(bench->sink);
	bench_wait(bench, bench->failed);
	assert_int_equal(bench->error.kind, kind);
	if (!strstr(bench->error.text, text))
		fail_msg("'%s' does not say '%s'", bench->error.text, text);
	assert_true(bench->error.hint[0]);
	assert_false(sink_has_room(bench->sink));
}

static void hand_in_key(struct sink_bench *bench, const char *name)
{
	bench_key(bench, 0, name, SLICE("value"));
}

static void test_overwrite(void **state)
{
	struct answer answers[] = {{NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	hand_in_key(&bench, "k");
	bench_settle(&bench);
	assert_string_equal(bench.fakes[0].executed[0], "0 SET k value");
	sink_bench_close(&bench);
}

static void test_existing_key_skipped(void **state)
{
	struct answer answers[] = {{"SET old", "$-1\r\n", 1}, {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	bench.options.conflict = CONFLICT_SKIP;
	sink_bench_start(&bench);
	hand_in_key(&bench, "old");
	hand_in_key(&bench, "new");
	bench_settle(&bench);
	assert_string_equal(bench.fakes[0].executed[1], "0 SET new value NX");
	assert_int_equal(sink_counters(bench.sink).skipped_keys, 1);
	assert_int_equal(sink_counters(bench.sink).keys, 2);
	assert_int_equal(bench.applied_max, bench.position);
	sink_bench_close(&bench);
}

static void test_existing_key_stops(void **state)
{
	struct answer answers[] = {{"SET old", "$-1\r\n", 1}, {NULL, NULL, 0}};
	struct sink_bench bench;
	uint64_t position;
	uint32_t db;

	(void)state;
	open_bench(&bench, answers);
	bench.options.conflict = CONFLICT_STOP;
	sink_bench_start(&bench);
	hand_in_key(&bench, "first");
	position = bench.position;
	hand_in_key(&bench, "old");
	hand_in_key(&bench, "behind");
	expect_failed(&bench, ERROR_CONFLICT, "SET of key");
	bench_pass(&bench, 20);
	assert_int_equal(sink_counters(bench.sink).keys,
			 2); /* the one behind was on its way: it counts, but the position stays */
	sink_applied(bench.sink, &bench.applied_max, &db);
	assert_int_equal(bench.applied_max, position);
	sink_bench_close(&bench);
}

/* RESTORE says it by an error. */
static void test_busykey(void **state)
{
	for (int policy = CONFLICT_SKIP; policy <= CONFLICT_STOP; policy++) {
		struct answer answers[] = {{"RESTORE", "-BUSYKEY Target key name already exists.\r\n", 1}, {NULL, NULL, 0}};
		struct event event = {.kind = EVENT_KEY,
				      .key = SLICE("list"),
				      .value = SLICE("\x01\x01"
						     "a"),
				      .type = RDB_TYPE_LIST,
				      .expire_at_ms = EXPIRE_NEVER,
				      .start = 1000,
				      .end = 1010};
		struct sink_bench bench;

		(void)state;
		open_bench(&bench, answers);
		bench.options.conflict = (enum conflict_policy)policy;
		sink_bench_start(&bench);
		sink_key(bench.sink, &event, event.end, 0, event.db, false);
		if (policy == CONFLICT_STOP) {
			expect_failed(&bench, ERROR_CONFLICT, "list");
		} else {
			bench_settle(&bench);
			assert_int_equal(sink_counters(bench.sink).skipped_keys, 1);
		}
		sink_bench_close(&bench);
	}
}

/* A key that an earlier run may have brought is no conflict; one beyond what it can have sent is. */
static void test_key_of_earlier_run(void **state)
{
	struct answer answers[] = {{"SET", "$-1\r\n", 2}, {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	bench.options.conflict = CONFLICT_STOP;
	bench.options.sent_before = bench.position + 1;
	sink_bench_start(&bench);
	hand_in_key(&bench, "mine");
	bench_settle(&bench);
	hand_in_key(&bench, "theirs");
	expect_failed(&bench, ERROR_CONFLICT, "theirs");
	sink_bench_close(&bench);
}

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static void test_refused_stops(void **state)
{
	struct answer answers[] = {{"LPUSH", WRONGTYPE, 1}, {NULL, NULL, 0}};
	struct sink_bench bench;
	uint64_t before;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	before = bench_command(&bench, 0, "SET a 1");
	bench_command(&bench, 0, "LPUSH l x");
	expect_failed(&bench, ERROR_CONFLICT, "WRONGTYPE");
	assert_non_null(strstr(bench.error.text, "LPUSH of key \"l\""));
	sink_applied(bench.sink, &bench.applied_max, &(uint32_t){0});
	assert_int_equal(bench.applied_max, before);
	sink_bench_close(&bench);
}

static void test_refused_skipped(void **state)
{
	struct answer answers[] = {{"LPUSH", WRONGTYPE, 1}, {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	bench.options.on_conflict = ON_CONFLICT_SKIP;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "LPUSH l x");
	bench_command(&bench, 0, "SET a 1");
	bench_settle(&bench);
	assert_int_equal(sink_counters(bench.sink).conflicts, 1);
	assert_non_null(strstr(bench.notes, "LPUSH of key \"l\""));
	assert_int_equal(bench.applied_max, bench.position);
	sink_bench_close(&bench);
}

/* Nothing is written any more once the sink has failed: neither what waits in the queue nor later. */
static void test_nothing_after_failure(void **state)
{
	struct answer answers[] = {{"LPUSH", WRONGTYPE, 1}, {NULL, NULL, 0}};
	struct sink_bench bench;
	size_t arrived;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "LPUSH l x");
	sink_flush(bench.sink);
	bench_command(&bench, 0, "SET a 1"); /* not flushed yet */
	bench_wait(&bench, bench.failed);
	arrived = bench.fakes[0].arrived;
	sink_flush(bench.sink);
	bench_pass(&bench, 60);
	assert_int_equal(bench.fakes[0].arrived, arrived);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "SET a"), 0);
	sink_bench_close(&bench);
}

static void test_denied(void **state)
{
	struct answer answers[] = {{"SET", "-NOPERM this user has no permissions to run the 'set' command\r\n", 1},
				   {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	expect_failed(&bench, ERROR_TARGET, "NOPERM");
	sink_bench_close(&bench);
}

/* A script that failed at the source as well is counted, not stopped for. One that the target does not understand is not of
 * that kind. */
static void test_script_errors(void **state)
{
	struct answer answers[] = {{"EVAL return", "-ERR Error running script: x\r\n", 1},
				   {"EVAL other", "-ERR unknown command 'EVAL'\r\n", 1},
				   {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "EVAL return 1 k");
	bench_settle(&bench);
	assert_int_equal(sink_counters(bench.sink).script_errors, 1);
	bench_command(&bench, 0, "EVAL other 1 k");
	expect_failed(&bench, ERROR_CONFLICT, "unknown command");
	sink_bench_close(&bench);
}

/* A transaction turned away as a whole has not been executed: not even a script call in it makes that harmless. */
static void test_transaction_turned_away(void **state)
{
	static const char *const commands[] = {"SET a 1", "LPUSH l x", NULL};
	struct answer answers[] = {{"LPUSH", "-ERR something about it\r\n", 1}, {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	bench_transaction(&bench, 0, 0, UNIT_SCRIPT, commands);
	expect_failed(&bench, ERROR_CONFLICT, "a transaction with SET of key \"a\"");
	assert_int_equal(bench.fakes[0].executed_count, 0);
	sink_bench_close(&bench);
}

/* A transaction that has to wait for memory is sent again as a whole. */
static void test_transaction_waits(void **state)
{
	static const char *const commands[] = {"SET a 1", "SET b 2", NULL};
	struct answer answers[] = {{"SET b", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", 2}, {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	bench_transaction(&bench, 0, 0, 0, commands);
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 2);
	assert_int_equal(answers[0].times, 0);
	sink_bench_close(&bench);
}

/* Sent again after a lost connection, or in the stretch that the run before may have applied: refused because it is there
 * already. */
static void test_replays(void **state)
{
	static const struct {
		const char *words, *reply;
	} cases[] = {
		{"XADD s 5-1 f v", "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"},
		{"XGROUP CREATE s g $", "-BUSYGROUP Consumer Group name already exists\r\n"},
		{"RENAME a b", "-ERR no such key\r\n"},
		{"RESTORE k 0 payload", "-BUSYKEY Target key name already exists.\r\n"},
		{"LPUSH l x", WRONGTYPE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer answers[] = {
			{cases[i].words, FAKE_CLOSE_EXECUTED, 1}, {cases[i].words, cases[i].reply, -1}, {NULL, NULL, 0}};
		struct sink_bench bench;

		open_bench(&bench, answers);
		sink_bench_start(&bench);
		bench_command(&bench, 0, cases[i].words);
		bench_settle(&bench);
		assert_int_equal(bench.fakes[0].executed_count, 1);
		bench_command(&bench, 0, cases[i].words); /* a new one is no replay */
		expect_failed(&bench, ERROR_CONFLICT, "refuses");
		sink_bench_close(&bench);

		answers[0].times = 0;
		open_bench(&bench, answers);
		bench.options.sent_before = bench.position + 1;
		sink_bench_start(&bench);
		bench_command(&bench, 0, cases[i].words);
		bench_settle(&bench);
		bench_command(&bench, 0, cases[i].words);
		expect_failed(&bench, ERROR_CONFLICT, "refuses");
		sink_bench_close(&bench);
	}
}

/* Not even a replay may lose what the target does not know. */
static void test_replay_of_unknown_command(void **state)
{
	struct answer answers[] = {
		{"NEW.CMD", FAKE_CLOSE, 1}, {"NEW.CMD", "-ERR unknown command 'NEW.CMD'\r\n", -1}, {NULL, NULL, 0}};
	struct sink_bench bench;

	(void)state;
	open_bench(&bench, answers);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "NEW.CMD k");
	expect_failed(&bench, ERROR_CONFLICT, "unknown command");
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overwrite),
		cmocka_unit_test(test_existing_key_skipped),
		cmocka_unit_test(test_existing_key_stops),
		cmocka_unit_test(test_busykey),
		cmocka_unit_test(test_key_of_earlier_run),
		cmocka_unit_test(test_refused_stops),
		cmocka_unit_test(test_refused_skipped),
		cmocka_unit_test(test_nothing_after_failure),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_script_errors),
		cmocka_unit_test(test_transaction_turned_away),
		cmocka_unit_test(test_transaction_waits),
		cmocka_unit_test(test_replays),
		cmocka_unit_test(test_replay_of_unknown_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
