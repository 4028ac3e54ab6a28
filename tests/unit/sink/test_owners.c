/* Whose the link is: owners and successors, predecessors that are ended, and a target that has forgotten what it had; against targets that misbehave on cue. */
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

static struct mark_record record_of(const struct fake_target *fake)
{
	char *text = fake_field(fake, TASK_KEY, LINK);
	struct mark_record record = {0};

	assert_true(mark_record_parse(slice_of_string(text), &record));
	free(text);
	return record;
}

/* Whoever finds another owner stands down, and kills nobody. */
static void test_stands_down(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK ":owner", "somebodyelse:99");
	fake_hang_up(&bench.fakes[0]);
	bench_command(&bench, 0, "INCR n");
	sink_flush(bench.sink);
	bench_wait(&bench, bench.failed);
	assert_int_equal(bench.error.kind, ERROR_BUSY);
	assert_non_null(strstr(bench.error.text, "taken over"));
	assert_int_equal(bench.fakes[0].executed_count, 1);
	sink_bench_close(&bench);
}

/* Whoever starts on another machine finds the link by what its record says, from the first moment on; what an earlier run has written stays. */
static void test_known_from_the_start(void **state)
{
	struct sink_bench bench;
	int cluster;

	(void)state;
	for (cluster = 0; cluster <= 2; cluster += 2) {
		struct fake_target *keeper;

		open_guarded(&bench, cluster);
		keeper = &bench.fakes[cluster ? bench.cluster.owner[slot_of_key(SLICE(TASK_KEY))] : 0];
		sink_bench_start(&bench);
		bench_wait(&bench, keeper->fields && strstr(keeper->fields, " -1 0 -1 0 "));
		assert_int_equal(record_of(keeper).offset, -1);
		assert_int_equal(record_of(keeper).mark.offset, -1);
		assert_string_equal(record_of(keeper).source, "10.0.0.1:6379");
		sink_bench_close(&bench);
	}
}

/* A second process of the same link: the first one's connections are ended before anything is read. */
static void test_takes_over(void **state)
{
	static const struct marker_options second = {
		"t", LINK, "feedfacefeedface", "beefbeefbeef", NULL, 1, "10.0.0.1:6379", NULL, 0, NULL, 0};
	struct sink_bench bench;
	struct sink *first;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	first = bench.sink;
	bench.options.marker = &second;
	bench.options.position = bench.position;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR m");
	sink_flush(bench.sink);
	/* The first one comes back at once, and gives up. */
	bench_wait(&bench, bench.failed && fake_executed_count(&bench.fakes[0], NULL) == 2);
	assert_int_equal(bench.error.kind, ERROR_BUSY);
	assert_true(bench.fakes[0].kills >= 1);
	assert_int_equal(bench.told[INCIDENT_PREDECESSOR_FENCED], 1);
	sink_free(first);
	sink_bench_close(&bench);
}

static const char *count_nameless(void *owner, const struct fake_command *command)
{
	int *nameless = owner;

	if (strncmp(command->text, "CLIENT SETNAME", 14) == 0 && !strstr(command->text, ":" LINK ":cafecafecafe:"))
		++*nameless;
	return NULL;
}

/* By its name a successor finds whatever may have something on its way: the connection that asks for the owner too. */
static void test_all_are_named(void **state)
{
	struct sink_bench bench;
	int nameless = 0;

	(void)state;
	open_guarded(&bench, 0);
	bench.fakes[0].greeting = count_nameless;
	bench.fakes[0].owner = &nameless;
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	assert_int_equal(nameless, 0);
	sink_bench_close(&bench);
}

static uint64_t turn_of(const struct fake_target *fake)
{
	char *text = fake_field(fake, TASK_KEY, LINK ":owner");
	uint64_t turn = marker_turn(slice_of_string(text));

	free(text);
	return turn;
}

/* A process that has died had its name as owner on the way, for a turn that its successor has too; it arrives behind the successor's, which goes on. */
static void test_late_owner(void **state)
{
	static const struct marker_options second = {
		"t", LINK, "feedfacefeedface", "beefbeefbeef", NULL, 1, "10.0.0.1:6379", NULL, 0, NULL, 0};
	struct sink_bench bench;
	struct sink *first;
	char text[64];
	uint64_t turn;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	first = bench.sink;
	bench.options.marker = &second;
	bench.options.position = bench.position;
	sink_bench_start(&bench);
	bench_wait(&bench, bench.told[INCIDENT_PREDECESSOR_FENCED] == 1);
	sink_free(first);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	turn = turn_of(&bench.fakes[0]);
	snprintf(text, sizeof(text), "cafecafecafe:%llu", (unsigned long long)turn);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK ":owner", text);
	fake_hang_up(&bench.fakes[0]);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	assert_int_equal(turn_of(&bench.fakes[0]), turn + 1);
	/* One that is not known to have ended is a successor. */
	snprintf(text, sizeof(text), "dadadadadada:%llu", (unsigned long long)turn + 1);
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK ":owner", text);
	fake_hang_up(&bench.fakes[0]);
	bench_wait(&bench, bench.failed);
	assert_int_equal(bench.error.kind, ERROR_BUSY);
	sink_bench_close(&bench);
}

/* A target that comes back older than it was: told, with the position from which everything has to be sent again. */
static void test_fallen_back(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	sink_bench_start(&bench);
	bench_command(&bench, 0, "INCR n");
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	fake_hang_up(&bench.fakes[0]);
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	assert_null(strstr(bench.notes, "has lost"));
	fake_set_field(&bench.fakes[0], TASK_KEY, LINK, "feedfacefeedface - 999 0 1000 0 x");
	fake_hang_up(&bench.fakes[0]);
	bench_command(&bench, 0, "INCR n");
	sink_flush(bench.sink);
	bench_wait(&bench, bench.falls > 0);
	assert_int_equal(bench.fall.slots, 1);
	assert_true(bench.fall.repairable);
	assert_int_equal(bench.fall.position, 1000);
	/* Nothing is sent any more. */
	assert_int_equal(bench.fakes[0].executed_count, 3);
	sink_bench_close(&bench);
}

static const char *no_list(void *owner, const struct fake_command *command)
{
	(void)owner;
	return strncmp(command->text, "CLIENT LIST", 11) == 0
		       ? "-NOPERM this user has no permissions to run the 'client|list' command\r\n"
		       : NULL;
}

static void test_list_denied(void **state)
{
	struct sink_bench bench;

	(void)state;
	open_guarded(&bench, 0);
	bench.fakes[0].greeting = no_list;
	sink_bench_start(&bench);
	for (int i = 0; i < 2; i++) {
		bench_command(&bench, 0, "INCR n");
		bench_settle(&bench);
		fake_hang_up(&bench.fakes[0]);
	}
	bench_command(&bench, 0, "INCR n");
	bench_settle(&bench);
	assert_int_equal(bench.fakes[0].executed_count, 3);
	assert_non_null(strstr(bench.notes, "+client|list"));
	assert_null(strstr(strstr(bench.notes, "+client|list") + 1, "+client|list")); /* once */
	sink_bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stands_down), cmocka_unit_test(test_known_from_the_start),
		cmocka_unit_test(test_takes_over),  cmocka_unit_test(test_all_are_named),
		cmocka_unit_test(test_late_owner),  cmocka_unit_test(test_fallen_back),
		cmocka_unit_test(test_list_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
