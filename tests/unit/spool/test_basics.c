#include "spool_fixture.h"

static void test_append_and_view(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	uint64_t cut = 9;
	struct spool *spool = open_spool(&options, &cut);
	struct error error = {0};
	const uint8_t *first, *second;
	bool full;

	(void)state;
	assert_int_equal(cut, 0);
	assert_int_equal(spool_origin(spool).generation, 0);
	assert_false(spool_append(spool, "x", 1, &full, &error));
	assert_false(full);
	start_spool(spool, 1, true);
	assert_int_equal(spool_end(spool), 0);
	assert_true(spool_snapshot_end(spool) == SPOOL_UNKNOWN);
	assert_int_equal(spool_offset_of(spool, 0), -1);
	append_bytes(spool, 2 * MIB + 100);
	assert_true(spool_finish_snapshot(spool, &error));
	assert_int_equal(spool_snapshot_end(spool), 2 * MIB + 100);
	assert_int_equal(spool_offset_of(spool, 2 * MIB + 99), -1);
	assert_int_equal(spool_offset_of(spool, 2 * MIB + 100), 1001);
	append_bytes(spool, 5);
	assert_int_equal(spool_disk_bytes(spool), 2 * MIB + 105);

	first = spool_view(spool, 10, MIB, &error);
	second = spool_view(spool, 10 + MIB, MIB, &error);
	assert_non_null(first);
	assert_ptr_equal(first + MIB, second);
	assert_true(is_filled(first, 10, 2 * MIB));
	assert_null(spool_view(spool, 2 * MIB, MIB, &error));
	assert_null(spool_view(spool, UINT64_MAX, 2, &error));
	assert_null(spool_view(spool, 0, 3 * MIB + 1, &error));
	spool_release(spool, MIB);
	assert_null(spool_view(spool, 0, 1, &error));
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_true(is_filled(second, 10 + MIB, MIB));
	spool_close(spool);
	remove_dir(dir);
}

/* Every step keeps the last view, reads on from it, and goes round the window many times. */
static void test_ring_wraps(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	uint64_t cut, position = 0;
	struct spool *spool = open_spool(&options, &cut);
	struct error error = {0};
	const uint8_t *held = NULL;
	uint64_t held_at = 0, steps = 0;

	(void)state;
	start_spool(spool, 1, false);
	while (position < 60 * MIB) {
		uint64_t len = 1 + (position * 7919) % (2 * MIB);
		const uint8_t *view;

		append_bytes(spool, len);
		view = spool_view(spool, position, len, &error);
		assert_non_null(view);
		assert_true(is_filled(view, position, len));
		if (held) {
			assert_true(is_filled(held, held_at,
					      position + len - held_at > 3 * MIB ? 3 * MIB : position + len - held_at));
			spool_release(spool, position - 1);
			/* The pointer is held over the release of what lies before it. */
			assert_true(is_filled(held + (position - 1 - held_at), position - 1, len + 1));
		}
		held = view;
		held_at = position;
		position += len;
		steps++;
	}
	assert_true(steps > 20);
	assert_true(count_files(dir) <= 5);
	spool_close(spool);
	remove_dir(dir);
}

static unsigned room_calls;

static void count_room(void *owner)
{
	assert_ptr_equal(owner, &room_calls);
	room_calls++;
}

static void test_bound(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	struct error error = {0};
	struct spool *spool;
	uint64_t cut;
	bool full;

	(void)state;
	options.max_size = 4 * MIB;
	spool = open_spool(&options, &cut);
	spool_on_room(spool, count_room, &room_calls);
	start_spool(spool, 1, false);
	assert_int_equal(spool_room(spool), 4 * MIB);
	append_bytes(spool, 4 * MIB - 10);
	spool_release(spool, MIB + 5);
	assert_int_equal(room_calls, 0); /* nobody waits */
	assert_int_equal(spool_room(spool), MIB + 10);
	append_bytes(spool, MIB + 10);
	assert_false(spool_append(spool, "x", 1, &full, &error));
	assert_int_equal(spool_room(spool), 0);
	spool_release(spool, MIB + 10);
	assert_int_equal(room_calls, 0); /* no segment is free yet */
	spool_release(spool, 2 * MIB);
	assert_int_equal(room_calls, 1);
	assert_int_equal(spool_begin_position(spool), 2 * MIB);
	assert_int_equal(spool_room(spool), MIB);
	spool_release(spool, 3 * MIB);
	assert_int_equal(room_calls, 1);
	check_bytes(spool, 3 * MIB, 5 * MIB);
	spool_release(spool, 5 * MIB);
	/* All is applied; the last segment still says where the spool ends. */
	assert_int_equal(spool_begin_position(spool), 4 * MIB);
	spool_close(spool);
	spool = open_spool(&options, &cut);
	assert_int_equal(cut, 0);
	assert_int_equal(spool_end(spool), 5 * MIB);
	spool_close(spool);
	remove_dir(dir);
}

static void test_keep(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	struct spool *spool;
	uint64_t cut;

	(void)state;
	options.keep_size = 2 * MIB;
	spool = open_spool(&options, &cut);
	start_spool(spool, 1, false);
	append_bytes(spool, 8 * MIB);
	spool_release(spool, 2 * MIB);
	assert_int_equal(spool_begin_position(spool), 0);
	spool_release(spool, 5 * MIB + 1);
	assert_int_equal(spool_begin_position(spool), 3 * MIB);
	spool_close(spool);
	remove_dir(dir);
}

/* What was released is read again, and released again; what nobody wants any more goes before its time. */
static void test_rewind(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	struct spool *spool;
	uint64_t cut;

	(void)state;
	options.keep_size = 2 * MIB;
	spool = open_spool(&options, &cut);
	start_spool(spool, 1, false);
	append_bytes(spool, 6 * MIB);
	check_bytes(spool, 4 * MIB, MIB);
	spool_release(spool, 5 * MIB + 1);
	assert_false(spool_rewind(spool, 3 * MIB - 1)); /* not held any more */
	assert_false(spool_rewind(spool, 6 * MIB + 1)); /* not there yet */
	assert_true(spool_rewind(spool, 3 * MIB + 100));
	check_bytes(spool, 3 * MIB + 100, 2 * MIB);
	/* What is not released is not forgotten. */
	spool_forget(spool, 6 * MIB);
	assert_int_equal(spool_begin_position(spool), 3 * MIB);
	spool_release(spool, 4 * MIB + 1);
	assert_int_equal(spool_begin_position(spool), 3 * MIB);
	spool_forget(spool, 4 * MIB);
	assert_int_equal(spool_begin_position(spool), 4 * MIB);
	assert_false(spool_rewind(spool, 3 * MIB + 100));
	spool_forget(spool, 3 * MIB);
	assert_int_equal(spool_begin_position(spool), 4 * MIB);
	append_bytes(spool, 3 * MIB);
	check_bytes(spool, 4 * MIB + 1, 5 * MIB - 1);
	assert_true(spool_rewind(spool, 9 * MIB)); /* its end */
	spool_close(spool);
	remove_dir(dir);
}

static void test_generations(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	uint64_t cut;
	struct spool *spool = open_spool(&options, &cut);
	struct spool_origin origin = {.generation = 1, .replid = "a", .offset = 5};
	struct error error = {0};

	(void)state;
	start_spool(spool, 1, true);
	append_bytes(spool, 3 * MIB);
	check_bytes(spool, 0, 2 * MIB);
	assert_false(spool_start(spool, &origin, true, &error)); /* not a new one */
	assert_int_equal(spool_end(spool), 3 * MIB);
	origin.generation = 2;
	assert_true(spool_start(spool, &origin, false, &error));
	assert_int_equal(spool_end(spool), 0);
	assert_int_equal(spool_begin_position(spool), 0);
	assert_int_equal(spool_snapshot_end(spool), 0);
	assert_int_equal(count_files(dir), 1);
	append_bytes(spool, 700);
	check_bytes(spool, 0, 700);
	assert_true(spool_rename_history(spool, "b2", &error));
	assert_false(spool_rename_history(spool, "0123456789012345678901234567890123456789x", &error));
	assert_int_equal(spool_offset_of(spool, 700), 706);
	spool_close(spool);

	options.segment_size = 2 * MIB; /* counts from the next generation on */
	spool = open_spool(&options, &cut);
	assert_int_equal(cut, 0);
	assert_string_equal(spool_origin(spool).replid, "b2");
	assert_int_equal(spool_origin(spool).generation, 2);
	assert_int_equal(spool_origin(spool).offset, 5);
	check_bytes(spool, 0, 700);
	append_bytes(spool, 2 * MIB);
	assert_int_equal(count_files(dir), 4);
	origin.generation = 7;
	assert_true(spool_start(spool, &origin, true, &error));
	append_bytes(spool, 2 * MIB);
	check_bytes(spool, 0, 2 * MIB);
	assert_int_equal(count_files(dir), 2);
	spool_close(spool);
	remove_dir(dir);
}

static uint64_t resident_file_bytes(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	uint64_t kib = 0;

	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, "RssFile:", 8) == 0)
			kib = strtoull(line + 8, NULL, 10);
	fclose(status);
	return kib * 1024;
}

/* A value of 300 MB passes: checked once, unloaded, sent once, unloaded, and never more than a few MiB of it are resident. */
static void test_unload_bounds_memory(void **state)
{
	const uint64_t value = 300 * MIB, step = 256 * 1024;
	char *dir = make_dir();
	struct spool_options options = {.dir = dir, .max_size = 512 * MIB};
	uint64_t cut, before, most = 0, sum = 0;
	struct spool *spool = open_spool(&options, &cut);
	uint8_t *chunk = memory_alloc_zero(1, MIB);
	struct error error = {0};
	bool full;

	(void)state;
	start_spool(spool, 1, false);
	for (uint64_t at = 0; at < value; at += MIB)
		assert_true(spool_append(spool, chunk, MIB, &full, &error));
	before = resident_file_bytes();
	for (unsigned pass = 0; pass < 2; pass++) {
		const uint8_t *start = spool_view(spool, 0, step, &error);

		for (uint64_t at = 0; at < value; at += step) {
			uint64_t now;

			/* The first pass sees the value grow, the second has it whole. */
			assert_ptr_equal(spool_view(spool, at, pass ? value - at : step, &error), start + at);
			for (uint64_t i = 0; i < step; i += 64)
				sum += start[at + i];
			now = resident_file_bytes();
			most = now > before && now - before > most ? now - before : most;
			spool_unload(spool, at, at + step);
		}
	}
	assert_int_equal(sum, 0);
	assert_true(most >= step); /* it is measured at all */
	assert_true(most <= 4 * MIB);
	spool_close(spool);
	free(chunk);
	remove_dir(dir);
}

static void test_bad_options(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	struct error error = {0};
	uint64_t cut = 77;

	(void)state;
	options.segment_size = MIB + 1;
	assert_null(spool_open(&options, &cut, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	options.segment_size = MIB;
	options.max_size = 4 * MIB - 1;
	assert_null(spool_open(&options, &cut, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	options = small_options("/nonexistent/spool");
	assert_null(spool_open(&options, &cut, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_true(strstr(error.text, "/nonexistent/spool") != NULL);
	assert_int_equal(cut, 77);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_view),
		cmocka_unit_test(test_ring_wraps),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_unload_bounds_memory),
		cmocka_unit_test(test_bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
