/* The applier between a real spool and a fake target: what the state file says and the spool keeps, parking, draining, what
 * can never be whole. */
#include "../sink/sink_bench.h"
#include "link/applier.h"
#include "link/applier_state.h"
#include "no_source.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "spool/spool.h"
#include "wire/resp.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)

struct bench {
	struct sink_bench target; /* its sink is not used */
	char dir[64];
	char *state_path;
	struct spool *spool;
	struct task_options task;
	struct applier *applier;
	unsigned parked, drained, told[INCIDENT_KINDS];
	bool failed;
	struct error error;
};

static void on_note(void *owner, int level, const char *text)
{
	(void)owner;
	(void)level;
	(void)text;
}

static void on_tell(void *owner, const struct incident *incident)
{
	struct bench *bench = owner;

	bench->told[incident->kind]++;
}

static void on_failed(void *owner, const struct error *error)
{
	struct bench *bench = owner;

	assert_false(bench->failed);
	bench->failed = true;
	bench->error = *error;
}

static void on_parked(void *owner)
{
	((struct bench *)owner)->parked++;
}

static void on_drained(void *owner)
{
	((struct bench *)owner)->drained++;
}

static const struct applier_events callbacks = {on_note, on_tell, on_failed, on_parked, on_drained, NULL};

static void open_spool(struct bench *bench)
{
	struct spool_options options = {.dir = bench->dir, .segment_size = MIB, .max_size = 4 * MIB, .view_max = 64 * MIB};
	struct error error;
	uint64_t cut;

	bench->spool = spool_open(&options, &cut, &error);
	if (!bench->spool)
		fail_msg("%s", error.text);
}

static void new_generation_at(struct bench *bench, uint64_t generation, int64_t offset)
{
	struct spool_origin origin = {
		.generation = generation, .replid = "8cb37055bb2018703850f3ee6ef31b566d88f6ca", .offset = offset};
	struct error error;

	assert_true(spool_start(bench->spool, &origin, false, &error));
}

static void new_generation(struct bench *bench, uint64_t generation)
{
	new_generation_at(bench, generation, 100);
}

static void open_bench(struct bench *bench)
{
	*bench = (struct bench){.dir = "/tmp/keyferry-applier-XXXXXX"};
	sink_bench_open(&bench->target, 0);
	assert_non_null(mkdtemp(bench->dir));
	bench->state_path = memory_printf("%s.json", bench->dir);
	bench->task = (struct task_options){
		.all_databases = true,
		.checkpoint = CHECKPOINT_LOCAL,
		.in_flight_commands = 1024,
		.in_flight_bytes = MIB,
		.spool_segment_size = MIB,
		.spool_max_size = 4 * MIB,
		.connect_timeout_ms = 2000,
		.repl_timeout_ms = 60000,
	};
	open_spool(bench);
}

static void start(struct bench *bench, const struct link_state *state)
{
	struct link_state none = {0};
	struct applier_options options = {
		.loop = bench->target.loop,
		.task = &bench->task,
		.target = &bench->target.deployment,
		.topology = &bench->target.topology,
		.abilities = bench->target.options.abilities,
		.only_link = true,
		.name = "keyferry:test",
		.token = "token",
		.source_name = "127.0.0.1:1",
		.state_path = bench->state_path,
		.spool = bench->spool,
		.source = no_source,
	};

	bench->applier = applier_new(&options, state ? state : &none, &callbacks, bench);
	applier_wake(bench->applier);
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void close_bench(struct bench *bench)
{
	applier_free(bench->applier);
	spool_close(bench->spool);
	sink_bench_close(&bench->target);
	nftw(bench->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	unlink(bench->state_path);
	free(bench->state_path);
}

static void append(struct bench *bench, const void *data, size_t len)
{
	struct error error;
	bool full;

	assert_true(spool_append(bench->spool, data, len, &full, &error));
	applier_wake(bench->applier);
}

static void append_command(struct bench *bench, const char *words)
{
	struct slice raw = bench_raw(&bench->target, words);

	append(bench, raw.data, raw.len);
}

static struct link_state state_of(const struct bench *bench)
{
	struct link_state state;
	struct error error;

	assert_true(link_state_read(bench->state_path, &state, &error));
	/* Nobody looks at these. */
	free((void *)state.refused);
	free((void *)state.witnesses);
	state.refused = NULL;
	state.witnesses = NULL;
	return state;
}

/* Waits on the target's loop; the macro's texts come from the sink of the bench, which is not there. */
#define wait_for(bench, condition)                                                                                               \
	do {                                                                                                                     \
		uint64_t deadline_ = clock_monotonic_us() + 120000000;                                                           \
		while (!(condition)) {                                                                                           \
			bench_turn(&(bench)->target);                                                                            \
			if (clock_monotonic_us() > deadline_)                                                                    \
				fail_msg("waited in vain for: %s (failed: %s)", #condition, (bench)->error.text);                \
		}                                                                                                                \
	} while (0)

/* Started, with a first generation that is a stream alone. */
static void open_streaming(struct bench *bench)
{
	open_bench(bench);
	start(bench, NULL);
	new_generation(bench, 1);
}

static void drain(struct bench *bench)
{
	unsigned before = bench->drained;

	applier_drain(bench->applier, 10000);
	wait_for(bench, bench->drained > before);
}

static void test_stream(void **state)
{
	struct bench bench;

	(void)state;
	open_streaming(&bench);
	append_command(&bench, "SELECT 2");
	append_command(&bench, "SET a 1");
	append_command(&bench, "PING");
	append_command(&bench, "SET b 2");
	drain(&bench);
	assert_int_equal(bench.target.fakes[0].executed_count, 2);
	assert_string_equal(bench.target.fakes[0].executed[1], "2 SET b 2");
	assert_true(state_of(&bench).clean);
	assert_int_equal(state_of(&bench).position, spool_end(bench.spool));
	assert_int_equal(state_of(&bench).db, 2);
	assert_int_equal(no_source_applied, 100 + (int64_t)spool_end(bench.spool));
	close_bench(&bench);
}

/* Whatever the moment of a crash: where the state file says to go on, the spool still has it. */
static void test_spool_keeps_what_the_state_needs(void **state)
{
	struct bench bench;
	char *value = memory_alloc(100001);
	char *words;

	(void)state;
	memset(value, 'v', 100000);
	value[100000] = '\0';
	words = memory_printf("SET k %s", value);
	open_streaming(&bench);
	for (int i = 0; i < 200; i++) { /* 20 MB through 4 MiB, in much less than a second */
		wait_for(&bench, spool_room(bench.spool) > 110000);
		append_command(&bench, words);
		bench_turn(&bench.target);
		assert_true(state_of(&bench).position >= spool_begin_position(bench.spool));
	}
	drain(&bench);
	assert_int_equal(bench.target.fakes[0].executed_count, 200);
	free(words);
	free(value);
	close_bench(&bench);
}

/* "Clean" holds until something is sent: a crash right after a start is no clean stop. */
static void test_clean_only_until_the_start(void **state)
{
	struct link_state before;
	struct bench bench;

	(void)state;
	open_streaming(&bench);
	append_command(&bench, "SET a 1");
	drain(&bench);
	before = state_of(&bench);
	assert_true(before.clean);
	applier_free(bench.applier);
	start(&bench, &before);
	assert_false(state_of(&bench).clean);
	assert_int_equal(state_of(&bench).position, before.position);
	append_command(&bench, "SET b 1");
	drain(&bench);
	assert_true(state_of(&bench).clean);
	assert_int_equal(bench.target.fakes[0].executed_count, 2);
	close_bench(&bench);
}

/* Full resyncs: parked when all is answered; and again when the source insists on another one before anything came. */
static void test_parking(void **state)
{
	struct bench bench;

	(void)state;
	open_streaming(&bench);
	append_command(&bench, "SET a 1");
	applier_park(bench.applier);
	assert_int_equal(bench.parked, 0); /* not answered yet */
	wait_for(&bench, bench.parked == 1);
	assert_int_equal(bench.target.fakes[0].executed_count, 1);
	new_generation(&bench, 2);
	applier_park(bench.applier);
	wait_for(&bench, bench.parked == 2);
	new_generation(&bench, 3);
	append_command(&bench, "SET b 1");
	wait_for(&bench, bench.target.fakes[0].executed_count == 2);
	drain(&bench);
	assert_int_equal(state_of(&bench).generation, 3);
	close_bench(&bench);
}

/* Stopped when the source has begun the next generation and it has not come here yet: what is kept is a position of the one before, and stays so. */
static void test_stopped_while_parked(void **state)
{
	struct link_state before, after;
	struct bench bench;

	(void)state;
	open_bench(&bench);
	bench.task.name = (char[]){"t"};
	bench.task.checkpoint = CHECKPOINT_TARGET;
	start(&bench, NULL);
	new_generation(&bench, 1);
	append_command(&bench, "INCR n");
	wait_for(&bench, bench.target.fakes[0].executed_count == 1);
	applier_park(bench.applier);
	wait_for(&bench, bench.parked == 1);
	before = state_of(&bench);
	assert_int_equal(before.generation, 1);
	new_generation_at(&bench, 2, 1000000);
	drain(&bench);
	after = state_of(&bench);
	assert_int_equal(after.generation, 1);
	assert_int_equal(after.position, before.position);
	close_bench(&bench);
}

/* A command, or a transaction, larger than the spool may be can never be whole: said, not waited for. */
static void fill(struct bench *bench)
{
	uint8_t *filling = memory_alloc(64 << 10);

	memset(filling, 'x', 64 << 10);
	for (uint64_t room; (room = spool_room(bench->spool)) > 0 && !bench->failed;) {
		append(bench, filling, room < 64 << 10 ? (size_t)room : 64 << 10);
		bench_turn(&bench->target);
	}
	free(filling);
}

static void test_command_larger_than_spool(void **state)
{
	static const char header[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9000000\r\n";
	struct bench bench;

	(void)state;
	open_streaming(&bench);
	append_command(&bench, "SET a 1"); /* still unanswered when the spool is full */
	fake_freeze(&bench.target.fakes[0], true);
	append(&bench, header, strlen(header));
	fill(&bench);
	bench_pass(&bench.target, 20);
	assert_false(bench.failed);
	fake_freeze(&bench.target.fakes[0], false);
	wait_for(&bench, bench.failed);
	assert_int_equal(bench.error.kind, ERROR_CONFLICT);
	assert_non_null(strstr(bench.error.text, "spool.max_size"));
	drain(&bench);
	assert_int_equal(bench.target.fakes[0].executed_count, 1);
	close_bench(&bench);
}

static void test_transaction_larger_than_spool(void **state)
{
	struct bench bench;
	struct slice set = {0};

	(void)state;
	open_streaming(&bench);
	append_command(&bench, "SET a 1");
	append_command(&bench, "MULTI");
	set = bench_raw(&bench.target, "SET k 0123456789012345678901234567890123456789");
	while (spool_room(bench.spool) >= set.len && !bench.failed) {
		append(&bench, set.data, set.len);
		if (spool_room(bench.spool) % 64 == 0)
			bench_turn(&bench.target);
	}
	append(&bench, set.data, (size_t)spool_room(bench.spool));
	wait_for(&bench, bench.failed);
	assert_non_null(strstr(bench.error.text, "transaction"));
	assert_int_equal(bench.target.fakes[0].executed_count, 1);
	close_bench(&bench);
}

static const char *refuse_b(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	(void)owner;
	(void)fake;
	return strncmp(command->text, "LPUSH", 5) == 0 ? "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
						       : NULL;
}

/* A target that refuses while the link is draining: nothing more will be answered, so nothing is waited for. */
static void test_failure_while_draining(void **state)
{
	struct bench bench;
	uint64_t since;

	(void)state;
	open_bench(&bench);
	bench.target.fakes[0].decide = refuse_b;
	start(&bench, NULL);
	new_generation(&bench, 1);
	append_command(&bench, "SET a 1");
	append_command(&bench, "LPUSH b 1");
	applier_drain(bench.applier, 15000);
	since = clock_monotonic_us();
	wait_for(&bench, bench.drained == 1);
	assert_true(clock_monotonic_us() - since < 10000000);
	assert_true(bench.failed);
	assert_false(state_of(&bench).clean);
	assert_true(state_of(&bench).position < spool_end(bench.spool));
	close_bench(&bench);
}

static uint64_t ahead_us;

static uint64_t clock_ahead_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + ahead_us;
}

static int64_t wall_ms(void)
{
	return 1700000000000;
}

/* The machine lets the process not run for a while: answers that are there are no target that says nothing. */
static void test_draining_while_starved(void **state)
{
	const struct clock_source source = {clock_ahead_us, wall_ms};
	struct bench bench;

	(void)state;
	clock_use(&source);
	open_bench(&bench);
	bench.task.checkpoint = CHECKPOINT_TARGET; /* else it is patient: nobody could find out later */
	start(&bench, NULL);
	new_generation(&bench, 1);
	append_command(&bench, "SET a 1");
	wait_for(&bench, bench.target.fakes[0].executed_count == 1);
	fake_freeze(&bench.target.fakes[0], true);
	append_command(&bench, "SET b 1");
	applier_drain(bench.applier, 60000);
	bench_pass(&bench.target, 150); /* it has begun to wait */
	fake_freeze(&bench.target.fakes[0], false);
	ahead_us = 5000000;
	applier_check_patience(bench.applier); /* its timer is due before it looks at its connections */
	wait_for(&bench, bench.drained == 1);
	assert_int_equal(bench.target.fakes[0].executed_count, 2);
	assert_true(state_of(&bench).clean);
	close_bench(&bench);
	clock_use(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_spool_keeps_what_the_state_needs),
		cmocka_unit_test(test_clean_only_until_the_start),
		cmocka_unit_test(test_parking),
		cmocka_unit_test(test_stopped_while_parked),
		cmocka_unit_test(test_command_larger_than_spool),
		cmocka_unit_test(test_transaction_larger_than_spool),
		cmocka_unit_test(test_failure_while_draining),
		cmocka_unit_test(test_draining_while_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
