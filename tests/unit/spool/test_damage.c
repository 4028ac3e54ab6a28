/* Torn tails, damage, and what a process that is killed leaves. */
#include "memory_disk.h"
#include "spool_fixture.h"

#include <sys/wait.h>

/* Files in the order they are made: state, segments 0, 1, 2. */
enum { STATE, SEGMENT };

static const struct spool_options options = {
	.dir = "/spool", .segment_size = 2 * MIB, .max_size = 64 * MIB, .view_max = 3 * MIB, .disk = &disk_memory};

/* 5 MiB and a bit in three segments, recorded in several steps; on the disk up to `synced`. */
static uint64_t make_spool(uint64_t synced)
{
	struct error error = {0};
	uint64_t cut, end;
	struct spool *spool;

	memory_disk_reset();
	spool = open_spool(&options, &cut);
	start_spool(spool, 1, false);
	append_bytes(spool, synced);
	assert_true(spool_flush(spool, true, &error));
	while ((end = spool_end(spool)) < 5 * MIB + 2000) {
		append_bytes(spool, end + 300000 < 5 * MIB + 2000 ? 300000 : 5 * MIB + 2000 - end);
		assert_true(spool_flush(spool, false, &error));
	}
	spool_close(spool);
	memory_disk_save();
	return end;
}

/* Opens what was damaged: either an error, or a spool whose every byte is right. Returns its end; UINT64_MAX: an error. */
static uint64_t open_damaged(uint64_t *ret_cut)
{
	struct error error = {0};
	struct spool *spool = spool_open(&options, ret_cut, &error);
	uint64_t end;

	assert_int_equal(memory_disk_open_files() > 0, spool != NULL);
	if (!spool) {
		assert_int_equal(error.kind, ERROR_INTERNAL);
		assert_true(strstr(error.text, "/spool") != NULL);
		return UINT64_MAX;
	}
	end = spool_end(spool);
	for (uint64_t at = spool_begin_position(spool); at < end;) {
		uint64_t len = end - at < MIB ? end - at : MIB;
		const uint8_t *view;

		spool_release(spool, at);
		view = spool_view(spool, at, len, &error);
		if (!view) {
			assert_true(strstr(error.text, "damaged") != NULL);
			end = UINT64_MAX;
			break;
		}
		assert_true(is_filled(view, at, len));
		at += len;
	}
	/* It goes on behind the cut, and is whole the next time. */
	if (end != UINT64_MAX && spool_origin(spool).generation == 1) {
		uint64_t cut;

		append_bytes(spool, 11);
		spool_close(spool);
		spool = open_spool(&options, &cut);
		assert_int_equal(cut, 0);
		assert_int_equal(spool_end(spool), end + 11);
		check_bytes(spool, end - end % MIB, end + 11);
	}
	spool_close(spool);
	return end;
}

static void test_clean(void **state)
{
	uint64_t end = make_spool(0), cut;

	(void)state;
	assert_int_equal(open_damaged(&cut), end);
	assert_int_equal(cut, 0);
}

/* The last segment cut at points all over it: its head, its records, its bytes. */
static void test_truncated(void **state)
{
	uint64_t end = make_spool(0), cut;
	uint64_t size = (uint64_t)memory_disk_file_size(SEGMENT + 2);

	(void)state;
	for (uint64_t at = 0; at < size; at += at < 100 ? 1 : at < FORMAT_HEAD - 4000 || at > FORMAT_HEAD + 8192 ? 30011 : 997) {
		uint64_t got;

		memory_disk_restore();
		assert_true(memory_disk_truncate(SEGMENT + 2, at));
		got = open_damaged(&cut);
		if (got > end)
			fail_msg("truncated to %llu: not opened", (unsigned long long)at);
		assert_true(got >= 4 * MIB && got <= 4 * MIB + (at > FORMAT_HEAD ? at - FORMAT_HEAD : 0));
		if (at > FORMAT_HEAD + MIB)
			assert_true(got >= 5 * MIB);
		assert_int_equal(cut, end - got - (at < FORMAT_HEAD ? end - 4 * MIB : 0));
	}
}

/* Each byte that the spool has written, and many of the data, turned over. */
static void test_flipped(void **state)
{
	uint64_t end = make_spool(0), cut;

	(void)state;
	for (unsigned file = STATE; file <= SEGMENT + 2; file++) {
		uint64_t used = file == STATE ? FORMAT_STATE : 2 * FORMAT_RECORD, size;

		memory_disk_restore();
		size = (uint64_t)memory_disk_file_size(file);
		for (uint64_t at = 0; at < size; at += at < FORMAT_HEAD ? 1 : 49991) {
			uint64_t got;
			uint8_t byte;

			/* In the head: what is used at the beginning (of each slot) and in both tables, and a byte behind. */
			if (at < FORMAT_HEAD && (at % 4096 > used || (at > 8192 && at / 4096 != 4)))
				continue;
			memory_disk_restore();
			assert_true(memory_disk_read(file, at, &byte, 1));
			byte ^= (uint8_t)(1 + at % 255);
			assert_true(memory_disk_change(file, at, &byte, 1));
			got = open_damaged(&cut);
			assert_true(got == UINT64_MAX || got <= end);
			if (file != STATE && got == UINT64_MAX)
				fail_msg("file %u, byte %llu: nothing was synced, so this is a tail", file,
					 (unsigned long long)at);
		}
	}
}

/* What had been on the disk is no tail: damage there is an error that names the place. */
static void test_damage_before_tail(void **state)
{
	uint64_t end = make_spool(4 * MIB + 500), cut;
	struct error error = {0};
	struct spool *spool;
	uint8_t byte, head[FORMAT_HEAD_USED];

	(void)state;
	/* A byte of a block: nobody sees it. */
	assert_true(memory_disk_read(SEGMENT, FORMAT_HEAD + MIB + 7, &byte, 1));
	byte ^= 1;
	assert_true(memory_disk_change(SEGMENT, FORMAT_HEAD + MIB + 7, &byte, 1));
	spool = open_spool(&options, &cut);
	assert_int_equal(spool_end(spool), end);
	assert_non_null(spool_view(spool, 0, MIB, &error));
	assert_null(spool_view(spool, MIB - 1, 2, &error));
	assert_non_null(strstr(error.text, "00000001-000000000000.segment"));
	assert_non_null(strstr(error.text, "position 1048576"));
	assert_null(spool_view(spool, MIB, 2, &error));
	spool_release(spool, 2 * MIB);
	assert_non_null(spool_view(spool, 2 * MIB, MIB, &error));
	spool_close(spool);

	/* Both records of a block; a segment that is too short; one that is gone. */
	memory_disk_restore();
	for (unsigned which = 0; which < 2; which++)
		assert_true(memory_disk_change(SEGMENT + 1, format_record_at(which, 1), "xxxxxxxx", 8));
	assert_null(spool_open(&options, &cut, &error));
	assert_non_null(strstr(error.text, "00000001-000000000001.segment: damaged"));
	assert_non_null(strstr(error.text, "position 3145728"));
	memory_disk_restore();
	assert_true(memory_disk_truncate(SEGMENT, FORMAT_HEAD + 2 * MIB - 1));
	assert_null(spool_open(&options, &cut, &error));
	memory_disk_restore();
	assert_true(memory_disk_remove(SEGMENT + 1));
	assert_null(spool_open(&options, &cut, &error));
	assert_non_null(strstr(error.text, "00000001-000000000001.segment: missing"));

	/* A file that was moved here. */
	memory_disk_restore();
	assert_true(memory_disk_read(SEGMENT + 1, 0, head, sizeof(head)));
	assert_true(memory_disk_change(SEGMENT + 2, 0, head, sizeof(head)));
	assert_null(spool_open(&options, &cut, &error));
	assert_non_null(strstr(error.text, "00000001-000000000002.segment: its head is that of another segment"));

	/* Behind it, the same faults are a tail. */
	memory_disk_restore();
	assert_true(memory_disk_change(SEGMENT + 2, FORMAT_HEAD + 600, "xxxxxxxx", 8));
	spool = open_spool(&options, &cut);
	assert_int_equal(spool_end(spool), 4 * MIB + 500);
	assert_int_equal(cut, end - 4 * MIB - 500);
	spool_close(spool);
}

/* A snapshot whose end is in the tail is not complete any more. */
static void test_snapshot_end_cut(void **state)
{
	struct spool *spool;
	struct error error = {0};
	uint64_t cut;

	(void)state;
	memory_disk_reset();
	spool = open_spool(&options, &cut);
	start_spool(spool, 1, true);
	append_bytes(spool, MIB + 400);
	assert_true(spool_finish_snapshot(spool, &error));
	append_bytes(spool, 100);
	spool_close(spool);
	memory_disk_save();
	for (unsigned lost = 0; lost <= 101; lost += 101) {
		memory_disk_restore();
		assert_true(memory_disk_truncate(SEGMENT, FORMAT_HEAD + MIB + 500 - lost));
		for (unsigned again = 0; again < 2; again++) {
			spool = open_spool(&options, &cut);
			assert_int_equal(spool_end(spool), lost ? MIB : MIB + 500);
			assert_true(spool_snapshot_end(spool) == (lost ? SPOOL_UNKNOWN : MIB + 400));
			spool_close(spool);
		}
	}
}

static void test_no_spool(void **state)
{
	struct error error = {0};
	uint64_t cut;

	(void)state;
	make_spool(0);
	assert_true(memory_disk_change(STATE, 0, "something", 9));
	assert_true(memory_disk_change(STATE, FORMAT_STATE_SLOT, "else", 4));
	assert_null(spool_open(&options, &cut, &error));
	assert_int_equal(error.kind, ERROR_INTERNAL);
	/* Segments without a state are not thrown away. */
	memory_disk_restore();
	assert_true(memory_disk_remove(STATE));
	assert_null(spool_open(&options, &cut, &error));
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_int_equal(memory_disk_open_files(), 0);
}

/* A process is killed while it appends: what it had flushed is there. */
static void test_kill(void **state)
{
	struct spool_options real = options;
	char *dir = make_dir();
	uint64_t cut, flushed = 0, before = 0;
	struct spool *spool;

	(void)state;
	real.dir = dir;
	real.disk = NULL;
	real.max_size = 1024 * MIB;
	spool = open_spool(&real, &cut);
	start_spool(spool, 1, false);
	spool_close(spool);
	for (unsigned round = 0; round < 6; round++) {
		int channel[2], status;
		uint64_t told;
		pid_t child;

		assert_int_equal(pipe(channel), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct error error;
			uint64_t step = round;

			spool = open_spool(&real, &cut);
			for (;;) {
				append_bytes(spool, 1 + (step++ * 7919) % 200000);
				if (!spool_flush(spool, false, &error))
					_exit(1);
				told = spool_end(spool);
				if (write(channel[1], &told, sizeof(told)) != sizeof(told))
					_exit(1);
			}
		}
		close(channel[1]);
		for (unsigned heard = 0; heard < 20 + round * 13; heard++)
			assert_int_equal(read(channel[0], &flushed, sizeof(flushed)), sizeof(flushed));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		while (read(channel[0], &told, sizeof(told)) == sizeof(told))
			flushed = told;
		close(channel[0]);
		spool = open_spool(&real, &cut);
		assert_true(spool_end(spool) >= flushed && flushed > before);
		check_bytes(spool, spool_begin_position(spool), spool_end(spool));
		before = flushed;
		spool_close(spool);
	}
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_damage_before_tail),
		cmocka_unit_test(test_snapshot_end_cut),
		cmocka_unit_test(test_no_spool),
		cmocka_unit_test(test_kill),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	memory_disk_reset();
	return failed;
}
