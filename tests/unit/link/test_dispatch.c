/* The dispatch in front of a sink: transactions with left-out parts, databases, libraries, barriers. */
#include "../sink/sink_bench.h"
#include "link/dispatch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "decode/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
	struct sink_bench target;
	struct task_options task;
	struct lag lag;
	struct dispatch *dispatch;
	struct stream_decoder *stream;
	unsigned go_ons;
	unsigned saves;
	bool cannot_save;
	uint64_t saved; /* position, at the last time */
};

static void on_go_on(void *owner)
{
	((struct bench *)owner)->go_ons++;
}

static bool on_save(void *owner)
{
	struct bench *bench = owner;
	uint32_t db;

	sink_applied(bench->target.sink, &bench->saved, &db);
	bench->saves++;
	return !bench->cannot_save;
}

static void on_note(void *owner, int level, const char *text)
{
	(void)owner;
	(void)level;
	(void)text;
}

static void choose(struct bench *bench, uint32_t db)
{
	bench->task.all_databases = false;
	bench->task.databases[db / 64] |= 1ULL << (db % 64);
}

static void open_bench(struct bench *bench, int masters)
{
	*bench = (struct bench){.task = {.all_databases = true}};
	sink_bench_open(&bench->target, masters);
	sink_bench_start(&bench->target);
}

static void begin(struct bench *bench)
{
	struct dispatch_options options = {
		.loop = bench->target.loop,
		.task = &bench->task,
		.target = &bench->target.deployment,
		.topology = &bench->target.topology,
		.abilities = bench->target.options.abilities,
		.only_link = true,
		.name = "keyferry:test",
		.lag = &bench->lag,
		.note = on_note,
		.go_on = on_go_on,
		.save = on_save,
		.owner = bench,
	};

	bench->dispatch = dispatch_new(&options);
	dispatch_begin(bench->dispatch, bench->target.sink, &(struct dispatch_start){.generation = 1});
	bench->stream = stream_decoder_new(dispatch_commands(bench->dispatch));
}

static void close_bench(struct bench *bench)
{
	stream_decoder_free(bench->stream);
	dispatch_free(bench->dispatch);
	sink_bench_close(&bench->target);
}

/* As the applier does it. */
static bool is_ready(struct bench *bench, struct error *error)
{
	enum dispatch_state state = dispatch_ready(bench->dispatch, error);

	sink_flush(bench->target.sink);
	return state != DISPATCH_WAITS;
}

/* The commands as one stretch of a stream. False: refused. */
static bool stream(struct bench *bench, const char *const *commands, struct error *error)
{
	for (; *commands; commands++) {
		struct slice raw = bench_raw(&bench->target, *commands);
		struct event event;
		uint64_t need;

		assert_int_equal(stream_decode(bench->stream, raw, bench->target.position, &event, &need, error), PARSE_OK);
		bench->target.position = event.end;
		if (!dispatch_event(bench->dispatch, &event, stream_decoder_database(bench->stream), false, error))
			return false;
		bench_wait(&bench->target, is_ready(bench, error));
	}
	return true;
}

static void expect_executed(struct bench *bench, const char *expected)
{
	char *executed;

	bench_settle(&bench->target);
	executed = fake_executed(&bench->target.fakes[0], NULL);
	assert_string_equal(executed, expected);
	free(executed);
	assert_int_equal(bench->target.applied_max, bench->target.position);
}

/* All of the commands are taken, and what they come to at the target. */
static void expect_stream(struct bench *bench, const char *const *commands, const char *expected)
{
	struct error error;

	assert_true(stream(bench, commands, &error));
	expect_executed(bench, expected);
}

/* Of a transaction through several databases, what is not chosen stays away: its SELECTs, too. */
static void test_transaction_of_several_databases(void **state)
{
	static const char *const commands[] = {"SELECT 7", "MULTI",   "SET x 1",  "SELECT 0", "SET a 1",
					       "SELECT 9", "SET y 1", "SELECT 2", "SET b 2",  "SELECT 9",
					       "SET z 1",  "EXEC",    "SELECT 2", "SET c 3",  NULL};
	struct bench bench;
	uint64_t left_out;

	(void)state;
	open_bench(&bench, 0);
	choose(&bench, 0);
	choose(&bench, 2);
	begin(&bench);
	expect_stream(&bench, commands, "0 SET a 1 [tx]\n2 SET b 2 [tx]\n2 SET c 3\n");
	left_out = dispatch_counters(bench.dispatch).left_out;
	assert_int_equal(left_out, 3);
	close_bench(&bench);
}

/* A heartbeat stays away; but a MIGRATE of the source deletes it by one command together with what else it has moved. */
static void test_heartbeat_among_others(void **state)
{
	static const char *const commands[] = {"SET DTS_REDIS_TIMESTAMP_HEARTBEAT:{3} 1795422720000",
					       "DEL DTS_REDIS_TIMESTAMP_HEARTBEAT:{3}",
					       "DEL DTS_REDIS_TIMESTAMP_HEARTBEAT:{3} {3}a {3}b", NULL};
	struct bench bench;

	(void)state;
	open_bench(&bench, 0);
	begin(&bench);
	expect_stream(&bench, commands, "0 DEL DTS_REDIS_TIMESTAMP_HEARTBEAT:{3} {3}a {3}b\n");
	assert_int_equal(bench.lag.met_ms, 1795422720000);
	close_bench(&bench);
}

/* A cluster knows no SELECT but of 0. */
static void test_transaction_to_cluster(void **state)
{
	static const char *const commands[] = {"SELECT 5", "MULTI",      "SELECT 0", "SET {t}a 1",
					       "SELECT 5", "SET {t}x 1", "EXEC",     NULL};
	struct bench bench;

	(void)state;
	open_bench(&bench, 1);
	choose(&bench, 0);
	begin(&bench);
	expect_stream(&bench, commands, "0 SET {t}a 1 [tx]\n");
	close_bench(&bench);
}

static const struct guard_times held = {.form = GUARD_HELD, .base = GUARD_KEY_BASE};

/* In every way that a command goes: as it came but for one argument, inside a transaction, made of another one. */
static void test_held_times(void **state)
{
	static const char *const commands[] = {"SET a 1 PXAT 4102444800000",
					       "EXPIREAT a 4102444800 GT",
					       "MULTI",
					       "SET b 1 PXAT 4102444800000",
					       "INCR c",
					       "EXEC",
					       "RENAME a d",
					       "SET e 1",
					       NULL};
	struct bench bench;
	uint64_t moved;

	(void)state;
	open_bench(&bench, 0);
	begin(&bench);
	dispatch_set_times(bench.dispatch, &held);
	assert_int_equal(dispatch_last_move(bench.dispatch), 0);
	expect_stream(
		&bench, commands,
		"0 SET a 1 PXAT 4507702072170496\n0 PEXPIREAT a 4507702072170496\n0 SET b 1 PXAT 4507702072170496 [tx]\n0 INCR c [tx]\n"
		"0 RENAME a d\n0 SET e 1\n");
	moved = dispatch_last_move(bench.dispatch);
	assert_true(moved > 0 && moved < bench.target.position);
	close_bench(&bench);
}

/* Of several slots, each part has the time. */
static void test_held_times_split_by_slot(void **state)
{
	static const char *const commands[] = {"MSETEX 2 {1}a x {2}b y PXAT 4102444800000", NULL};
	struct bench bench;

	(void)state;
	open_bench(&bench, 1);
	bench.target.options.abilities.redis = VERSION(7, 0, 15); /* knows no MSETEX */
	begin(&bench);
	dispatch_set_times(bench.dispatch, &held);
	expect_stream(&bench, commands, "0 SET {1}a x PXAT 4507702072170496 [tx]\n0 SET {2}b y PXAT 4507702072170496 [tx]\n");
	close_bench(&bench);
}

/* A key of the snapshot whose time is over is brought where the target waits for its DEL. */
static void test_passed_keys(void **state)
{
	static const struct {
		enum guard_form form;
		const char *executed;
		uint64_t expired;
	} cases[] = {
		{GUARD_OFF, "", 1},
		{GUARD_IMPORT, "0 SET k v PXAT 1000\n", 0},
		{GUARD_LIVE, "0 SET k v PXAT 4503599627371496\n", 0},
		{GUARD_HELD, "0 SET k v PXAT 4503599627371496\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct guard_times times = {.form = cases[i].form, .base = GUARD_KEY_BASE, .margin_ms = 60000};
		struct event event = {.kind = EVENT_KEY,
				      .key = SLICE("k"),
				      .value = SLICE("\001v"),
				      .string = SLICE("v"),
				      .expire_at_ms = 1000};
		struct bench bench;
		struct error error;

		open_bench(&bench, 0);
		begin(&bench);
		dispatch_set_times(bench.dispatch, &times);
		event.start = bench.target.position;
		event.end = bench.target.position = event.start + 10;
		assert_true(dispatch_event(bench.dispatch, &event, 0, false, &error));
		sink_flush(bench.target.sink);
		expect_executed(&bench, cases[i].executed);
		assert_int_equal(dispatch_counters(bench.dispatch).expired_keys, cases[i].expired);
		close_bench(&bench);
	}
}

static void test_empty_transaction(void **state)
{
	static const char *const commands[] = {"SELECT 1", "MULTI", "SET a 1", "EXEC", NULL};
	struct bench bench;
	struct error error;

	(void)state;
	open_bench(&bench, 0);
	choose(&bench, 0);
	begin(&bench);
	assert_true(stream(&bench, commands, &error));
	assert_false(dispatch_in_transaction(bench.dispatch));
	expect_executed(&bench, "");
	close_bench(&bench);
}

static void expect_filtered(struct bench *bench, const char *filter, const char *expected)
{
	char *executed = fake_executed(&bench->target.fakes[0], filter);

	assert_string_equal(executed, expected);
	free(executed);
}

/* A MULTI and EXEC for each slot; what concerns all masters stands between those before and those behind it. */
static void test_transaction_across_slots(void **state)
{
	static const char *const commands[] = {"MULTI",     "SET {x}1 1", "SET {y}1 1", "MSET {x}2 1 {y}2 1",
					       "INCR {y}1", "FLUSHALL",   "SET {y}3 1", "PUBLISH channel text",
					       "EXEC",      "SET {x}4 1", NULL};
	struct bench bench;
	struct error error;

	(void)state;
	open_bench(&bench, 1);
	begin(&bench);
	assert_true(stream(&bench, commands, &error));
	bench_settle(&bench.target);
	expect_filtered(&bench, "{x}", "0 SET {x}1 1 [tx]\n0 MSET {x}2 1 [tx]\n0 SET {x}4 1\n");
	expect_filtered(&bench, "{y}", "0 SET {y}1 1 [tx]\n0 MSET {y}2 1 [tx]\n0 INCR {y}1 [tx]\n0 SET {y}3 1 [tx]\n");
	assert_non_null(strstr(bench.target.fakes[0].executed[5], "FLUSHALL"));
	assert_int_equal(bench.target.applied_max, bench.target.position);
	assert_int_equal(dispatch_counters(bench.dispatch).transactions_split, 1);
	assert_int_equal(sink_counters(bench.target.sink).commands, 2); /* records: the transaction and SET */
	close_bench(&bench);
}

/* More parts than there is room for: they go in turn, and nothing else goes between them. */
static void test_transaction_of_many_slots(void **state)
{
	static const char *commands[70];
	static char text[70][32];
	struct bench bench;
	struct error error;

	(void)state;
	bench = (struct bench){.task = {.all_databases = true}};
	sink_bench_open(&bench.target, 2);
	bench.target.options.in_flight_commands = 2;
	sink_bench_start(&bench.target);
	begin(&bench);
	commands[0] = "MULTI";
	for (int i = 1; i <= 60; i++) {
		snprintf(text[i], sizeof(text[i]), "INCR key:%d", i);
		commands[i] = text[i];
	}
	commands[61] = "EXEC";
	commands[62] = "INCR key:7";
	assert_true(stream(&bench, commands, &error));
	bench_settle(&bench.target);
	assert_int_equal(
		fake_executed_count(&bench.target.fakes[0], "INCR") + fake_executed_count(&bench.target.fakes[1], "INCR"), 61);
	assert_int_equal(bench.target.applied_max, bench.target.position);
	close_bench(&bench);
}

static const char *one_value(void *owner, const char *text)
{
	(void)owner;
	if (strncmp(text, "DUMP", 4) == 0)
		return "$5\r\nvalue\r\n";
	return strncmp(text, "PEXPIRETIME", 11) == 0 ? ":-1\r\n" : NULL;
}

/* Commands across slots within a transaction keep their place in it, two in a row as well. */
static void test_crossings_in_a_transaction(void **state)
{
	static const char *const commands[] = {"MULTI", "SET {x}1 1", "RENAME {x}1 {y}1", "RENAME {y}1 {x}2", "SET {x}2 1",
					       "EXEC",  NULL};
	struct bench bench;

	(void)state;
	open_bench(&bench, 1);
	bench.target.fakes[0].member = one_value;
	begin(&bench);
	expect_stream(
		&bench, commands,
		"0 SET {x}1 1 [tx]\n0 DUMP {x}1 [tx]\n0 PEXPIRETIME {x}1 [tx]\n0 RESTORE {y}1 0 value REPLACE\n0 UNLINK {x}1\n"
		"0 DUMP {y}1 [tx]\n0 PEXPIRETIME {y}1 [tx]\n0 RESTORE {x}2 0 value REPLACE\n0 UNLINK {y}1\n0 SET {x}2 1 [tx]\n");
	assert_int_equal(dispatch_counters(bench.dispatch).crossings.commands, 2);
	assert_false(dispatch_half_done(bench.dispatch));
	close_bench(&bench);
}

/* FLUSHALL waits for all before it, goes to every master, and all behind it waits. */
static void test_barrier(void **state)
{
	static const char *const commands[] = {"SET k1 1", "SET k2 1", "SET k3 1", "SELECT 3", "FLUSHALL",
					       "SELECT 0", "SET k1 2", "SET k2 2", "SET k3 2", NULL};
	struct bench bench;
	struct error error;

	(void)state;
	open_bench(&bench, 3);
	begin(&bench);
	assert_true(stream(&bench, commands, &error));
	bench_settle(&bench.target);
	for (int f = 0; f < 3; f++) {
		const struct fake_target *fake = &bench.target.fakes[f];
		bool flushed = false;

		assert_int_equal(fake_executed_count(fake, "FLUSHALL"), 1);
		for (size_t i = 0; i < fake->executed_count; i++) {
			char last = fake->executed[i][strlen(fake->executed[i]) - 1];

			if (strstr(fake->executed[i], "FLUSHALL"))
				flushed = true;
			else
				assert_int_equal(last, flushed ? '2' : '1');
		}
	}
	assert_int_equal(bench.target.applied_max, bench.target.position);
	close_bench(&bench);
}

/* What stands before a barrier, and the barrier's command, are kept before anything follows; where that is not possible, all waits. */
static void test_barrier_is_kept(void **state)
{
	static const char *const before[] = {"SET k1 1", NULL}, *const after[] = {"SET k1 2", "RENAME k1 k2", "SET k1 3", NULL};
	struct bench bench;
	struct slice raw;
	struct event event;
	struct error error;
	uint64_t need;

	(void)state;
	open_bench(&bench, 3);
	for (int f = 0; f < 3; f++)
		bench.target.fakes[f].member = one_value;
	begin(&bench);
	assert_true(stream(&bench, before, &error));
	bench.cannot_save = true;
	raw = bench_raw(&bench.target, "FLUSHALL");
	assert_int_equal(stream_decode(bench.stream, raw, bench.target.position, &event, &need, &error), PARSE_OK);
	bench.target.position = event.end;
	assert_true(dispatch_event(bench.dispatch, &event, 0, false, &error));
	assert_int_equal(bench.saves, 0);
	bench_wait(&bench.target, is_ready(&bench, &error) || bench.saves > 0);
	assert_int_equal(bench.saved, event.end);
	assert_false(is_ready(&bench, &error));
	bench.cannot_save = false;
	assert_true(is_ready(&bench, &error));
	assert_int_equal(bench.saves, 3);
	/* other things that are waited for need not be kept */
	assert_true(stream(&bench, after, &error));
	bench_settle(&bench.target);
	assert_int_equal(dispatch_counters(bench.dispatch).crossings.commands, 1);
	assert_int_equal(bench.saves, 3);
	close_bench(&bench);
}

static void test_split(void **state)
{
	static const char *const commands[] = {"MSET k1 1 k2 2 k3 3 k4 4", "DEL k1 k2 k3", "UNLINK k4", NULL};
	struct bench bench;
	struct error error;
	size_t sets = 0, dels = 0;

	(void)state;
	open_bench(&bench, 2);
	begin(&bench);
	assert_true(stream(&bench, commands, &error));
	bench_settle(&bench.target);
	for (int f = 0; f < 2; f++) {
		sets += fake_executed_count(&bench.target.fakes[f], "MSET");
		dels += fake_executed_count(&bench.target.fakes[f], "DEL");
	}
	assert_int_equal(sets, 4);
	assert_int_equal(dels, 3);
	assert_int_equal(bench.target.applied_max, bench.target.position);
	close_bench(&bench);
}

static const char *library_exists(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	(void)owner;
	(void)fake;
	return strncmp(command->text, "FUNCTION LOAD #", 15) == 0 ? "-ERR Library 'mylib' already exists\r\n" : NULL;
}

/* A library that the target has already follows target.conflict, on a cluster as on a single server. */
static void test_existing_library(void **state)
{
	(void)state;
	for (int masters = 0; masters <= 2; masters += 2) {
		for (int policy = CONFLICT_OVERWRITE; policy <= CONFLICT_STOP; policy++) {
			struct event event = {
				.kind = EVENT_FUNCTION, .start = 1000, .end = 1100, .value = SLICE("#!lua name=mylib\n...")};
			struct bench bench;
			struct error error;

			open_bench(&bench, masters);
			for (int f = 0; f < bench.target.fake_count; f++)
				bench.target.fakes[f].decide = library_exists;
			bench.task.conflict = (enum conflict_policy)policy;
			begin(&bench);
			assert_true(dispatch_event(bench.dispatch, &event, 0, false, &error));
			sink_flush(bench.target.sink);
			bench_wait(&bench.target,
				   bench.target.failed || (dispatch_ready(bench.dispatch, &error) == DISPATCH_READY &&
							   sink_idle(bench.target.sink)));
			assert_int_equal(bench.target.failed, policy == CONFLICT_STOP);
			assert_int_equal(fake_executed_count(&bench.target.fakes[0], "FUNCTION LOAD REPLACE"),
					 policy == CONFLICT_OVERWRITE);
			close_bench(&bench);
		}
	}
}

static void test_database_on_cluster(void **state)
{
	static const char *const commands[] = {"SELECT 4", "SET a 1", NULL};
	struct bench bench;
	struct error error;

	(void)state;
	open_bench(&bench, 1);
	begin(&bench);
	assert_false(stream(&bench, commands, &error));
	assert_non_null(strstr(error.text, "database 4"));
	close_bench(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transaction_of_several_databases),
		cmocka_unit_test(test_transaction_to_cluster),
		cmocka_unit_test(test_empty_transaction),
		cmocka_unit_test(test_transaction_across_slots),
		cmocka_unit_test(test_transaction_of_many_slots),
		cmocka_unit_test(test_crossings_in_a_transaction),
		cmocka_unit_test(test_barrier),
		cmocka_unit_test(test_barrier_is_kept),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_existing_library),
		cmocka_unit_test(test_database_on_cluster),
		cmocka_unit_test(test_held_times),
		cmocka_unit_test(test_held_times_split_by_slot),
		cmocka_unit_test(test_heartbeat_among_others),
		cmocka_unit_test(test_passed_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
