/* A disk that fails, fills up, or loses its power. */
#include "memory_disk.h"
#include "spool_fixture.h"

static const struct spool_options options = {
	.dir = "/spool", .segment_size = MIB, .max_size = 32 * MIB, .view_max = 3 * MIB, .disk = &disk_memory};

/* A call that may fail once; the second attempt must not. */
#define TWICE(call)                                                                                                              \
	do {                                                                                                                     \
		if (!(call)) {                                                                                                   \
			assert_int_equal(error.kind, ERROR_INTERNAL);                                                            \
			assert_non_null(strstr(error.text, "/spool"));                                                           \
			failures++;                                                                                              \
			assert_true(call);                                                                                       \
		}                                                                                                                \
	} while (0)

/* The whole life of a spool with at most one failing call in it. Returns how many of its calls failed. */
static unsigned live(void)
{
	struct spool_origin origin = {.generation = 1, .replid = "abc", .offset = 10};
	struct error error = {0};
	unsigned failures = 0;
	uint8_t *chunk = memory_alloc(2 * MIB);
	struct spool *spool;
	const uint8_t *view;
	uint64_t cut;
	bool full;

	TWICE(spool = spool_open(&options, &cut, &error));
	TWICE(spool_start(spool, &origin, true, &error));
	for (unsigned i = 0; i < 4; i++) {
		uint64_t end = spool_end(spool);

		fill(chunk, end, 2 * MIB);
		if (!spool_append(spool, chunk, MIB + 300 + i, &full, &error)) {
			failures++;
			assert_int_equal(spool_end(spool), end);
			assert_true(full); /* the fault is -ENOSPC */
			/* Not even the same bytes need to come again. */
			assert_true(spool_append(spool, chunk, 7, &full, &error));
			assert_true(spool_append(spool, chunk + 7, MIB + 293 + i, &full, &error));
		}
		TWICE(spool_flush(spool, false, &error));
	}
	TWICE(spool_finish_snapshot(spool, &error));
	TWICE(spool_rename_history(spool, "def", &error));
	for (uint64_t at = 0; at + MIB <= spool_end(spool); at += MIB) {
		TWICE(view = spool_view(spool, at, MIB, &error));
		assert_true(is_filled(view, at, MIB));
		spool_release(spool, at + MIB);
	}
	/* This may fail twice: a disk that lost bytes once is not believed again. */
	if (!spool_flush(spool, true, &error)) {
		failures++;
		if (!spool_flush(spool, true, &error))
			assert_non_null(strstr(error.text, "accepted"));
	}
	spool_close(spool);
	assert_int_equal(memory_disk_open_files(), 0);

	TWICE(spool = spool_open(&options, &cut, &error));
	assert_true(cut == 0 || failures > 0 || memory_disk_calls() > 0);
	assert_int_equal(spool_offset_of(spool, spool_snapshot_end(spool)), 11);
	assert_string_equal(spool_origin(spool).replid, "def");
	TWICE(view = spool_view(spool, spool_end(spool) - 100, 100, &error));
	assert_true(is_filled(view, spool_end(spool) - 100, 100));
	origin.generation = 2;
	TWICE(spool_start(spool, &origin, false, &error));
	assert_int_equal(spool_end(spool), 0);
	fill(chunk, 0, 100);
	TWICE(spool_append(spool, chunk, 100, &full, &error));
	TWICE(view = spool_view(spool, 0, 100, &error));
	assert_true(is_filled(view, 0, 100));
	spool_close(spool);
	assert_int_equal(memory_disk_open_files(), 0);
	free(chunk);
	return failures;
}

static void test_each_call_fails(void **state)
{
	unsigned calls, failed = 0;

	(void)state;
	memory_disk_reset();
	assert_int_equal(live(), 0);
	calls = memory_disk_calls();
	assert_true(calls > 60);
	for (unsigned call = 1; call <= calls; call++) {
		memory_disk_reset();
		memory_disk_fail(call, ENOSPC);
		failed += live() > 0;
	}
	/* All but a few are told: a file that is not deleted yet, a record that closing could not write. */
	assert_true(failed > calls * 3 / 4);
}

static void test_disk_full(void **state)
{
	struct error error = {0};
	struct spool *spool;
	uint8_t *chunk = memory_alloc(MIB);
	uint64_t cut, end;
	bool full = false;

	(void)state;
	memory_disk_reset();
	spool = open_spool(&options, &cut);
	start_spool(spool, 1, true);
	memory_disk_limit(3 * MIB + 12345);
	for (;;) {
		end = spool_end(spool);
		fill(chunk, end, 300000);
		if (!spool_append(spool, chunk, 300000, &full, &error))
			break;
	}
	assert_true(full);
	assert_non_null(strstr(error.text, "disk full"));
	assert_true(error.hint[0] != '\0');
	assert_int_equal(spool_end(spool), end);
	assert_false(spool_append(spool, chunk, 300000, &full, &error));
	/* What needs no new room works. */
	assert_true(spool_flush(spool, true, &error));
	assert_true(spool_rename_history(spool, "other", &error));
	spool_release(spool, MIB);
	assert_true(spool_append(spool, chunk, 300000, &full, &error));
	assert_false(full);
	memory_disk_limit(UINT64_MAX);
	append_bytes(spool, 5 * MIB);
	check_bytes(spool, MIB, spool_end(spool));
	end = spool_end(spool);
	spool_close(spool);
	spool = open_spool(&options, &cut);
	assert_int_equal(cut, 0);
	assert_int_equal(spool_end(spool), end);
	memory_disk_limit(1);
	start_spool(spool, 2, true); /* a new generation is what frees the room */
	spool_close(spool);
	free(chunk);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

/* Whatever a power cut leaves: it opens, every byte is right, and nothing is missing of what was flushed to the disk. */
static void test_power_cuts(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t random = seed, cut, durable = 0, generation = 0;
		struct error error = {0};

		memory_disk_reset();
		for (unsigned life = 0; life < 6; life++) {
			struct spool *spool = open_spool(&options, &cut);
			uint64_t end = spool_end(spool);

			if (spool_origin(spool).generation != generation)
				fail_msg("seed %llu: generation %llu is lost", (unsigned long long)seed,
					 (unsigned long long)generation);
			if (end < durable)
				fail_msg("seed %llu, life %u: %llu are left of %llu", (unsigned long long)seed, life,
					 (unsigned long long)end, (unsigned long long)durable);
			/* Looked at, not released: the next life wants it too. */
			for (uint64_t at = spool_begin_position(spool), stop = at + 3 * MIB; at < end && at < stop; at += 4096) {
				uint64_t len = end - at < 4096 ? end - at : 4096;
				const uint8_t *view = spool_view(spool, at, len, &error);

				if (!view)
					fail_msg("seed %llu: %s", (unsigned long long)seed, error.text);
				assert_true(is_filled(view, at, len));
			}
			for (unsigned step = 0; step < 12; step++) {
				switch (generation == 0 ? 9 : next_random(&random) % 10) {
				default: append_bytes(spool, next_random(&random) % 400000); break;
				case 5:
				case 6: assert_true(spool_flush(spool, false, &error)); break;
				case 7:
					assert_true(spool_flush(spool, true, &error));
					durable = spool_end(spool);
					break;
				case 8:
					end = spool_end(spool) - spool_begin_position(spool);
					spool_release(spool,
						      spool_begin_position(spool) + (end ? next_random(&random) % end : 0));
					break;
				case 9:
					if (generation > 0 && next_random(&random) % 8)
						break;
					start_spool(spool, ++generation, false);
					durable = 0;
				}
			}
			spool_close(spool);
			memory_disk_power_cut(random);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_call_fails),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_power_cuts),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	memory_disk_reset();
	return failed;
}
