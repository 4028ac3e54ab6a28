/* The receiver against a master that misbehaves as planned. */
#include "fake_master.h"
#include "receiver_bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "spool/disk.h"
#include "wire/crc64.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define RDB_LEN (300u << 10)
#define STREAM_LEN (200u << 10)

/* Master, receiver and the bytes between them. */
struct scene {
	struct bench bench;
	struct fake_master master;
	uint8_t *rdb;
	uint8_t *stream;
	uint8_t *all; /* the snapshot and the stream behind it */
	uint8_t *extra;
	uint64_t generation; /* in which everything is waited for */
};

static void fill(uint8_t *data, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		data[i] = (uint8_t)(seed >> 56);
	}
}

static int setup(void **state)
{
	struct scene *scene = memory_alloc_zero(1, sizeof(*scene));
	uint64_t sum;

	scene->all = memory_alloc(RDB_LEN + STREAM_LEN);
	scene->rdb = scene->all;
	scene->stream = scene->all + RDB_LEN;
	fill(scene->all, RDB_LEN + STREAM_LEN, 7);
	memcpy(scene->rdb, "REDIS0010", 9);
	sum = crc64(0, scene->rdb, RDB_LEN - 8);
	for (size_t i = 0; i < 8; i++)
		scene->rdb[RDB_LEN - 8 + i] = (uint8_t)(sum >> (8 * i));
	bench_open(&scene->bench);
	scene->bench.master = &scene->master;
	scene->master = (struct fake_master){
		.replid = FAKE_ID,
		.start_offset = 5000,
		.rdb = scene->rdb,
		.rdb_len = RDB_LEN,
		.stream = scene->stream,
		.stream_len = STREAM_LEN,
	};
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	bench_close(&scene->bench);
	fake_master_stop(&scene->master);
	free(scene->all);
	free(scene->extra);
	free(scene);
	return 0;
}

static struct fake_plan *plan_add(struct scene *scene)
{
	struct fake_plan *plan = &scene->master.plans[scene->master.plan_count++];

	*plan = fake_plan_fine();
	return plan;
}

static void start(struct scene *scene)
{
	fake_master_start(&scene->master);
	bench_start(&scene->bench, &scene->master.endpoint);
}

static struct fake_master *master_of(struct bench *bench)
{
	return bench->master;
}

static struct scene *scene_of(struct bench *bench)
{
	return (struct scene *)bench; /* its first member */
}

static bool has_everything(struct bench *bench)
{
	return spool_origin(bench->spool).generation == scene_of(bench)->generation &&
	       spool_snapshot_end(bench->spool) == RDB_LEN && spool_end(bench->spool) == RDB_LEN + STREAM_LEN;
}

static void check_everything(struct scene *scene, uint64_t generation)
{
	struct spool_origin origin;

	scene->generation = generation;
	assert_true(bench_run(&scene->bench, has_everything));
	bench_check_held(&scene->bench, 0, scene->all, RDB_LEN + STREAM_LEN);
	origin = spool_origin(scene->bench.spool);
	assert_int_equal(origin.generation, generation);
	assert_int_equal(origin.offset, scene->master.start_offset);
	assert_int_equal(receiver_status(scene->bench.receiver).state, RECEIVER_STREAMING);
}

static bool acknowledged_number(struct bench *bench)
{
	return (uint64_t)atomic_load(&master_of(bench)->acknowledged) == bench->number;
}

static bool holds_number(struct bench *bench)
{
	return spool_end(bench->spool) == bench->number;
}

/* ---- the two forms, and acknowledging ---- */

static void check_form(struct scene *scene, bool marked, size_t piece)
{
	struct receiver_status status;
	struct fake_plan *plan = plan_add(scene);

	plan->marked = marked;
	plan->piece = piece;
	start(scene);
	check_everything(scene, 1);
	status = receiver_status(scene->bench.receiver);
	assert_int_equal(status.snapshot_bytes_received, RDB_LEN);
	assert_int_equal(status.snapshot_bytes_total, RDB_LEN);
	assert_true(status.bytes_received > RDB_LEN + STREAM_LEN);
	assert_int_equal(status.reconnects, 0);
	assert_int_equal(status.resyncs, 0);
	assert_int_equal(scene->bench.resyncs, 0);
	assert_true(status.last_heard_us > 0);
}

static void test_length_form(void **state)
{
	check_form(*state, false, 0);
}

static void test_length_form_in_pieces(void **state)
{
	check_form(*state, false, 997);
}

static void test_marked_form(void **state)
{
	check_form(*state, true, 0);
}

static void test_marked_form_in_pieces(void **state)
{
	check_form(*state, true, 37);
}

static void test_acknowledges(void **state)
{
	struct scene *scene = *state;
	struct bench *bench = &scene->bench;

	start(scene);
	/* Before the snapshot is applied: something, which a diskless master waits for, and no offset. */
	bench->number = 0;
	assert_true(bench_run(bench, acknowledged_number));
	check_everything(scene, 1);
	receiver_set_applied(bench->receiver, 5000, true);
	bench->number = 5000;
	assert_true(bench_run(bench, acknowledged_number));
	receiver_set_applied(bench->receiver, 5100, true);
	bench->number = 5100;
	assert_true(bench_run(bench, acknowledged_number));
	receiver_set_applied(bench->receiver, 5200, false);
	bench->number = 5200;
	assert_true(bench_run(bench, acknowledged_number));
}

/* ---- cuts ---- */

static void test_cut_in_snapshot(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->cut_at = 0;
	plan_add(scene)->cut_at = 4;
	plan_add(scene)->cut_at = 1000;
	plan_add(scene)->cut_at = RDB_LEN;
	scene->master.plans[3].marked = true;
	start(scene);
	check_everything(scene, 5);
	assert_int_equal(scene->bench.resyncs, 4);
	assert_int_equal(receiver_status(scene->bench.receiver).resyncs, 4);
	assert_int_equal(receiver_status(scene->bench.receiver).reconnects, 4);
	assert_int_equal(atomic_load(&scene->master.asked), -1);
	assert_int_equal(scene->bench.told[INCIDENT_FULL_RESYNC], 4);
	assert_string_equal(scene->bench.last_told[INCIDENT_FULL_RESYNC].cause, "incomplete");
	assert_int_equal(scene->bench.told[INCIDENT_SOURCE_LOST], 0); /* each of these lasted less than a second */
	assert_int_equal(bench_count_notes(&scene->bench, "the one before was not received to its end"), 4);
}

static void test_cut_in_stream(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->cut_at = RDB_LEN + 9 + 100; /* "$307200\r\n" */
	for (int i = 0; i < 20; i++)
		plan_add(scene)->cut_at = i == 7 ? 0 : 1000 + (uint64_t)i * 37;
	start(scene);
	check_everything(scene, 1);
	assert_int_equal(scene->bench.resyncs, 0);
	assert_int_equal(atomic_load(&scene->master.full_resyncs), 1);
	assert_int_equal(atomic_load(&scene->master.continues), 21);
	/* A master that closes before it has read the last acknowledgement may be seen in other ways too. */
	assert_int_equal(bench_count_notes(&scene->bench, "closed the connection") +
				 bench_count_notes(&scene->bench, "reset by peer") +
				 bench_count_notes(&scene->bench, "broken pipe"),
			 21);
	assert_int_equal(scene->bench.told[INCIDENT_SOURCE_RECONNECTED], 21);
	assert_int_equal(bench_count_notes(&scene->bench, "streaming from offset 5100\n"), 1);
}

static bool streams_again(struct bench *bench)
{
	return receiver_status(bench->receiver).state == RECEIVER_STREAMING &&
	       receiver_status(bench->receiver).reconnects == bench->number;
}

/* The stream has ended, the connection is quiet and cut: nothing is asked for twice. */
static void test_cut_at_the_end(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->cut_at = RDB_LEN + 9 + STREAM_LEN;
	start(scene);
	scene->bench.number = 1;
	assert_true(bench_run(&scene->bench, streams_again));
	assert_int_equal(atomic_load(&scene->master.asked), 5000 + STREAM_LEN + 1);
	check_everything(scene, 1);
}

static void test_wrong_checksum(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->damage_at = 5000;
	plan_add(scene)->damage_at = 5000;
	scene->master.plans[1].marked = true;
	start(scene);
	check_everything(scene, 3);
	assert_int_equal(scene->bench.resyncs, 2);
	assert_int_equal(bench_count_notes(&scene->bench, "checksum is wrong"), 2);
}

static void test_silence(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->silent_at = RDB_LEN + 9 + 77;
	scene->bench.options.repl_timeout_ms = 500;
	start(scene);
	check_everything(scene, 1);
	assert_int_equal(atomic_load(&scene->master.asked), 5078);
	assert_int_equal(bench_count_notes(&scene->bench, "nothing was heard of the source for"), 1);
}

static void test_silence_before_snapshot(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->silent_at = 0;
	scene->bench.options.repl_timeout_ms = 500;
	start(scene);
	check_everything(scene, 2);
}

/* ---- other histories ---- */

static bool resync_is_asked(struct bench *bench)
{
	return bench->resyncs == 1;
}

static bool second_was_asked(struct bench *bench)
{
	return atomic_load(&master_of(bench)->connections) >= 3 && bench->resyncs == 1 &&
	       receiver_status(bench->receiver).state == RECEIVER_WAITING;
}

static void *ready_from_another_thread(void *receiver)
{
	receiver_resync_ready(receiver);
	return NULL;
}

/* The applier takes its time to let go: the old generation stays untouched until then, also when the connection
 * breaks meanwhile. */
static void test_full_resync_waits_for_the_applier(void **state)
{
	struct scene *scene = *state;
	struct bench *bench = &scene->bench;
	struct endpoint endpoint;
	pthread_t thread;

	scene->bench.ready_at_once = false;
	plan_add(scene);
	plan_add(scene)->full = true;
	plan_add(scene);
	start(scene);
	check_everything(scene, 1);
	endpoint = scene->master.endpoint;
	snprintf(endpoint.host, sizeof(endpoint.host), "localhost");
	receiver_move(bench->receiver, &endpoint);
	assert_true(bench_run(bench, resync_is_asked));
	bench_check_held(bench, 0, scene->all, RDB_LEN + STREAM_LEN);
	assert_int_equal(atomic_load(&scene->master.asked), 5000 + STREAM_LEN + 1);
	/* Another connection; it must not continue the old history now, though the master would let it. */
	receiver_move(bench->receiver, &scene->master.endpoint);
	assert_true(bench_run(bench, second_was_asked));
	assert_int_equal(atomic_load(&scene->master.asked), -1);
	assert_int_equal(spool_origin(bench->spool).generation, 1);
	assert_int_equal(pthread_create(&thread, NULL, ready_from_another_thread, bench->receiver), 0);
	pthread_join(thread, NULL);
	check_everything(scene, 2);
	assert_int_equal(bench->resyncs, 1);
	assert_int_equal(receiver_status(bench->receiver).resyncs, 1);
}

static void test_history_goes_on_under_another_id(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->cut_at = RDB_LEN + 9 + 100;
	scene->master.continue_as = FAKE_OTHER_ID;
	start(scene);
	check_everything(scene, 1);
	assert_string_equal(spool_origin(scene->bench.spool).replid, FAKE_OTHER_ID);
	assert_int_equal(bench_count_notes(&scene->bench, "under a new replication id"), 1);
	assert_int_equal(scene->bench.told[INCIDENT_SOURCE_FAILOVER], 1);
}

static bool is_streaming_on_the_other(struct bench *bench)
{
	struct fake_master *other = master_of(bench);

	return atomic_load(&other->continues) == 1 && spool_end(bench->spool) == RDB_LEN + STREAM_LEN;
}

static void test_moves_to_another_master(void **state)
{
	struct scene *scene = *state;
	struct fake_master other = scene->master;

	scene->master.stream_len = 1000;
	fake_master_start(&other);
	start(scene);
	scene->bench.number = 0;
	assert_true(bench_run(&scene->bench, acknowledged_number));
	receiver_move(scene->bench.receiver, &other.endpoint);
	scene->bench.master = &other;
	assert_true(bench_run(&scene->bench, is_streaming_on_the_other));
	bench_check_held(&scene->bench, 0, scene->all, RDB_LEN + STREAM_LEN);
	fake_master_stop(&other);
}

static void test_restart(void **state)
{
	struct scene *scene = *state;
	struct bench *bench = &scene->bench;

	plan_add(scene)->silent_at = RDB_LEN + 9 + 12345;
	start(scene);
	bench->number = RDB_LEN + 12345;
	assert_true(bench_run(bench, holds_number));
	bench_restart(bench);
	check_everything(scene, 1);
	assert_int_equal(atomic_load(&scene->master.asked), 5000 + 12345 + 1);
	assert_int_equal(bench->resyncs, 0);
}

/* ---- refusals ---- */

static bool has_given_up(struct bench *bench)
{
	return bench->gave_up;
}

static void test_gives_up_at_the_beginning(void **state)
{
	struct scene *scene = *state;
	char password[] = "guessed";
	const struct credentials credentials = {.password = password};

	scene->master.password = "secret";
	scene->bench.options.credentials = &credentials;
	start(scene);
	assert_true(bench_run(&scene->bench, has_given_up));
	assert_int_equal(scene->bench.error.kind, ERROR_SOURCE);
	assert_ptr_equal(strstr(scene->bench.error.text, "127.0.0.1:"), scene->bench.error.text);
	assert_null(strstr(scene->bench.error.text + 1, "127.0.0.1:"));
	assert_non_null(strstr(scene->bench.error.text, "WRONGPASS"));
	assert_null(strstr(scene->bench.error.text, "guessed"));
	assert_int_equal(receiver_status(scene->bench.receiver).state, RECEIVER_STOPPED);
}

static void test_password(void **state)
{
	struct scene *scene = *state;
	char user[] = "sync", password[] = "secret";
	const struct credentials credentials = {.username = user, .password = password};

	scene->master.password = "secret";
	scene->bench.options.credentials = &credentials;
	scene->bench.options.name = "keyferry:test";
	start(scene);
	check_everything(scene, 1);
}

static bool is_away(struct bench *bench)
{
	return strstr(receiver_status(bench->receiver).away.text, "NOPERM") != NULL;
}

static bool is_elsewhere_away(struct bench *bench)
{
	return strstr(receiver_status(bench->receiver).away.text, "NOMASTERLINK") != NULL;
}

/* The first loss tells since when, the last attempt why; once it is taken on, there is nothing to tell. */
static void test_tells_why_it_is_away(void **state)
{
	struct scene *scene = *state;
	struct away_status away;

	plan_add(scene)->cut_at = RDB_LEN + 9 + 100;
	plan_add(scene)->psync = "-NOPERM this user has no permissions to run the 'psync' command";
	plan_add(scene)->psync = "-NOMASTERLINK Can't SYNC while not connected with my master";
	start(scene);
	assert_true(bench_run(&scene->bench, is_away));
	away = receiver_status(scene->bench.receiver).away;
	assert_true(away.since_ms > 0);
	assert_ptr_equal(strstr(away.text, "127.0.0.1:"), away.text);
	assert_non_null(strstr(away.hint, "psync"));
	assert_true(bench_run(&scene->bench, is_elsewhere_away));
	assert_int_equal(receiver_status(scene->bench.receiver).away.since_ms, away.since_ms);
	check_everything(scene, 1);
	away = receiver_status(scene->bench.receiver).away;
	assert_int_equal(away.since_ms, 0);
	assert_string_equal(away.text, "");
	assert_string_equal(away.hint, "");
}

/* Later on, the same refusal is waited out. */
static void test_never_gives_up_later(void **state)
{
	struct scene *scene = *state;

	plan_add(scene)->cut_at = RDB_LEN + 9 + 100;
	plan_add(scene)->psync = "-NOPERM this user has no permissions to run the 'psync' command";
	plan_add(scene)->psync = "-NOMASTERLINK Can't SYNC while not connected with my master";
	plan_add(scene)->psync = "-LOADING Redis is loading the dataset in memory";
	start(scene);
	check_everything(scene, 1);
	assert_false(scene->bench.gave_up);
	assert_int_equal(bench_count_notes(&scene->bench, "NOPERM"), 1);
	assert_int_equal(bench_count_notes(&scene->bench, "NOMASTERLINK"), 1);
	assert_int_equal(bench_count_notes(&scene->bench, "LOADING"), 1);
}

static bool has_noted_to_try_again(struct bench *bench)
{
	return bench_count_notes(bench, "trying again") > 0;
}

/* A master that is not there yet is no reason to give up either. */
static void test_waits_for_the_master(void **state)
{
	struct scene *scene = *state;
	struct endpoint nobody;

	fake_master_start(&scene->master);
	nobody = scene->master.endpoint;
	snprintf(nobody.host, sizeof(nobody.host), "%s/none.sock", scene->bench.dir);
	nobody.port = 0;
	bench_start(&scene->bench, &nobody);
	assert_true(bench_run(&scene->bench, has_noted_to_try_again));
	assert_int_equal(bench_count_notes(&scene->bench, "trying again"), 1);
	receiver_move(scene->bench.receiver, &scene->master.endpoint);
	check_everything(scene, 1);
}

/* ---- no snapshot wanted ---- */

static bool has_the_stream(struct bench *bench)
{
	return spool_origin(bench->spool).generation == bench->number && spool_end(bench->spool) == STREAM_LEN;
}

static void test_stream_only(void **state)
{
	struct scene *scene = *state;

	scene->bench.options.snapshot = false;
	plan_add(scene)->cut_at = 600;
	start(scene);
	scene->bench.number = 1;
	assert_true(bench_run(&scene->bench, has_the_stream));
	bench_check_held(&scene->bench, 0, scene->stream, STREAM_LEN);
	assert_int_equal(spool_snapshot_end(scene->bench.spool), 0);
	assert_int_equal(spool_origin(scene->bench.spool).offset, 5000);
	assert_int_equal(atomic_load(&scene->master.full_resyncs), 0);
	assert_int_equal(atomic_load(&scene->master.asked), 5601);
}

static void test_stream_only_with_a_snapshot_sent(void **state)
{
	struct scene *scene = *state;

	scene->bench.options.snapshot = false;
	plan_add(scene)->full = true;
	scene->master.plans[0].marked = true;
	plan_add(scene)->full = true;
	start(scene);
	scene->bench.number = 1;
	assert_true(bench_run(&scene->bench, has_the_stream));
	bench_check_held(&scene->bench, 0, scene->stream, STREAM_LEN);
	assert_int_equal(bench_count_notes(&scene->bench, "snapshot is off"), 0);
}

/* ---- the spool's limits ---- */

static bool reader_releases(struct bench *bench)
{
	uint64_t end = spool_end(bench->spool);

	if (end > bench->number) {
		struct error error;
		const uint8_t *view = spool_view(bench->spool, bench->number, end - bench->number, &error);

		assert_non_null(view);
		for (uint64_t p = bench->number; p < end; p++) {
			uint8_t expected = p < RDB_LEN ? scene_of(bench)->rdb[p] : master_of(bench)->stream[p - RDB_LEN];

			if (view[p - bench->number] != expected)
				fail_msg("wrong byte at %llu", (unsigned long long)p);
		}
		bench->number = end;
		spool_release(bench->spool, end);
	}
	return end == RDB_LEN + master_of(bench)->stream_len;
}

static void test_waits_for_room(void **state)
{
	struct scene *scene = *state;
	size_t len = 20 << 20;
	uint8_t *stream = memory_alloc(len);

	fill(stream, len, 11);
	scene->master.stream = stream;
	scene->master.stream_len = len;
	scene->bench.spool_options.max_size = 4 << 20;
	start(scene);
	assert_true(bench_run(&scene->bench, reader_releases));
	assert_int_equal(atomic_load(&scene->master.connections), 1);
	scene->extra = stream; /* the master's thread uses it to the end */
}

static atomic_bool disk_is_full;
static struct disk small_disk;

static ssize_t small_pwrite(int file, const void *data, size_t len, uint64_t offset)
{
	return atomic_load(&disk_is_full) ? -ENOSPC : disk_real.pwrite(file, data, len, offset);
}

static bool has_noted_the_full_disk(struct bench *bench)
{
	return bench_count_notes(bench, "tried again each second") > 0;
}

static bool two_seconds_passed(struct bench *bench)
{
	return clock_monotonic_us() - bench->number > 2200000;
}

static void test_disk_full(void **state)
{
	struct scene *scene = *state;
	struct bench *bench = &scene->bench;

	small_disk = disk_real;
	small_disk.pwrite = small_pwrite;
	bench->spool_options.disk = &small_disk;
	plan_add(scene)->silent_at = RDB_LEN / 2;
	bench->options.repl_timeout_ms = 500;
	start(scene);
	bench->number = RDB_LEN / 2 - 9;
	assert_true(bench_run(bench, holds_number));
	atomic_store(&disk_is_full, true);
	/* The silent connection is given up; the next one cannot even begin its generation. */
	assert_true(bench_run(bench, has_noted_the_full_disk));
	bench->number = clock_monotonic_us();
	assert_true(bench_run(bench, two_seconds_passed));
	assert_int_equal(bench_count_notes(bench, "tried again each second"), 1);
	atomic_store(&disk_is_full, false);
	check_everything(scene, 2);
	assert_int_equal(bench_count_notes(bench, "takes bytes again"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_length_form),
		TEST(test_length_form_in_pieces),
		TEST(test_marked_form),
		TEST(test_marked_form_in_pieces),
		TEST(test_acknowledges),
		TEST(test_cut_in_snapshot),
		TEST(test_cut_in_stream),
		TEST(test_cut_at_the_end),
		TEST(test_wrong_checksum),
		TEST(test_silence),
		TEST(test_silence_before_snapshot),
		TEST(test_full_resync_waits_for_the_applier),
		TEST(test_history_goes_on_under_another_id),
		TEST(test_moves_to_another_master),
		TEST(test_restart),
		TEST(test_gives_up_at_the_beginning),
		TEST(test_password),
		TEST(test_tells_why_it_is_away),
		TEST(test_never_gives_up_later),
		TEST(test_waits_for_the_master),
		TEST(test_stream_only),
		TEST(test_stream_only_with_a_snapshot_sent),
		TEST(test_waits_for_room),
		TEST(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
