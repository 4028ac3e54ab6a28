/* The floor: what may be kept as done, and what a master that comes back is held against. On a cluster, where low marks are apart from the data. */
#include "sink_bench.h"

#include "base/clock.h"
#include "sink/sink_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINK "0123456789ab"
#define EPOCH "feedfacefeedface"

static const struct marker_options marker = {"t", LINK, EPOCH, "cafecafecafe", NULL, 1, "10.0.0.1:6379", NULL, 0, NULL, 0};

static void open_cluster(struct sink_bench *bench)
{
	sink_bench_open(bench, 2);
	bench->options.marker = &marker;
	sink_bench_start(bench);
}

static uint64_t kept(const struct sink_bench *bench)
{
	uint64_t position;
	uint32_t db;

	sink_kept(bench->sink, &position, &db);
	return position;
}

/* A key of the fake's slots. */
static const char *key_of(const struct sink_bench *bench, int fake)
{
	static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (bench->cluster.owner[slot_of_key(slice_of_string(keys[i]))] == fake)
			return keys[i];
	fail_msg("no key of fake %d", fake);
	return NULL;
}

static void set(struct sink_bench *bench, int fake)
{
	char words[32];

	snprintf(words, sizeof(words), "SET %s 1", key_of(bench, fake));
	bench_command(bench, 0, words);
	bench_settle(bench);
}

/* Asks for low marks until they say that everything is there. */
#define wait_low_marks(bench)                                                                                                    \
	do {                                                                                                                     \
		sink_settle((bench)->sink);                                                                                      \
		bench_wait(bench, kept(bench) == (bench)->position);                                                             \
		bench_wait(bench, sink_idle((bench)->sink));                                                                     \
	} while (0)

/* The slot in which the fake's low mark is. */
static uint16_t low_slot(const struct sink_bench *bench, int fake)
{
	struct mark_witness witnesses[4];
	uint32_t count = sink_witnesses(bench->sink, witnesses, 4);

	for (uint32_t i = 0; i < count && i < 4; i++)
		if (bench->cluster.owner[witnesses[i].slot] == fake)
			return witnesses[i].slot;
	fail_msg("fake %d has no low mark", fake);
	return 0;
}

static void low_field(uint16_t slot, char key[64])
{
	snprintf(key, 64, MARK_PREFIX "{%s}", slot_tag(slot));
}

/* Applied is not kept before a low mark says so, in each master that was sent something. */
static void test_kept_with_the_low_marks(void **state)
{
	struct mark_witness witnesses[4];
	struct sink_bench bench;
	uint64_t before;

	(void)state;
	open_cluster(&bench);
	set(&bench, 0);
	set(&bench, 1);
	bench_wait(&bench, kept(&bench) == bench.position); /* by themselves, in time */
	before = bench.position;
	set(&bench, 0);
	assert_int_equal(bench.applied_max, bench.position);
	assert_int_equal(kept(&bench), before);
	wait_low_marks(&bench);
	assert_int_equal(kept(&bench), bench.position);
	assert_int_equal(sink_witnesses(bench.sink, witnesses, 4), 2);
	for (int i = 0; i < 2; i++) {
		int fake = bench.cluster.owner[witnesses[i].slot];
		char key[64], *text;

		low_field(witnesses[i].slot, key);
		text = fake_field(&bench.fakes[fake], key, LINK MARK_LOW_SUFFIX);
		assert_int_equal(mark_low_parse(slice_of_string(text), EPOCH).offset, witnesses[i].low.offset);
		assert_true(witnesses[i].low.offset >= (int64_t)before - 1);
		free(text);
	}
	sink_bench_close(&bench);
}

/* Nothing was sent to a master since its low mark: it holds nobody back. */
static void test_quiet_master_holds_nobody_back(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_cluster(&bench);
	set(&bench, 1);
	wait_low_marks(&bench);
	for (int i = 0; i < 5; i++) {
		set(&bench, 0);
		wait_low_marks(&bench);
		assert_int_equal(kept(&bench), bench.position);
	}
	sink_bench_close(&bench);
}

static void come_back(struct sink_bench *bench, int fake)
{
	unsigned told = bench->told[INCIDENT_TARGET_RECONNECTED];

	fake_hang_up(&bench->fakes[fake]);
	bench_wait(bench, bench->falls > 0 || bench->told[INCIDENT_TARGET_RECONNECTED] > told);
}

/* One that comes back with its low mark has lost nothing; one that comes back without it has. */
static void test_low_mark_is_looked_for(void **state)
{
	struct sink_bench bench;
	char key[64], text[MARK_TEXT_MAX];
	uint64_t safe;

	(void)state;
	open_cluster(&bench);
	set(&bench, 0);
	wait_low_marks(&bench);
	safe = bench.position;
	bench.fakes[0].run++;
	come_back(&bench, 0);
	assert_int_equal(bench.falls, 0);
	set(&bench, 0);
	wait_low_marks(&bench);
	low_field(low_slot(&bench, 0), key);
	/* As it was with the low mark before this one. */
	mark_low_put(EPOCH, (struct mark_low){.offset = (int64_t)safe - 1, .known = true}, text);
	fake_set_field(&bench.fakes[0], key, LINK MARK_LOW_SUFFIX, text);
	bench.fakes[0].run++;
	fake_hang_up(&bench.fakes[0]);
	bench_wait(&bench, bench.falls == 1);
	assert_true(bench.fall.repairable);
	assert_int_equal(bench.fall.position, safe);
	sink_bench_close(&bench);
}

/* FLUSHALL takes the marks with it; that they are gone is no loss. */
static void test_forgotten(void **state)
{
	struct mark_witness witness;
	struct sink_bench bench;
	char key[64];

	(void)state;
	open_cluster(&bench);
	set(&bench, 0);
	wait_low_marks(&bench);
	low_field(low_slot(&bench, 0), key);
	bench.fakes[0].run++;
	sink_forget_witnesses(bench.sink);
	assert_int_equal(sink_witnesses(bench.sink, &witness, 1), 0);
	fake_set_field(&bench.fakes[0], key, LINK MARK_LOW_SUFFIX, "");
	come_back(&bench, 0);
	assert_int_equal(bench.falls, 0);
	sink_bench_close(&bench);
}

/* A slot whose mark could not be read when its node was opened (it was on its way), and for which the link has no command: its node's low mark waits for it, and
 * with that the spool. */
static void test_idle_slot_is_looked_at(void **state)
{
	struct sink_bench bench;
	uint16_t slot = 0;

	(void)state;
	open_cluster(&bench);
	set(&bench, 0);
	wait_low_marks(&bench);
	while (bench.cluster.owner[slot] != 0 || slot == slot_of_key(slice_of_string(key_of(&bench, 0))))
		slot++;
	bench.sink->marker->stale[slot] = true;
	set(&bench, 0);
	wait_low_marks(&bench);
	assert_false(bench.sink->marker->stale[slot]);
	sink_bench_close(&bench);
}

/* A run begins, with a low mark known of the second master, which does not answer yet. Whatever slot of the first one may have come from the second meanwhile, with less than it had:
 * nothing goes on before the second has told that it has lost nothing. `low`: what it has. */
static void begin_with_a_silent_master(struct sink_bench *bench, int64_t low)
{
	static struct mark_witness witness;
	static struct marker_options options;
	char key[64], text[MARK_TEXT_MAX];

	sink_bench_open(bench, 2);
	options = marker;
	options.witnesses = &witness;
	options.witness_count = 1;
	witness = (struct mark_witness){.slot = slot_of_key(slice_of_string(key_of(bench, 1))),
					.low = {.offset = 900, .known = true}};
	bench->options.marker = &options;
	low_field(witness.slot, key);
	mark_low_put(EPOCH, (struct mark_low){.offset = low, .known = true}, text);
	fake_set_field(&bench->fakes[1], key, LINK MARK_LOW_SUFFIX, text);
	fake_freeze(&bench->fakes[1], true);
	sink_bench_start(bench);
	snprintf(text, sizeof(text), "INCR %s", key_of(bench, 0));
	bench_command(bench, 0, text);
	sink_flush(bench->sink);
	bench_pass(bench, 500);
	assert_int_equal(bench->fakes[0].executed_count, 0);
	fake_freeze(&bench->fakes[1], false);
}

static void test_all_low_marks_first(void **state)
{
	struct sink_bench bench;

	(void)state;
	begin_with_a_silent_master(&bench, 900);
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 1);
	assert_int_equal(bench.falls, 0);
	sink_bench_close(&bench);
	begin_with_a_silent_master(&bench, 800);
	bench_wait(&bench, bench.falls == 1);
	assert_int_equal(bench.fakes[0].executed_count, 0);
	assert_int_equal(bench.fall.position, 801);
	sink_bench_close(&bench);
}

/* Of a master whose low mark cannot be read for the moment. */
struct reluctant {
	const char *key;
	unsigned refused;
	bool willing;
};

static const char *refuse_mark(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct reluctant *reluctant = owner;

	(void)fake;
	if (reluctant->willing || command->argc < 3 || !slice_equal(command->argv[1], slice_of_string(reluctant->key)))
		return NULL;
	reluctant->refused++;
	return "-CLUSTERDOWN The cluster is down\r\n";
}

/* The slot that has a master's low mark moves while that is waited for. The map that is asked for when a connection is lost has been read by then, and there is nothing to do that would meet
 * MOVED: whoever waits has to ask for the next map, else the old owner is asked for ever. */
static void test_low_mark_has_moved(void **state)
{
	struct sink_bench bench;
	char key[64], *text;
	struct reluctant reluctant = {.key = key};
	uint64_t maps;
	uint16_t slot;

	(void)state;
	open_cluster(&bench);
	set(&bench, 0);
	set(&bench, 1);
	wait_low_marks(&bench);
	slot = low_slot(&bench, 1);
	low_field(slot, key);
	bench.fakes[1].decide = refuse_mark;
	bench.fakes[1].owner = &reluctant;
	maps = bench.sink->map_number;
	fake_hang_up(&bench.fakes[1]);
	bench_wait(&bench, bench.sink->map_number > maps && reluctant.refused > 2);
	text = fake_field(&bench.fakes[1], key, LINK MARK_LOW_SUFFIX);
	fake_set_field(&bench.fakes[0], key, LINK MARK_LOW_SUFFIX, text);
	free(text);
	bench.cluster.owner[slot] = 0;
	reluctant.willing = true;
	bench_wait(&bench, bench.told[INCIDENT_TARGET_RECONNECTED] > 0);
	assert_int_equal(bench.falls, 0);
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_with_the_low_marks), cmocka_unit_test(test_quiet_master_holds_nobody_back),
		cmocka_unit_test(test_low_mark_is_looked_for),  cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_idle_slot_is_looked_at),  cmocka_unit_test(test_all_low_marks_first),
		cmocka_unit_test(test_low_mark_has_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
