/* The sink against one target: order, nothing lost, the low-water position, databases, bounds. */
#include "sink_bench.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_executed(const struct fake_target *fake, const char *expected)
{
	char *executed = fake_executed(fake, NULL);

	assert_string_equal(executed, expected);
	free(executed);
}

static uint64_t applied(const struct sink_bench *bench, uint32_t *db)
{
	uint64_t position;
	uint32_t ignored;

	sink_applied(bench->sink, &position, db ? db : &ignored);
	return position;
}

static void test_order(void **state)
{
	struct sink_bench bench;
	char words[32];

	(void)state;
	sink_bench_open(&bench, 0);
	sink_bench_start(&bench);
	for (int i = 0; i < 500; i++) {
		snprintf(words, sizeof(words), "SET k%d %d", i % 7, i);
		bench_command(&bench, 0, words);
	}
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 500);
	for (int i = 0; i < 500; i++) {
		snprintf(words, sizeof(words), "0 SET k%d %d", i % 7, i);
		assert_string_equal(bench.fakes[0].executed[i], words);
	}
	assert_int_equal(applied(&bench, NULL), bench.position);
	assert_int_equal(sink_counters(bench.sink).commands, 500);
	sink_bench_close(&bench);
}

/* The answers arrive byte by byte. */
static void test_replies_in_pieces(void **state)
{
	struct sink_bench bench;

	(void)state;
	sink_bench_open(&bench, 0);
	bench.fakes[0].reply_piece = 1;
	sink_bench_start(&bench);
	for (int i = 0; i < 60; i++)
		bench_command(&bench, (uint32_t)(i / 20), "INCR n");
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 60);
	assert_int_equal(applied(&bench, NULL), bench.position);
	sink_bench_close(&bench);
}

static void test_select(void **state)
{
	struct sink_bench bench;
	uint32_t db;

	(void)state;
	sink_bench_open(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	bench_command(&bench, 0, "SET b 1");
	bench_command(&bench, 3, "SET c 1");
	bench_command(&bench, 3, "SET d 1");
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].selects, 2);
	applied(&bench, &db);
	assert_int_equal(db, 3);
	/* a new connection is at database 0 again */
	fake_hang_up(&bench.fakes[0]);
	bench_wait(&bench, bench.fakes[0].connections == 2 && bench.fakes[0].open == 1);
	bench_command(&bench, 3, "SET e 1");
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].selects, 3);
	expect_executed(&bench.fakes[0], "0 SET a 1\n0 SET b 1\n3 SET c 1\n3 SET d 1\n3 SET e 1\n");
	sink_bench_close(&bench);
}

static const char *select_no_nine(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	(void)owner;
	(void)fake;
	return strcmp(command->text, "SELECT 9") == 0 ? "-ERR DB index is out of range\r\n" : NULL;
}

static void test_no_such_database(void **state)
{
	struct sink_bench bench;
	uint64_t before;

	(void)state;
	sink_bench_open(&bench, 0);
	bench.fakes[0].decide = select_no_nine;
	sink_bench_start(&bench);
	before = bench_command(&bench, 0, "SET a 1");
	bench_command(&bench, 9, "SET b 1");
	sink_flush(bench.sink);
	bench_wait(&bench, bench.failed);
	assert_int_equal(bench.error.kind, ERROR_CONFLICT);
	assert_non_null(strstr(bench.error.text, "database 9"));
	assert_true(applied(&bench, NULL) <= before);
	sink_bench_close(&bench);
}

/* A script that runs for too long makes the target refuse SELECT, too: what stands behind it must not run in another
 * database, and it is no reason to stop. */
static const char *busy_at_first(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	int *left = owner;

	(void)fake;
	if (strncmp(command->text, "SELECT 2", 8) != 0 || *left == 0)
		return NULL;
	--*left;
	return "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";
}

static void test_busy_select(void **state)
{
	struct sink_bench bench;
	int left = 2;

	(void)state;
	sink_bench_open(&bench, 0);
	bench.fakes[0].decide = busy_at_first;
	bench.fakes[0].owner = &left;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	bench_command(&bench, 2, "SET b 1");
	bench_settle(&bench);
	assert_int_equal(left, 0);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "2 SET b 1"), 1);
	assert_int_equal(applied(&bench, NULL), bench.position);
	sink_bench_close(&bench);
}

struct loss {
	const char *how;
	const char *at;
	int times;
};

static const char *lose(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct loss *loss = owner;

	(void)fake;
	if (loss->times == 0 || strcmp(command->text, loss->at) != 0)
		return NULL;
	loss->times--;
	return loss->how;
}

/* What arrives as first executions, each value once, is the order handed in. */
static void expect_first_executions_in_order(const struct fake_target *fake, int count)
{
	int highest = -1;

	for (size_t i = 0; i < fake->executed_count; i++) {
		int value = atoi(strrchr(fake->executed[i], ' ') + 1);

		assert_true(value <= highest + 1);
		if (value > highest)
			highest = value;
	}
	assert_int_equal(highest, count - 1);
	/* the last execution of each is in order, too: the state in the end is that of the source */
	assert_int_equal(atoi(strrchr(fake->executed[fake->executed_count - 1], ' ') + 1), count - 1);
}

static void check_loss(const char *how)
{
	struct loss loss = {how, "SET k 50", 1};
	struct sink_bench bench;
	char words[32];

	sink_bench_open(&bench, 0);
	bench.fakes[0].decide = lose;
	bench.fakes[0].owner = &loss;
	sink_bench_start(&bench);
	for (int i = 0; i < 100; i++) {
		snprintf(words, sizeof(words), "SET k %d", i);
		bench_command(&bench, 0, words);
	}
	bench_settle(&bench);
	assert_int_equal(loss.times, 0);
	expect_first_executions_in_order(&bench.fakes[0], 100);
	assert_int_equal(bench.fakes[0].connections, 2);
	assert_int_equal(sink_counters(bench.sink).reconnects, 1);
	assert_true(sink_counters(bench.sink).retries > 0);
	assert_int_equal(sink_counters(bench.sink).commands, 100);
	assert_int_equal(applied(&bench, NULL), bench.position);
	sink_bench_close(&bench);
}

static void test_lost_connection(void **state)
{
	(void)state;
	check_loss(FAKE_CLOSE);
	check_loss(FAKE_CLOSE_EXECUTED);
	check_loss(FAKE_CLOSE_IN_REPLY);
}

/* A target that falls silent: the position stays before what it has not answered; when the time is over, another connection
 * is made, the old one is killed there, and everything follows. */
static void test_silence(void **state)
{
	struct loss loss = {FAKE_SILENT, "SET k 5", 1};
	struct sink_bench bench;
	uint64_t ends[10];
	char words[32];

	(void)state;
	sink_bench_open(&bench, 0);
	bench.options.silence_timeout_ms = 1000;
	bench.fakes[0].decide = lose;
	bench.fakes[0].owner = &loss;
	sink_bench_start(&bench);
	for (int i = 0; i < 10; i++) {
		snprintf(words, sizeof(words), "SET k %d", i);
		ends[i] = bench_command(&bench, 0, words);
	}
	sink_flush(bench.sink);
	bench_wait(&bench, loss.times == 0);
	bench_pass(&bench, 100);
	assert_int_equal(applied(&bench, NULL), ends[4]);
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].kills, 1);
	expect_first_executions_in_order(&bench.fakes[0], 10);
	sink_bench_close(&bench);
}

/* A server that takes connections and says nothing (stopped, or a dead machine behind a proxy) is not waited for for ever
 * either. */
static void test_silence_from_the_start(void **state)
{
	struct sink_bench bench;

	(void)state;
	sink_bench_open(&bench, 0);
	bench.options.silence_timeout_ms = 1000;
	bench.fakes[0].mute_hello = true;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET a 1");
	sink_flush(bench.sink);
	bench_wait(&bench, bench.fakes[0].connections >= 2);
	bench.fakes[0].mute_hello = false;
	fake_hang_up(&bench.fakes[0]);
	bench_settle(&bench);
	expect_executed(&bench.fakes[0], "0 SET a 1\n");
	sink_bench_close(&bench);
}

static void test_bounds(void **state)
{
	struct sink_bench bench;
	char *value = memory_alloc(40001);
	char *words;
	int taken = 0;

	(void)state;
	memset(value, 'x', 40000);
	value[40000] = '\0';
	words = memory_printf("SET k %s", value);
	sink_bench_open(&bench, 0);
	bench.options.in_flight_commands = 16;
	bench.options.in_flight_bytes = 1 << 20;
	sink_bench_start(&bench);
	fake_freeze(&bench.fakes[0], true);
	while (sink_has_room(bench.sink)) {
		bench_command(&bench, 0, "SET k 1");
		taken++;
	}
	assert_int_equal(taken, 16); /* by commands */
	assert_int_equal(bench.rooms, 0);
	fake_freeze(&bench.fakes[0], false);
	bench_settle(&bench);
	assert_int_equal(bench.rooms, 1);
	sink_bench_close(&bench);

	sink_bench_open(&bench, 0);
	bench.options.in_flight_bytes = 1 << 20;
	sink_bench_start(&bench);
	for (taken = 0; sink_has_room(bench.sink); taken++)
		bench_command(&bench, 0, words);
	assert_in_range(taken, (1 << 20) / 40100, (1 << 20) / 40000 + 1); /* by bytes */
	bench_settle(&bench);
	sink_bench_close(&bench);
	free(words);
	free(value);
}

/* One event may become more units than there is room for: a DEL of many keys on a cluster. It was let in, so it has to fit. */
static void test_split_into_many(void **state)
{
	struct sink_bench bench;
	struct slice argv[2] = {SLICE("DEL"), SLICE("k")};
	struct event event = {.kind = EVENT_COMMAND, .start = 1000, .end = 2000, .argc = 2, .argv = argv};

	(void)state;
	sink_bench_open(&bench, 1);
	bench.options.in_flight_commands = 1;
	sink_bench_start(&bench);
	assert_true(sink_has_room(bench.sink));
	for (int i = 0; i < SLOT_COUNT; i++)
		sink_arguments(bench.sink, &event, i + 1 == SLOT_COUNT ? event.end : event.start, (uint16_t)i, 0, 0, 2, argv);
	assert_false(sink_has_room(bench.sink));
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, SLOT_COUNT);
	assert_int_equal(applied(&bench, NULL), event.end);
	sink_bench_close(&bench);
}

/* Several MiB that the target takes in its own time, in pieces, with others before and behind, in another database. */
static void test_large(void **state)
{
	struct sink_bench bench;
	size_t len = 5 << 20;
	uint8_t *value = memory_alloc(len);

	(void)state;
	memset(value, 'v', len);
	sink_bench_open(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 1, "SET before 1");
	bench_settle(&bench);
	fake_freeze(&bench.fakes[0], true);
	bench_key(&bench, 2, "large", slice_make(value, len));
	bench_command(&bench, 1, "SET behind 1");
	sink_flush(bench.sink);
	bench_pass(&bench, 30); /* the socket is full now, with the value partly in it */
	bench_command(&bench, 1, "SET later 1");
	sink_flush(bench.sink);
	fake_freeze(&bench.fakes[0], false);
	bench_settle(&bench);
	expect_executed(&bench.fakes[0],
			"1 SET before 1\n2 SET large vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\n1 SET behind 1\n1 SET later 1\n");

	/* lost in the middle of it: it comes whole, and once */
	fake_freeze(&bench.fakes[0], true);
	bench_key(&bench, 2, "again", slice_make(value, len));
	bench_command(&bench, 2, "SET last 1");
	sink_flush(bench.sink);
	bench_pass(&bench, 30);
	fake_hang_up(&bench.fakes[0]);
	fake_freeze(&bench.fakes[0], false);
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "2 SET again"), 1);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "2 SET last 1"), 1);
	sink_bench_close(&bench);
	free(value);
}

/* A key so long that its header does not fit into the window's memory. */
static void test_long_key(void **state)
{
	struct sink_bench bench;
	size_t len = 3 << 20;
	char *key = memory_alloc(len + 1);

	(void)state;
	memset(key, 'k', len);
	key[len] = '\0';
	sink_bench_open(&bench, 0);
	bench.options.in_flight_bytes = 64 << 10;
	sink_bench_start(&bench);
	for (int i = 0; i < 3; i++) {
		bench_wait(&bench, sink_has_room(bench.sink));
		bench_key(&bench, 0, key, SLICE("v"));
		sink_flush(bench.sink);
	}
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 3);
	sink_bench_close(&bench);
	free(key);
}

static void test_transaction_of_many_pieces(void **state)
{
	static const char *const commands[] = {"SET a 1", "SET b 2", "SET c 3", "SET d 4", "SET e 5", NULL};
	struct sink_bench bench;

	(void)state;
	sink_bench_open(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "SET x 1");
	bench_transaction(&bench, 0, 0, 0, commands);
	bench_command(&bench, 0, "SET y 1");
	bench_settle(&bench);
	expect_executed(&bench.fakes[0],
			"0 SET x 1\n0 SET a 1 [tx]\n0 SET b 2 [tx]\n0 SET c 3 [tx]\n0 SET d 4 [tx]\n0 SET e 5 [tx]\n0 SET y 1\n");
	assert_int_equal(sink_counters(bench.sink).commands, 3);
	assert_int_equal(applied(&bench, NULL), bench.position);
	sink_bench_close(&bench);
}

/* A transaction that selects another database inside, and is turned away: the connection has not changed its database, and
 * what follows must not rely on it. */
static const char *oom_once(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	int *left = owner;

	(void)fake;
	if (!command->in_transaction || strcmp(command->text, "SET a 1") != 0 || *left == 0)
		return NULL;
	--*left;
	return "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
}

static void test_select_in_refused_transaction(void **state)
{
	static const char *const commands[] = {"SET a 1", "SELECT 1", "SET b 2", NULL};
	struct sink_bench bench;
	int left = 1;

	(void)state;
	sink_bench_open(&bench, 0);
	bench.fakes[0].decide = oom_once;
	bench.fakes[0].owner = &left;
	sink_bench_start(&bench);
	bench_wait(&bench, bench.fakes[0].arrived >= 2);
	bench_pass(&bench, 10);
	bench_transaction(&bench, 0, 1, UNIT_REPLAY_SAFE, commands);
	bench_command(&bench, 1, "DEL c");
	bench_settle(&bench);
	assert_int_equal(left, 0);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "0 DEL c"), 0);
	assert_string_equal(bench.fakes[0].executed[bench.fakes[0].executed_count - 1], "1 DEL c");
	sink_bench_close(&bench);
}

static void test_progress(void **state)
{
	struct sink_bench bench;
	uint32_t db;

	(void)state;
	sink_bench_open(&bench, 0);
	sink_bench_start(&bench);
	sink_progress(bench.sink, 1100, 4);
	assert_int_equal(applied(&bench, &db), 1100);
	assert_int_equal(db, 4);
	bench.position = 1100;
	bench_command(&bench, 0, "SET a 1");
	sink_progress(bench.sink, 5000, 7);
	assert_int_equal(applied(&bench, &db), 1100); /* not over what is unanswered */
	bench_settle(&bench);
	assert_int_equal(applied(&bench, &db), 5000);
	assert_int_equal(db, 7);
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_replies_in_pieces),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_no_such_database),
		cmocka_unit_test(test_busy_select),
		cmocka_unit_test(test_lost_connection),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_silence_from_the_start),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_split_into_many),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_long_key),
		cmocka_unit_test(test_transaction_of_many_pieces),
		cmocka_unit_test(test_select_in_refused_transaction),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
