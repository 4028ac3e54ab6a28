/* Slots of the target that are half moved when a connection, or a run, begins: their marks, the low mark and the record may be with the new master already. */
#include "sink_bench.h"

#include "base/clock.h"
#include "sink/sink_state.h"
#include "wire/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINK "0123456789ab"
#define EPOCH "feedfacefeedface"
#define TASK_KEY "keyferry:task:t"

/* The slot's keys have gone from fake 1 to `to`, and the slot has not. */
struct half_move {
	struct fake_cluster *cluster;
	uint16_t slot;
	int to;
	unsigned asked;
	char reply[400];
};

static const struct marker_options marker = {"t", LINK, EPOCH, "cafecafecafe", NULL, 1, "10.0.0.1:6379", NULL, 0, NULL, 0};

static const char *say_ask(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	const struct command_info *info = command_lookup(command->argc, command->argv);
	uint32_t at = info ? command_first_key(info, command->argc, command->argv) : 0;
	struct half_move *move = owner;
	char text[ENDPOINT_TEXT_MAX];

	(void)fake;
	if (at == 0 || slot_of_key(command->argv[at]) != move->slot)
		return NULL;
	move->asked++;
	snprintf(move->reply, sizeof(move->reply), "-ASK %u %s\r\n", move->slot,
		 endpoint_format(&move->cluster->members[move->to]->endpoint, text));
	return move->reply;
}

/* Two masters with slots, and a third one without. */
static void open_cluster(struct sink_bench *bench)
{
	sink_bench_open(bench, 3);
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		bench->topology.owner[slot] = (uint16_t)(bench->cluster.owner[slot] = slot < SLOT_COUNT / 2 ? 0 : 1);
	bench->options.marker = &marker;
}

/* One of fake 1's slots. */
static void move_half(struct sink_bench *bench, struct half_move *move, uint16_t slot, int to)
{
	*move = (struct half_move){.cluster = &bench->cluster, .slot = slot, .to = to};
	assert_int_equal(bench->cluster.owner[slot], 1);
	bench->fakes[1].decide = say_ask;
	bench->fakes[1].owner = move;
}

/* A key of the fake's, and not the first one. */
static const char *key_of(const struct sink_bench *bench, int fake, int skip)
{
	static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (bench->cluster.owner[slot_of_key(slice_of_string(keys[i]))] == fake && skip-- == 0)
			return keys[i];
	fail_msg("no key of fake %d", fake);
	return NULL;
}

static uint16_t slot_of(const char *key)
{
	return slot_of_key(slice_of_string(key));
}

static void mark_key(uint16_t slot, char key[64])
{
	snprintf(key, 64, MARK_PREFIX "{%s}", slot_tag(slot));
}

static void set_mark(struct fake_target *fake, uint16_t slot, int64_t offset)
{
	char key[64], text[MARK_TEXT_MAX];

	mark_key(slot, key);
	mark_put(EPOCH, (struct mark){offset, 0}, text);
	fake_set_field(fake, key, LINK, text);
}

static uint64_t increase(struct sink_bench *bench, const char *key)
{
	char words[32];
	uint64_t end;

	snprintf(words, sizeof(words), "INCR %s", key);
	end = bench_command(bench, 0, words);
	sink_flush(bench->sink);
	return end;
}

static void expect_count(const struct fake_target *fake, const char *key, size_t count)
{
	char filter[32];

	snprintf(filter, sizeof(filter), "INCR %s ", key);
	assert_int_equal(fake_executed_count(fake, filter), count);
}

/* A run begins: what the mark covers, where it is by now, is not done again, and what follows is. The new master may have slots or none. */
static void test_mark_is_elsewhere(void **state)
{
	struct half_move move;
	struct sink_bench bench;
	const char *key;

	(void)state;
	for (int to = 0; to <= 2; to += 2) {
		open_cluster(&bench);
		key = key_of(&bench, 1, 0);
		move_half(&bench, &move, slot_of(key), to);
		set_mark(&bench.fakes[to], move.slot, (int64_t)bench.position);
		sink_bench_start(&bench);
		increase(&bench, key); /* at the mark */
		increase(&bench, key);
		increase(&bench, key_of(&bench, 1, 1));
		bench_settle(&bench);
		expect_count(&bench.fakes[to], key, 1);
		expect_count(&bench.fakes[1], key, 0);
		expect_count(&bench.fakes[1], key_of(&bench, 1, 1), 1);
		assert_int_equal(bench.falls, 0);
		sink_bench_close(&bench);
	}
}

/* Does not say which connections it has. */
static const char *keep_list_back(void *owner, const struct fake_command *command)
{
	(void)owner;
	return strncmp(command->text, "CLIENT LIST", 11) == 0 ? "" : NULL;
}

/* A master on which older connections may not have been ended tells nothing: the slot waits for that, and no other one does. */
static void test_new_master_is_fenced_first(void **state)
{
	struct half_move move;
	struct sink_bench bench;
	const char *key;

	(void)state;
	open_cluster(&bench);
	key = key_of(&bench, 1, 0);
	move_half(&bench, &move, slot_of(key), 2);
	set_mark(&bench.fakes[2], move.slot, (int64_t)bench.position);
	bench.fakes[2].greeting = keep_list_back;
	sink_bench_start(&bench);
	increase(&bench, key);
	increase(&bench, key_of(&bench, 1, 1));
	bench_wait(&bench, fake_executed_count(&bench.fakes[1], "INCR") == 1);
	bench_wait(&bench, move.asked > 3);
	assert_false(bench_is_idle(&bench));
	assert_true(bench.sink->marker->stale[move.slot]);
	/* What a predecessor had under way there: it comes to its end before the mark is read. */
	set_mark(&bench.fakes[2], move.slot, (int64_t)bench.position + 1000);
	bench.fakes[2].greeting = NULL;
	bench_settle(&bench);
	assert_int_equal(fake_executed_count(&bench.fakes[2], "INCR"), 0);
	sink_bench_close(&bench);
}

/* All low marks are looked for first, that one too: as it was, and lower. */
static void test_low_mark_is_elsewhere(void **state)
{
	static struct mark_witness witness;
	static struct marker_options options;
	char key[64], text[MARK_TEXT_MAX];
	struct half_move move;
	struct sink_bench bench;

	(void)state;
	for (int lower = 0; lower <= 1; lower++) {
		open_cluster(&bench);
		move_half(&bench, &move, slot_of(key_of(&bench, 1, 0)), 2);
		options = marker;
		options.witnesses = &witness;
		options.witness_count = 1;
		witness = (struct mark_witness){.slot = move.slot, .low = {.offset = 900, .known = true}};
		bench.options.marker = &options;
		mark_key(move.slot, key);
		mark_low_put(EPOCH, (struct mark_low){.offset = lower ? 800 : 900, .known = true}, text);
		fake_set_field(&bench.fakes[2], key, LINK MARK_LOW_SUFFIX, text);
		sink_bench_start(&bench);
		increase(&bench, key_of(&bench, 0, 0));
		increase(&bench, key_of(&bench, 1, 1));
		if (lower) {
			bench_wait(&bench, bench.falls == 1);
			assert_true(bench.fall.repairable);
			assert_int_equal(bench.fall.position, 801);
		} else {
			bench_settle(&bench);
			assert_int_equal(bench.falls, 0);
		}
		assert_int_equal(fake_executed_count(&bench.fakes[0], NULL) + fake_executed_count(&bench.fakes[1], NULL),
				 lower ? 0 : 2);
		sink_bench_close(&bench);
	}
}

static uint64_t kept_by_now(struct sink_bench *bench)
{
	uint64_t position;
	uint32_t db;

	sink_settle(bench->sink);
	sink_kept(bench->sink, &position, &db);
	return position;
}

/* The slot with fake 1's low mark; SLOT_COUNT: it has none, or two. Others get theirs in time. */
static uint32_t low_slot(const struct sink_bench *bench)
{
	struct mark_witness witnesses[4];
	uint32_t count = sink_witnesses(bench->sink, witnesses, 4), found = SLOT_COUNT, of_it = 0;

	for (uint32_t i = 0; i < count && i < 4; i++) {
		if (bench->cluster.owner[witnesses[i].slot] != 1)
			continue;
		found = witnesses[i].slot;
		of_it++;
	}
	return of_it == 1 ? found : SLOT_COUNT;
}

/* The low mark cannot be written in a slot that is half moved: another one gets it, so that the position goes on. */
static void test_low_mark_goes_elsewhere(void **state)
{
	struct half_move move;
	struct sink_bench bench;

	(void)state;
	open_cluster(&bench);
	sink_bench_start(&bench);
	increase(&bench, key_of(&bench, 1, 0));
	bench_settle(&bench);
	sink_settle(bench.sink);
	bench_wait(&bench, low_slot(&bench) != SLOT_COUNT);
	move_half(&bench, &move, (uint16_t)low_slot(&bench), 2);
	assert_int_not_equal(move.slot, slot_of(key_of(&bench, 1, 0)));
	increase(&bench, key_of(&bench, 1, 0));
	bench_settle(&bench);
	bench_wait(&bench, kept_by_now(&bench) == bench.position);
	assert_true(move.asked > 0);
	assert_int_not_equal(low_slot(&bench), SLOT_COUNT);
	assert_int_not_equal(low_slot(&bench), move.slot);
	sink_bench_close(&bench);
}

/* So may the slot of the record: the owner is written where the record is. */
static void test_record_is_elsewhere(void **state)
{
	struct half_move move;
	struct sink_bench bench;
	char *text;

	(void)state;
	open_cluster(&bench);
	if (bench.cluster.owner[slot_of(TASK_KEY)] != 1)
		for (int slot = 0; slot < SLOT_COUNT; slot++)
			bench.topology.owner[slot] = (uint16_t)(bench.cluster.owner[slot] = 1 - bench.cluster.owner[slot]);
	move_half(&bench, &move, slot_of(TASK_KEY), 2);
	fake_set_field(&bench.fakes[2], TASK_KEY, LINK MARK_OWNER_SUFFIX, "beefbeefbeef:41");
	sink_bench_start(&bench);
	increase(&bench, key_of(&bench, 1, 0));
	increase(&bench, key_of(&bench, 0, 0));
	bench_settle(&bench);
	text = fake_field(&bench.fakes[2], TASK_KEY, LINK MARK_OWNER_SUFFIX);
	assert_string_equal(text, "cafecafecafe:42");
	free(text);
	assert_null(bench.fakes[1].fields ? strstr(bench.fakes[1].fields, TASK_KEY) : NULL);
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark_is_elsewhere),     cmocka_unit_test(test_new_master_is_fenced_first),
		cmocka_unit_test(test_low_mark_is_elsewhere), cmocka_unit_test(test_low_mark_goes_elsewhere),
		cmocka_unit_test(test_record_is_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
