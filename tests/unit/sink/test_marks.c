/* The marker: marks in the target, and every command of the stream applied once whatever is lost; against targets that misbehave on cue. */
#include "sink_bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sink/sink_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TASK_KEY "keyferry:task:t"
#define LINK "0123456789ab"

static const struct marker_options marker = {"t",  LINK, "feedfacefeedface", "cafecafecafe", NULL, 1, "10.0.0.1:6379", NULL, 0,
					     NULL, 0};

static void open_guarded(struct sink_bench *bench, int count)
{
	sink_bench_open(bench, count);
	bench->options.marker = &marker;
}

static void expect_executed(const struct fake_target *fake, const char *filter, const char *expected)
{
	char *executed = fake_executed(fake, filter);

	assert_string_equal(executed, expected);
	free(executed);
}

static struct mark_record record_of(const struct fake_target *fake)
{
	char *text = fake_field(fake, TASK_KEY, LINK);
	struct mark_record record = {0};

	assert_true(mark_record_parse(slice_of_string(text), &record));
	free(text);
	return record;
}

/* Of the slot of a key. */
static struct mark mark_of(const struct fake_target *fake, const char *key)
{
	char name[64], *text;
	struct mark mark;

	snprintf(name, sizeof(name), MARK_PREFIX "{%s}", slot_tag(slot_of_key(slice_of_string(key))));
	text = fake_field(fake, name, LINK);
	mark = mark_parse(slice_of_string(text), marker.epoch);
	free(text);
	return mark;
}

static void test_forms(void **state)
{
	struct mark_record record = {"feedfacefeedface", "8cb37055bb2018703850f3ee6ef31b566d88f6ca", 4711, 3, {4700, 2},
				     "10.0.0.1:6379"},
			   again;
	static const char *const bad[] = {
		"", " ", "a", "a b 1", "a b 1 2 3 x d", "a b -2 0 1 1 d", "a b 1 -1 1 1 d", "a b 1 4294967296 1 1 d"};
	char text[MARK_RECORD_MAX];
	struct mark mark = {77, 5};

	(void)state;
	mark_record_put(&record, text);
	assert_true(mark_record_parse(slice_of_string(text), &again));
	assert_memory_equal(&again.mark, &record.mark, sizeof(mark.offset));
	assert_string_equal(again.source, record.source);
	assert_string_equal(again.replid, record.replid);
	assert_int_equal(again.offset, 4711);
	assert_int_equal(again.db, 3);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mark_record_parse(slice_of_string(bad[i]), &again));
	mark_put("feedfacefeedface", mark, text);
	assert_int_equal(mark_parse(slice_of_string(text), "feedfacefeedface").offset, 77);
	assert_int_equal(mark_parse(slice_of_string(text), "feedfacefeedface").sub, 5);
	assert_int_equal(mark_parse(slice_of_string(text), "beef").offset, -1); /* another epoch */
	assert_int_equal(mark_parse(SLICE("feedfacefeedface 1 2 3"), "feedfacefeedface").offset, -1);
	assert_true(mark_covers(mark, 77, 5) && mark_covers(mark, 76, 9) && mark_covers(mark, -1, 0));
	assert_false(mark_covers(mark, 77, 6) || mark_covers(mark, 78, 0) || mark_covers(MARK_NONE, -1, 0));
}

/* What waits goes together, with the mark; what comes meanwhile is the next flight. */
static void test_flights(void **state)
{
	struct sink_bench bench;
	uint64_t last;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_command(&bench, 0, "SET a 1");
	last = bench.position;
	bench_command(&bench, 0, "RPUSH l 1");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], NULL, "0 INCR n [tx]\n0 SET a 1 [tx]\n0 RPUSH l 1 [tx]\n");
	assert_int_equal(record_of(&bench.fakes[0]).mark.offset, last);
	assert_int_equal(record_of(&bench.fakes[0]).offset, bench.position - 1);
	assert_int_equal(sink_counters(bench.sink).commands, 3);
	/* the position moves without a command, and at the end the record follows */
	sink_progress(bench.sink, bench.position + 100, 2);
	assert_true(sink_settle(bench.sink));
	bench_wait(&bench, sink_idle(bench.sink));
	assert_false(sink_settle(bench.sink));
	assert_int_equal(record_of(&bench.fakes[0]).offset, bench.position + 99);
	assert_int_equal(record_of(&bench.fakes[0]).db, 2);
	assert_int_equal(record_of(&bench.fakes[0]).mark.offset, last);
	sink_bench_close(&bench);
}

/* A database is selected within a flight once the connection is known to have it; the record is always in 0. */
static void test_databases(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	for (int i = 0; i < 6; i++)
		bench_command(&bench, (uint32_t)(i % 3), "INCR n");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], NULL,
			"0 INCR n [tx]\n1 INCR n [tx]\n2 INCR n [tx]\n0 INCR n [tx]\n1 INCR n [tx]\n2 INCR n [tx]\n");
	assert_int_equal(record_of(&bench.fakes[0]).db, 2);
	sink_bench_close(&bench);
}

static const char *transaction[] = {"INCR n", "SELECT 4", "INCR n", NULL};

static void test_transaction(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR before");
	bench_transaction(&bench, 0, 4, 0, transaction);
	bench_command(&bench, 0, "INCR after");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], NULL, "0 INCR before [tx]\n0 INCR n [tx]\n4 INCR n [tx]\n0 INCR after [tx]\n");
	sink_bench_close(&bench);
}

/* ---- lost connections ---- */

struct fate {
	const char *of_exec;
	int left;
};

static const char *fateful_exec(void *owner, struct fake_target *fake)
{
	struct fate *fate = owner;

	(void)fake;
	return fate->left > 0 && fate->left-- > 0 ? fate->of_exec : NULL;
}

/* Told with what was under way, and what came of it. */
static void expect_outage(struct sink_bench *bench, bool executed)
{
	const struct incident *told = &bench->last_told[INCIDENT_TARGET_RECONNECTED];

	bench_wait(bench, bench->told[INCIDENT_TARGET_RECONNECTED] > 0);
	assert_string_equal(told->costs[1].name, "in_flight");
	assert_true(told->costs[1].value > 0);
	assert_true(told->costs[2].value + told->costs[3].value == told->costs[1].value); /* found applied, sent again */
	assert_true(told->costs[executed ? 2 : 3].value > 0);
	assert_int_equal(bench->told[INCIDENT_TARGET_GOES_ON], 0);
}

/* The answer to an EXEC is lost: whether it was executed or not, everything is there once. */
static void test_lost_answers(void **state)
{
	static const char *const fates[] = {FAKE_CLOSE, FAKE_CLOSE_EXECUTED};

	(void)state;
	for (int cluster = 0; cluster <= 2; cluster += 2) {
		for (size_t i = 0; i < 2; i++) {
			struct fate fate = {fates[i], 3};
			struct sink_bench bench;
			char words[32];

			open_guarded(&bench, cluster);
			bench.fakes[0].exec = fateful_exec;
			bench.fakes[0].owner = &fate;
			sink_bench_start(&bench);
			for (int j = 0; j < 40; j++) {
				snprintf(words, sizeof(words), "INCR {a}%d", j);
				bench_command(&bench, 0, words);
				if (j % 8 == 7)
					bench_turn(&bench);
				sink_flush(bench.sink);
			}
			bench_settle(&bench);
			assert_int_equal(fate.left, cluster && bench.cluster.owner[slot_of_key(SLICE("{a}"))] != 0 ? 3 : 0);
			assert_int_equal(bench.fakes[0].executed_count + bench.fakes[1].executed_count, 40);
			assert_int_equal(sink_counters(bench.sink).commands + sink_counters(bench.sink).already_applied, 40);
			if (fate.left == 0)
				expect_outage(&bench, i == 1);
			sink_bench_close(&bench);
		}
	}
}

/* A restart: from the low-water position, less what the mark covers, safe ones too. */
static void test_restart(void **state)
{
	struct sink_bench bench;
	char text[MARK_RECORD_MAX];
	struct mark_record record = {.offset = 999, .replid = "-", .source = "x"};

	(void)state;
	open_guarded(&bench, 0);
	snprintf(record.epoch, sizeof(record.epoch), "%s", marker.epoch);
	record.mark = (struct mark){1000 + (int64_t)bench_raw(&bench, "SET a 1").len, 0}; /* the second command */
	mark_record_put(&record, text);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK, text);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	bench_command(&bench, 0, "INCR a");
	bench_key(&bench, 0, "k", SLICE("of the snapshot"));
	bench_command(&bench, 0, "INCR b");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], NULL, "0 INCR b [tx]\n");
	sink_bench_close(&bench);
}

/* Marks of another epoch mean nothing. */
static void test_other_epoch(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK, "0000000000000000 - 9999 0 9999 0 x");
	sink_bench_start(&bench);
	bench_key(&bench, 0, "k", SLICE("v"));
	bench_command(&bench, 0, "INCR b");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], NULL, "0 SET k v\n0 INCR b [tx]\n");
	sink_bench_close(&bench);
}

/* Several units of one event: which of them is applied is in the mark. */
static void test_units_of_one_event(void **state)
{
	struct slice argv[] = {SLICE("APPEND"), SLICE("k"), SLICE("x")};
	struct event event = {.kind = EVENT_COMMAND, .argc = 3, .argv = argv, .start = 1000, .end = 1050};
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK, "feedfacefeedface - 999 0 1000 1 x");
	sink_bench_start(&bench);
	for (int i = 0; i < 4; i++)
		sink_arguments(bench.sink, &event, i == 3 ? 1050 : 1000, 0, 0, 0, 3, argv);
	bench.position = 1050;
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 2);
	assert_int_equal(record_of(&bench.fakes[0]).mark.sub, 3);
	sink_bench_close(&bench);
}

/* Units that are found anew (FLUSHDB of a part of the target) count for themselves: after a restart in their middle others may be the first. */
static void test_units_found_anew(void **state)
{
	struct slice argv[] = {SLICE("UNLINK"), SLICE("k")};
	struct event event = {.kind = EVENT_COMMAND, .argc = 2, .argv = argv, .start = 1000, .end = 1050};
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK, "feedfacefeedface - 999 0 1000 1 x");
	sink_bench_start(&bench);
	for (int i = 0; i < 3; i++)
		sink_arguments(bench.sink, &event, 1000, 0, 0, UNIT_FOUND, 2, argv);
	sink_progress(bench.sink, 1050, 0);
	bench.position = 1050;
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "UNLINK"), 3);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "INCR"), 1);
	assert_int_equal(record_of(&bench.fakes[0]).mark.offset, 1050);
	sink_bench_close(&bench);
}

/* ---- refusals ---- */

struct script {
	const char *text;  /* command that is refused ... */
	const char *reply; /* ... with this */
	int left;
};

static const char *refuse(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct script *script = owner;

	(void)fake;
	if (strcmp(command->text, script->text) != 0 || script->left == 0)
		return NULL;
	script->left--;
	return script->reply;
}

/* Out of memory for one of them: nothing overtakes it. */
static void test_order_after_refusal(void **state)
{
	struct script script = {"RPUSH l 2", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", 2};
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	bench.fakes[0].decide = refuse;
	bench.fakes[0].owner = &script;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "RPUSH l 1");
	bench_command(&bench, 0, "RPUSH l 2");
	bench_command(&bench, 0, "LPOP l");
	sink_flush(bench.sink);
	bench_command(&bench, 0, "LPOP l");
	bench_settle(&bench);
	assert_int_equal(script.left, 0);
	expect_executed(&bench.fakes[0], NULL, "0 RPUSH l 1 [tx]\n0 RPUSH l 2 [tx]\n0 LPOP l [tx]\n0 LPOP l [tx]\n");
	sink_bench_close(&bench);
}

/* ---- sent ahead ---- */

#define AHEAD_COMMANDS (3 * FLIGHT_UNITS_SHORT + 10)

/* Hands in so many that a whole flight is sent behind the first one; `fate` and `script` say what becomes of them. */
static void run_ahead(struct sink_bench *bench, struct fate *fate, struct script *script, bool discard_denied)
{
	char words[32];

	open_guarded(bench, 0);
	if (fate)
		bench->fakes[0].exec = fateful_exec;
	else
		bench->fakes[0].decide = refuse;
	bench->fakes[0].owner = fate ? (void *)fate : (void *)script;
	bench->fakes[0].discard_denied = discard_denied;
	sink_bench_start(bench);
	bench_command(bench, 0, "SET first 1");
	bench_settle(bench);
	if (fate)
		fate->left = fate->of_exec != NULL;
	for (int i = 0; i < AHEAD_COMMANDS; i++) {
		snprintf(words, sizeof(words), "RPUSH l %d", i);
		bench_command(bench, 0, words);
	}
	sink_flush(bench->sink);
	assert_non_null(bench->sink->marker->ahead);
	assert_int_equal(bench->sink->marker->ahead->count, FLIGHT_UNITS_SHORT);
	bench_settle(bench);
	assert_null(bench->sink->marker->ahead);
}

/* Each once, and in order. */
static void expect_ahead(const struct sink_bench *bench)
{
	const struct fake_target *fake = &bench->fakes[0];
	char expected[40];

	assert_int_equal(fake->executed_count, AHEAD_COMMANDS + 1);
	for (int i = 0; i < AHEAD_COMMANDS; i++) {
		snprintf(expected, sizeof(expected), "0 RPUSH l %d [tx]", i);
		assert_string_equal(fake->executed[i + 1], expected);
	}
	assert_int_equal(record_of(fake).offset, bench->position - 1);
}

/* A standalone target gets the next flight while one is out. Whatever becomes of that one, nothing overtakes it. */
static void test_ahead(void **state)
{
	static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
	static const char *const fates[] = {NULL, FAKE_CLOSE, FAKE_CLOSE_EXECUTED};
	/* in the first flight, in the one sent ahead, in the last one */
	static const char *const refused[] = {"RPUSH l 7", "RPUSH l 300", "RPUSH l 770"};
	struct sink_bench bench;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fate fate = {fates[i], 0};

		run_ahead(&bench, &fate, NULL, false);
		assert_int_equal(fate.left, 0);
		assert_int_equal(bench.fakes[0].connections > 2, fates[i] != NULL);
		expect_ahead(&bench);
		sink_bench_close(&bench);
	}
	for (size_t i = 0; i < 3; i++) {
		for (int denied = 0; denied < 2; denied++) {
			struct script script = {refused[i], oom, 1};

			run_ahead(&bench, NULL, &script, denied);
			assert_int_equal(script.left, 0);
			/* How many are ahead later depends on how soon the first one is answered. */
			if (i != 1 || denied)
				assert_int_equal(bench.fakes[0].discards, i == 0 && !denied);
			expect_ahead(&bench);
			sink_bench_close(&bench);
		}
	}
}

/* One that the target does not know is left out or stops the link; those around it are applied once. */
static void test_unknown_in_flight(void **state)
{
	(void)state;
	for (int skip = 0; skip < 2; skip++) {
		struct script script = {"SETBIT x 1 1", "-ERR unknown command 'SETBIT'\r\n", -1};
		struct sink_bench bench;

		open_guarded(&bench, 0);
		bench.options.on_conflict = skip ? ON_CONFLICT_SKIP : ON_CONFLICT_STOP;
		bench.fakes[0].decide = refuse;
		bench.fakes[0].owner = &script;
		sink_bench_start(&bench);
		bench_command(&bench, 0, "INCR n");
		bench_command(&bench, 0, "SETBIT x 1 1");
		bench_command(&bench, 0, "INCR m");
		if (skip) {
			bench_settle(&bench);
			assert_int_equal(sink_counters(bench.sink).conflicts, 1);
			expect_executed(&bench.fakes[0], NULL, "0 INCR n [tx]\n0 INCR m [tx]\n");
		} else {
			sink_flush(bench.sink);
			bench_wait(&bench, bench.failed);
			assert_non_null(strstr(bench.error.text, "SETBIT of key \"x\""));
			expect_executed(&bench.fakes[0], NULL, "0 INCR n [tx]\n");
		}
		sink_bench_close(&bench);
	}
}

static const char *wrong_type(void *owner, const char *text)
{
	(void)owner;
	return strstr(text, "RPUSH") ? "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n" : NULL;
}

/* Inside EXEC each one is told of, named and counted; the mark stands. */
static void test_refused_inside(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	bench.options.on_conflict = ON_CONFLICT_SKIP;
	bench.fakes[0].member = wrong_type;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_command(&bench, 0, "RPUSH l1 x");
	bench_transaction(&bench, 0, 0, 0, (const char *const[]){"INCR m", "RPUSH l2 x", NULL});
	bench_command(&bench, 0, "RPUSH l3 x");
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	assert_int_equal(sink_counters(bench.sink).conflicts, 3);
	assert_non_null(strstr(bench.notes, "key \"l1\""));
	assert_non_null(strstr(bench.notes, "a transaction with INCR of key \"m\""));
	assert_non_null(strstr(bench.notes, "key \"l3\""));
	expect_executed(&bench.fakes[0], NULL, "0 INCR n [tx]\n0 INCR m [tx]\n0 INCR n [tx]\n");
	sink_bench_close(&bench);
}

/* With `stop` those that were refused are the ones to go on with, whatever the mark says; what was executed behind them is not done again. */
static void test_stopped_inside(void **state)
{
	struct sink_bench bench;
	struct marker_options again = marker;
	const struct mark *refused;
	struct mark kept[2];
	uint32_t count;
	int64_t first;

	(void)state;
	open_guarded(&bench, 0);
	bench.fakes[0].member = wrong_type;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	first = (int64_t)bench.position;
	bench_command(&bench, 0, "RPUSH l1 x");
	bench_command(&bench, 0, "INCR n");
	bench_command(&bench, 0, "RPUSH l2 x");
	sink_flush(bench.sink);
	bench_wait(&bench, bench.failed && fake_executed_count(&bench.fakes[0], "INCR") == 2);
	bench_pass(&bench, 20);
	refused = sink_refused(bench.sink, &count);
	assert_int_equal(count, 2);
	assert_int_equal(refused[0].offset, first);
	memcpy(kept, refused, sizeof(kept));
	sink_free(bench.sink);
	/* mended, and started again */
	bench.fakes[0].member = NULL;
	bench.failed = false;
	again.token = "beefbeefbeef";
	again.refused = kept;
	again.refused_count = 2;
	bench.options.marker = &again;
	bench.options.position = bench.applied_max = bench.position = (uint64_t)first;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "RPUSH l1 x");
	bench_command(&bench, 0, "INCR n");
	bench_command(&bench, 0, "RPUSH l2 x");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], NULL, "0 INCR n [tx]\n0 INCR n [tx]\n0 RPUSH l1 x [tx]\n0 RPUSH l2 x [tx]\n");
	sink_refused(bench.sink, &count);
	assert_int_equal(count, 0);
	sink_bench_close(&bench);
}

/* ---- a cluster ---- */

/* Safe ones travel plain and not-safe ones with their slot's mark; the record follows by itself. */
static void test_cluster(void **state)
{
	struct fake_target *keeper;
	struct sink_bench bench;
	uint64_t at;

	(void)state;
	open_guarded(&bench, 2);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	at = bench.position;
	bench_command(&bench, 0, "INCR b");
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "SET a 1") + fake_executed_count(&bench.fakes[1], "SET a 1"), 1);
	assert_int_equal(
		fake_executed_count(&bench.fakes[0], "INCR b [tx]") + fake_executed_count(&bench.fakes[1], "INCR b [tx]"), 1);
	assert_int_equal(mark_of(&bench.fakes[bench.cluster.owner[slot_of_key(SLICE("b"))]], "b").offset, at);
	assert_int_equal(mark_of(&bench.fakes[bench.cluster.owner[slot_of_key(SLICE("a"))]], "a").offset, -1);
	/* The record says no more than the nodes' low marks do, so it is right with the second second. */
	keeper = &bench.fakes[bench.cluster.owner[slot_of_key(SLICE(TASK_KEY))]];
	bench_wait(&bench,
		   keeper->fields && strstr(keeper->fields, " - ") && record_of(keeper).offset == (int64_t)bench.position - 1);
	sink_bench_close(&bench);
}

/* A slot that moves while its commands are on their way. */
static void test_slot_moved(void **state)
{
	struct sink_bench bench;
	int slot = slot_of_key(SLICE("{a}"));
	char words[32];

	(void)state;
	open_guarded(&bench, 2);
	sink_bench_start(&bench);
	for (int i = 0; i < 60; i++) {
		snprintf(words, sizeof(words), "INCR {a}%d", i);
		bench_command(&bench, 0, words);
		sink_flush(bench.sink);
		if (i % 20 == 10) {
			bench.cluster.owner[slot] = 1 - bench.cluster.owner[slot];
			for (int j = 0; j < 3; j++)
				bench_turn(&bench);
		}
	}
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count + bench.fakes[1].executed_count, 60);
	bench_wait(&bench, bench.told[INCIDENT_TARGET_SLOTS_MOVED] > 0);
	assert_string_equal(bench.last_told[INCIDENT_TARGET_SLOTS_MOVED].costs[1].name, "slots");
	sink_bench_close(&bench);
}

static bool has_low(const struct fake_target *fake)
{
	return fake->fields && strstr(fake->fields, LINK ":low");
}

/* A slot that had moved before the sink knew, and in which the link has nothing to do: its mark is not where it is looked for at first. It is looked for again, or neither node
 * would ever be given a low mark, and the position that is kept would stay where it was. */
static void test_slot_moved_before(void **state)
{
	struct sink_bench bench;
	uint64_t kept;
	uint32_t db;

	(void)state;
	open_guarded(&bench, 2);
	for (int i = 0; i < 2; i++) {
		int slot = slot_of_key(i ? SLICE("x") : SLICE("s"));

		assert_int_equal(bench.cluster.owner[slot], i);
		bench.cluster.owner[slot] = 1 - i;
	}
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	bench_command(&bench, 0, "SET b 1");
	bench_settle(&bench);
	bench_wait(&bench, has_low(&bench.fakes[0]) && has_low(&bench.fakes[1]));
	bench_wait(&bench, (sink_kept(bench.sink, &kept, &db), kept == bench.position));
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_flights),
		cmocka_unit_test(test_databases),
		cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_lost_answers),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_other_epoch),
		cmocka_unit_test(test_units_of_one_event),
		cmocka_unit_test(test_units_found_anew),
		cmocka_unit_test(test_order_after_refusal),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_unknown_in_flight),
		cmocka_unit_test(test_refused_inside),
		cmocka_unit_test(test_stopped_inside),
		cmocka_unit_test(test_cluster),
		cmocka_unit_test(test_slot_moved),
		cmocka_unit_test(test_slot_moved_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
