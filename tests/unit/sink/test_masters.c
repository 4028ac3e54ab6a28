/* Whose the slots are: maps of nodes that have not heard the news, and the map that one sink leaves to the next. */
#include "sink_bench.h"

#include "base/clock.h"
#include "sink/sink_state.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SLOT 7

/* As the fakes share the slots, but for SLOT. `epoch`: of the owner's claim to SLOT; the other has `other`. */
static struct topology map_of(const struct sink_bench *bench, struct shard shards[2], int owner, uint64_t epoch, uint64_t other)
{
	struct topology map = {.cluster = true, .shards = shards, .shard_count = 2};

	for (int i = 0; i < 2; i++)
		shards[i] = (struct shard){.master = bench->fakes[i].endpoint, .epoch = i == owner ? epoch : other};
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		map.owner[slot] = (uint16_t)bench->cluster.owner[slot];
	map.owner[SLOT] = (uint16_t)owner;
	return map;
}

static bool take(struct sink_bench *bench, int owner, uint64_t epoch, uint64_t other)
{
	struct shard shards[2];
	struct topology map = map_of(bench, shards, owner, epoch, other);

	return sink_take_map(bench->sink, &map);
}

static int owner_of(const struct sink_bench *bench)
{
	return endpoint_equal(sink_master(bench->sink, SLOT), &bench->fakes[1].endpoint);
}

static void test_old_maps(void **state)
{
	struct sink_bench bench;

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	assert_int_equal(sink_masters_number(bench.sink), 0);
	assert_true(take(&bench, 0, 3, 2));
	assert_int_equal(owner_of(&bench), 0);
	/* It moves, and a node that does not know that yet tells its map. */
	assert_true(take(&bench, 1, 4, 4));
	assert_int_equal(owner_of(&bench), 1);
	assert_false(take(&bench, 0, 3, 2));
	assert_int_equal(owner_of(&bench), 1);
	assert_true(take(&bench, 1, 4, 4));
	/* One that may not ask for epochs is believed. */
	assert_true(take(&bench, 0, 0, 0));
	assert_int_equal(owner_of(&bench), 0);
	sink_bench_close(&bench);
}

static void test_moved_is_newer_than_the_map(void **state)
{
	struct sink_bench bench;
	uint64_t known;

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	assert_true(take(&bench, 0, 3, 2));
	known = sink_masters_number(bench.sink);
	sink_met(bench.sink, SLOT, &bench.fakes[1].endpoint);
	assert_int_equal(owner_of(&bench), 1);
	assert_true(sink_masters_number(bench.sink) > known);
	assert_false(take(&bench, 0, 3, 2));
	assert_int_equal(owner_of(&bench), 1);
	assert_true(take(&bench, 1, 4, 3));
	assert_int_equal(owner_of(&bench), 1);
	sink_bench_close(&bench);
}

/* A cluster that was reset counts from 0; its maps are believed when nobody has told another one for a while. */
static void test_epochs_that_begin_anew(void **state)
{
	struct sink_bench bench;

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	assert_true(take(&bench, 0, 300, 2));
	assert_false(take(&bench, 1, 2, 1));
	assert_int_equal(owner_of(&bench), 0);
	bench.sink->old_claims_since_us -= 16000000;
	assert_true(take(&bench, 1, 2, 1));
	assert_int_equal(owner_of(&bench), 1);
	assert_false(take(&bench, 0, 1, 2));
	sink_bench_close(&bench);
}

/* A sink that takes another one's place begins with what that one knew, not with the task's first map; it tells of a move once. */
static void test_map_is_handed_on(void **state)
{
	struct sink_bench bench;
	struct sink *before;

	(void)state;
	sink_bench_open(&bench, 2);
	sink_bench_start(&bench);
	bench.cluster.owner[SLOT] = 1;
	assert_true(take(&bench, 1, 4, 4));
	before = bench.sink;
	bench.options.before = before;
	sink_bench_start(&bench);
	sink_free(before);
	assert_int_equal(owner_of(&bench), 1);
	assert_false(take(&bench, 0, 3, 2));
	bench_wait(&bench, bench.told[INCIDENT_TARGET_SLOTS_MOVED] == 1);
	assert_int_equal(sink_master_slots(bench.sink, (uint16_t[2]){0}, 2), 2);
	before = bench.sink;
	bench.options.before = before;
	sink_bench_start(&bench);
	sink_free(before);
	bench_pass(&bench, 1500);
	assert_int_equal(bench.told[INCIDENT_TARGET_SLOTS_MOVED], 1);
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_maps),
		cmocka_unit_test(test_moved_is_newer_than_the_map),
		cmocka_unit_test(test_epochs_that_begin_anew),
		cmocka_unit_test(test_map_is_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
