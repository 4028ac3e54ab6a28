/* The sink on a cluster: slots that move, are on their way, wait; nodes that come, go and point at each other. */
#include "sink_bench.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Hands in `count` of "SET <key> <i>", i counting on from `first`. */
static void hand_in(struct sink_bench *bench, const char *key, int first, int count)
{
	char words[64];

	for (int i = first; i < first + count; i++) {
		bench_wait(bench, sink_has_room(bench->sink));
		snprintf(words, sizeof(words), "SET %s %d", key, i);
		bench_command(bench, 0, words);
	}
	sink_flush(bench->sink);
}

/* The values of `key`, over all fakes in the order of slots moving from 0 to 1: each once and in order. */
static void expect_in_order(const struct sink_bench *bench, const char *key, int count)
{
	char filter[64];
	int next = 0;

	snprintf(filter, sizeof(filter), "SET %s ", key);
	for (int f = 0; f < bench->fake_count; f++)
		for (size_t i = 0; i < bench->fakes[f].executed_count; i++)
			if (strstr(bench->fakes[f].executed[i], filter))
				assert_int_equal(atoi(strrchr(bench->fakes[f].executed[i], ' ') + 1), next++);
	assert_int_equal(next, count);
}

static uint16_t slot_of(const char *key)
{
	return slot_of_key(slice_of_string(key));
}

/* A key whose slot the fake owns. */
static void key_of(const struct sink_bench *bench, int fake, char out[16])
{
	for (int i = 0;; i++) {
		snprintf(out, 16, "k%d", i);
		if (bench->cluster.owner[slot_of(out)] == fake)
			return;
	}
}

static void test_each_to_its_node(void **state)
{
	struct sink_bench bench;
	uint16_t slots[8];
	char words[32];

	(void)state;
	sink_bench_open(&bench, 3);
	sink_bench_start(&bench);
	for (int i = 0; i < 300; i++) {
		snprintf(words, sizeof(words), "SET k%d %d", i, i);
		bench_command(&bench, 0, words);
	}
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[0], NULL) + fake_executed_count(&bench.fakes[1], NULL) +
				 fake_executed_count(&bench.fakes[2], NULL),
			 300);
	for (int f = 0; f < 3; f++)
		assert_in_range(bench.fakes[f].executed_count, 50, 150);
	assert_int_equal(sink_counters(bench.sink).redirections, 0);
	assert_int_equal(sink_master_slots(bench.sink, slots, 8), 3);
	sink_bench_close(&bench);
}

/* A slot that has moved; half of its commands are on the way to the old master when it does. */
static void test_moved(void **state)
{
	struct sink_bench bench;
	char key[16], other[16];

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	key_of(&bench, 0, key);
	key_of(&bench, 1, other);
	hand_in(&bench, key, 0, 100);
	bench_wait(&bench, bench.fakes[0].executed_count == 100);
	fake_freeze(&bench.fakes[0], true);
	hand_in(&bench, key, 100, 200);
	hand_in(&bench, other, 0, 50);
	bench_wait(&bench, fake_executed_count(&bench.fakes[1], other) == 50); /* others go on */
	bench.cluster.owner[slot_of(key)] = 1;
	fake_freeze(&bench.fakes[0], false);
	hand_in(&bench, key, 300, 100);
	bench_settle(&bench);
	expect_in_order(&bench, key, 400);
	expect_in_order(&bench, other, 50);
	assert_int_equal(fake_executed_count(&bench.fakes[0], NULL), 100);
	assert_int_equal(sink_counters(bench.sink).held_slots, 0);
	assert_int_equal(bench.applied_max, bench.position);
	/* and back */
	bench.cluster.owner[slot_of(key)] = 0;
	hand_in(&bench, key, 400, 20);
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[0], NULL), 120);
	sink_bench_close(&bench);
}

/* Two nodes that each say that the other has it, for a while. */
static const char *ping_pong(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	static char text[128];
	int *left = owner;
	const struct fake_target *other = fake->cluster->members[1 - fake->index];

	if (*left == 0 || strncmp(command->text, "SET ", 4) != 0)
		return NULL;
	--*left;
	snprintf(text, sizeof(text), "-MOVED %u 127.0.0.1:%u\r\n", slot_of_key(command->argv[1]), other->endpoint.port);
	return text;
}

static void test_ping_pong(void **state)
{
	struct sink_bench bench;
	int left = 7;
	char key[16];

	(void)state;
	sink_bench_open(&bench, 2);
	bench.fakes[0].decide = bench.fakes[1].decide = ping_pong;
	bench.fakes[0].owner = bench.fakes[1].owner = &left;
	sink_bench_start(&bench);
	key_of(&bench, 0, key);
	hand_in(&bench, key, 0, 5);
	bench_wait(&bench, left == 0);
	bench_settle(&bench);
	expect_in_order(&bench, key, 5);
	sink_bench_close(&bench);
}

/* A migrating slot: some keys are at the new node already, which takes them behind ASKING alone. */
struct migration {
	struct fake_target *from, *to;
	const char *moved_key; /* with its space: "k1 " */
	bool stop;
	int asked, refused;
};

static const char *migrating(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	static char text[128];
	struct migration *migration = owner;
	bool there = !strncmp(command->text + 4, migration->moved_key, strlen(migration->moved_key));

	if (migration->stop || strncmp(command->text, "SET ", 4) != 0)
		return NULL;
	if (fake == migration->to) {
		migration->asked += command->asking;
		migration->refused += !command->asking;
		return NULL;
	}
	if (!there)
		return NULL;
	snprintf(text, sizeof(text), "-ASK %u 127.0.0.1:%u\r\n", slot_of_key(command->argv[1]), migration->to->endpoint.port);
	return text;
}

/* Two nodes, and the slot of {t} on its way from one to the other. */
static void open_migrating(struct sink_bench *bench, struct migration *migration)
{
	int owner;

	sink_bench_open(bench, 2);
	owner = bench->cluster.owner[slot_of("{t}")];
	*migration = (struct migration){.moved_key = "{t}gone ", .from = &bench->fakes[owner], .to = &bench->fakes[1 - owner]};
	bench->fakes[0].decide = bench->fakes[1].decide = migrating;
	bench->fakes[0].owner = bench->fakes[1].owner = migration;
	sink_bench_start(bench);
}

static void test_ask(void **state)
{
	struct migration migration;
	struct sink_bench bench;

	(void)state;
	open_migrating(&bench, &migration);
	for (int i = 0; i < 20; i++) {
		hand_in(&bench, "{t}here", i, 1);
		hand_in(&bench, "{t}gone", i, 1);
	}
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(migration.to, "{t}gone"), 20);
	assert_int_equal(fake_executed_count(migration.to, "{t}here"), 0);
	assert_int_equal(migration.asked, 20);
	expect_in_order(&bench, "{t}gone", 20);
	/* Those behind one that was asked elsewhere may have been executed before it already: then again behind it. */
	assert_true(fake_executed_count(migration.from, "{t}here") >= 20);
	assert_int_equal(bench.applied_max, bench.position);

	/* The migration is over: MOVED, and from then on all together. */
	migration.stop = true;
	bench.cluster.owner[slot_of("{t}")] = 1 - bench.cluster.owner[slot_of("{t}")];
	hand_in(&bench, "{t}gone", 20, 300);
	bench_settle(&bench);
	expect_in_order(&bench, "{t}gone", 320);
	assert_int_equal(sink_counters(bench.sink).held_slots, 0);
	sink_bench_close(&bench);
}

/* A transaction is asked for as a whole: ASKING in front of its MULTI covers it. */
static void test_ask_transaction(void **state)
{
	static const char *const commands[] = {"SET {t}gone 0", "SET {t}gone 1", NULL};
	struct migration migration;
	struct sink_bench bench;

	(void)state;
	open_migrating(&bench, &migration);
	bench_transaction(&bench, 0, 0, UNIT_REPLAY_SAFE, commands);
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(migration.to, "[tx]"), 2);
	assert_int_equal(migration.asked, 2);
	assert_int_equal(migration.refused, 0);
	sink_bench_close(&bench);
}

/* The node that the slot was on its way to dies, and the migration is given up: the old one has the slot again. */
static void test_asked_node_gone(void **state)
{
	struct migration migration;
	struct sink_bench bench;

	(void)state;
	open_migrating(&bench, &migration);
	hand_in(&bench, "{t}gone", 0, 1);
	bench_settle(&bench);
	fake_stop(migration.to);
	hand_in(&bench, "{t}gone", 1, 3);
	bench_wait(&bench, sink_counters(bench.sink).redirections >= 3);
	assert_false(sink_idle(bench.sink));
	migration.stop = true;
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(migration.from, "{t}gone"), 3);
	sink_bench_close(&bench);
}

/* A migration that is given up while the slot never has nothing to do: it does not stay one by one. */
static void test_migration_given_up(void **state)
{
	struct migration migration;
	struct sink_bench bench;

	(void)state;
	open_migrating(&bench, &migration);
	hand_in(&bench, "{t}gone", 0, 2);
	bench_wait(&bench, migration.asked >= 1);
	migration.stop = true;
	hand_in(&bench, "{t}gone", 2, 900);
	/* more is always waiting */
	for (int i = 0; sink_counters(bench.sink).held_slots > 0; i++) {
		if (sink_has_room(bench.sink))
			hand_in(&bench, "{t}gone", 902 + i, 1);
		bench_turn(&bench);
		assert_true(i < 20000);
	}
	bench_settle(&bench);
	sink_bench_close(&bench);
}

/* Causes that pass: the slot waits, and comes back in order. */
struct cause {
	const char *reply;
	const char *at;
	int times;
};

static const char *for_a_while(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct cause *cause = owner;

	(void)fake;
	if (cause->times == 0 || !strstr(command->text, cause->at))
		return NULL;
	cause->times--;
	return cause->reply;
}

static void test_causes_that_pass(void **state)
{
	static const char *const replies[] = {
		"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
		"-CLUSTERDOWN The cluster is down\r\n",
		"-LOADING Redis is loading the dataset in memory\r\n",
		"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
		"-READONLY You can't write against a read only replica.\r\n",
		"-BUSY Redis is busy running a script.\r\n",
		"-MISCONF Redis is configured to save RDB snapshots\r\n",
		"-NOREPLICAS Not enough good replicas to write.\r\n",
		"-MASTERDOWN Link with MASTER is down\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct cause cause = {replies[i], "", 3};
		struct sink_bench bench;
		char key[16], other[16];

		sink_bench_open(&bench, 2);
		key_of(&bench, 0, key);
		key_of(&bench, 1, other);
		bench.fakes[0].decide = for_a_while;
		bench.fakes[0].owner = &cause;
		sink_bench_start(&bench);
		bench_wait(&bench, bench.fakes[0].arrived >= 2 && bench.fakes[1].arrived >= 2);
		hand_in(&bench, key, 0, 1);
		hand_in(&bench, other, 0, 10);
		hand_in(&bench, key, 1, 5);
		bench_settle(&bench);
		assert_int_equal(cause.times, 0);
		expect_in_order(&bench, other, 10);
		assert_string_equal(strrchr(bench.fakes[0].executed[bench.fakes[0].executed_count - 1], ' '), " 5");
		assert_int_equal(bench.applied_max, bench.position);
		assert_int_equal(sink_counters(bench.sink).held_slots, 0);
		sink_bench_close(&bench);
	}
}

/* What lasts is told, once, and so is its end. */
static void test_waiting_is_told(void **state)
{
	struct cause cause = {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "SET", INT32_MAX};
	struct sink_bench bench;
	char key[16];

	(void)state;
	sink_bench_open(&bench, 1);
	key_of(&bench, 0, key);
	bench.fakes[0].decide = for_a_while;
	bench.fakes[0].owner = &cause;
	sink_bench_start(&bench);
	hand_in(&bench, key, 0, 3);
	bench_wait(&bench, sink_waiting_for(bench.sink)[0]);
	assert_non_null(strstr(sink_waiting_for(bench.sink), "OOM command not allowed"));
	assert_non_null(strstr(bench.notes, "waiting for target 127.0.0.1:"));
	assert_int_equal(bench.applied_max, 1000);
	cause.times = 0;
	bench_settle(&bench);
	bench_wait(&bench, !sink_waiting_for(bench.sink)[0]);
	assert_non_null(strstr(bench.notes, "takes commands again"));
	sink_bench_close(&bench);
}

/* A node dies, and its slots go to the other: nobody sends MOVED, the map has to be asked for. */
static void test_node_dies(void **state)
{
	struct sink_bench bench;
	char key[16];

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	key_of(&bench, 0, key);
	hand_in(&bench, key, 0, 50);
	bench_settle(&bench);
	fake_stop(&bench.fakes[0]);
	hand_in(&bench, key, 50, 50);
	bench_wait(&bench, bench.cluster.slots_asked >= 1);
	assert_false(sink_idle(bench.sink));
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		bench.cluster.owner[slot] = 1;
	bench_settle(&bench);
	expect_in_order(&bench, key, 100);
	bench_wait(&bench, bench.told[INCIDENT_TARGET_FAILOVER] == 1);
	assert_int_equal(bench.told[INCIDENT_TARGET_SLOTS_MOVED] + bench.told[INCIDENT_TARGET_RECONNECTED], 0);
	sink_bench_close(&bench);
}

/* The node that is asked for the map refuses, or knows of no master for the slot: asked again until one is there. */
static void test_map_not_told(void **state)
{
	struct sink_bench bench;
	char key[16];

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	key_of(&bench, 0, key);
	bench.cluster.slots_refused = true;
	hand_in(&bench, key, 0, 5);
	bench_settle(&bench);
	bench.cluster.owner[slot_of(key)] = -1;
	fake_stop(&bench.fakes[0]);
	hand_in(&bench, key, 5, 5);
	bench_wait(&bench, bench.cluster.slots_asked >= 2);
	bench.cluster.slots_refused = false;
	bench_wait(&bench, bench.cluster.slots_asked >= 4);
	bench.cluster.owner[slot_of(key)] = 1;
	bench_settle(&bench);
	expect_in_order(&bench, key, 10);
	sink_bench_close(&bench);
}

/* A command that belongs to no key comes out of database 5 of the source: a cluster knows none but 0. */
static void test_keyless_from_another_database(void **state)
{
	struct sink_bench bench;
	uint32_t db;
	uint64_t position;

	(void)state;
	sink_bench_open(&bench, 1);
	sink_bench_start(&bench);
	bench_command(&bench, 5, "PUBLISH channel hello");
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[0], "0 PUBLISH"), 1);
	sink_applied(bench.sink, &position, &db);
	assert_int_equal(db, 5); /* in the source's stream */
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_to_its_node),   cmocka_unit_test(test_moved),
		cmocka_unit_test(test_ping_pong),          cmocka_unit_test(test_ask),
		cmocka_unit_test(test_ask_transaction),    cmocka_unit_test(test_asked_node_gone),
		cmocka_unit_test(test_migration_given_up), cmocka_unit_test(test_causes_that_pass),
		cmocka_unit_test(test_waiting_is_told),    cmocka_unit_test(test_node_dies),
		cmocka_unit_test(test_map_not_told),       cmocka_unit_test(test_keyless_from_another_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
