/* The input and the feeder: files as one line of bytes, and into a real spool, from wherever that ends. */
#include "source/feeder.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SELECT_ZERO "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define LARGE (5u << 20)

struct bench {
	char dir[64];
	char *spool_dir;
	struct input input;
	struct loop *loop;
	struct spool *spool;
	struct source source;
	struct timer *look;
	uint64_t until; /* stop looking when the spool's end is here; or at the end or failure */
	uint64_t deadline_us;
	bool reading; /* releases what is in the spool all the time */
	bool failed;
	struct error error;
};

static int setup(void **state)
{
	struct bench *bench = memory_alloc_zero(1, sizeof(*bench));

	strcpy(bench->dir, "/tmp/keyferry-feeder-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	bench->spool_dir = memory_printf("%s/spool", bench->dir);
	assert_int_equal(mkdir(bench->spool_dir, 0700), 0);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	char *command = memory_printf("rm -r %s", bench->dir);

	input_close(&bench->input);
	assert_int_equal(system(command), 0);
	free(command);
	free(bench->spool_dir);
	free(bench);
	return 0;
}

static char *write_file(const struct bench *bench, const char *name, const void *data, size_t len)
{
	char *path = memory_printf("%s/%s", bench->dir, name);
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
	return path;
}

static void open_text(struct bench *bench, const char *name, const char *text)
{
	char *path = write_file(bench, name, text, strlen(text));
	struct error error;

	assert_true(input_open(&bench->input, INPUT_AOF, path, &error));
	free(path);
}

/* ---- the input ---- */

/* Everything from `position` on, read in pieces of at most `step`. */
static void assert_reads(const struct input *input, uint64_t position, size_t step, const char *expected)
{
	char text[512] = "";
	size_t at = 0, len;
	struct error error;

	while (position < input->total) {
		assert_true(input_read(input, position, text + at, step, &len, &error));
		assert_in_range(len, 1, step);
		at += len;
		position += len;
	}
	assert_string_equal(text, expected);
}

static void parts_in_one_line(void **state)
{
	struct bench *bench = *state;
	const char whole[] = "base" SELECT_ZERO "first" SELECT_ZERO SELECT_ZERO "third";

	free(write_file(bench, "b", "base", 4));
	free(write_file(bench, "1", "first", 5));
	free(write_file(bench, "2", "", 0));
	free(write_file(bench, "3", "third", 5));
	open_text(bench, "x.manifest", "file b seq 1 type b\nfile 1 seq 1 type i\nfile 2 seq 2 type i\nfile 3 seq 3 type i\n");
	assert_int_equal(bench->input.total, sizeof(whole) - 1);
	for (size_t position = 0; position < sizeof(whole) - 1; position++)
		for (size_t step = 1; step < 30; step += 7)
			assert_reads(&bench->input, position, step, whole + position);
	bench->input.files[3].length = 2;
	input_lay_out(&bench->input);
	assert_reads(&bench->input, 0, 100, "base" SELECT_ZERO "first" SELECT_ZERO SELECT_ZERO "th");
}

static void empty_parts(void **state)
{
	struct bench *bench = *state;

	free(write_file(bench, "b", "", 0));
	free(write_file(bench, "1", "", 0));
	open_text(bench, "x.manifest", "file b seq 1 type b\nfile 1 seq 1 type i\n");
	assert_reads(&bench->input, 0, 100, SELECT_ZERO);
	input_close(&bench->input);
	open_text(bench, "empty", "");
	assert_int_equal(bench->input.total, 0);
}

/* A folder is searched for its one manifest. */
static void folders(void **state)
{
	struct bench *bench = *state;
	struct error error;

	assert_false(input_open(&bench->input, INPUT_AOF, bench->dir, &error));
	assert_non_null(strstr(error.text, "has no manifest"));
	assert_false(input_open(&bench->input, INPUT_RDB, bench->dir, &error));
	assert_non_null(strstr(error.text, "is not a file"));
	free(write_file(bench, "b", "base", 4));
	free(write_file(bench, "x.manifest", "file b seq 1 type b\n", 20));
	assert_true(input_open(&bench->input, INPUT_AOF, bench->dir, &error));
	assert_reads(&bench->input, 0, 100, "base");
	input_close(&bench->input);
	free(write_file(bench, "y.manifest", "", 0));
	assert_false(input_open(&bench->input, INPUT_AOF, bench->dir, &error));
	assert_non_null(strstr(error.text, "several manifests"));
}

/* ---- the feeder ---- */

static void on_note(void *owner, int log_level, const char *text)
{
	(void)owner;
	(void)log_level;
	(void)text;
}

static void on_tell(void *owner, const struct incident *incident)
{
	(void)owner;
	(void)incident;
}

static void on_failed(void *owner, const struct error *error)
{
	struct bench *bench = owner;

	bench->failed = true;
	bench->error = *error;
}

static void on_look(void *owner)
{
	struct bench *bench = owner;

	assert_true(clock_monotonic_us() < bench->deadline_us);
	if (bench->reading)
		spool_release(bench->spool, spool_end(bench->spool));
	if (bench->failed || bench->source.ops->status(bench->source.self).complete || spool_end(bench->spool) >= bench->until)
		loop_stop(bench->loop);
}

/* Opens spool and feeder, runs until what is wanted, and closes both. Returns the spool's end. */
static uint64_t run(struct bench *bench, uint64_t until, uint64_t max_size)
{
	static const struct feeder_events events = {on_note, on_tell, on_failed};
	struct spool_options options = {.dir = bench->spool_dir, .segment_size = 1 << 20, .max_size = max_size};
	struct error error;
	uint64_t cut, end;

	bench->until = until;
	bench->deadline_us = clock_monotonic_us() + 120 * 1000000ULL;
	bench->spool = spool_open(&options, &cut, &error);
	assert_non_null(bench->spool);
	bench->loop = loop_new();
	bench->source = feeder_as_source(feeder_new(bench->loop, &bench->input, bench->spool, &events, bench));
	bench->look = timer_new(bench->loop, on_look, bench);
	timer_repeat(bench->look, 0, 1);
	bench->source.ops->start(bench->source.self);
	loop_run(bench->loop);
	bench->source.ops->stop(bench->source.self);
	timer_free(bench->look);
	bench->source.ops->free(bench->source.self);
	loop_free(bench->loop);
	end = spool_end(bench->spool);
	spool_close(bench->spool);
	return end;
}

/* A snapshot of all but the last 1000 bytes. */
static uint8_t *open_large(struct bench *bench)
{
	uint8_t *data = memory_alloc(LARGE);
	struct error error;
	char *path;

	for (size_t i = 0; i < LARGE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	path = write_file(bench, "large", data, LARGE);
	assert_true(input_open(&bench->input, INPUT_AOF, path, &error));
	bench->input.snapshot_end = LARGE - 1000;
	strcpy(bench->input.identity, "the bytes of this test");
	free(path);
	return data;
}

static void everything_in_the_end(void **state)
{
	struct bench *bench = *state;
	uint8_t *data = open_large(bench);
	struct spool_options options = {.dir = bench->spool_dir, .segment_size = 1 << 20, .max_size = 16 << 20};
	struct spool_origin origin;
	struct error error;
	const uint8_t *held;
	uint64_t cut;

	assert_in_range(run(bench, 1 << 20, 16 << 20), 1 << 20, LARGE);
	assert_in_range(run(bench, LARGE - 500, 16 << 20), LARGE - 500, LARGE);
	assert_int_equal(run(bench, UINT64_MAX, 16 << 20), LARGE);
	assert_int_equal(run(bench, UINT64_MAX, 16 << 20), LARGE); /* nothing is left to do */
	assert_false(bench->failed);
	bench->spool = spool_open(&options, &cut, &error);
	assert_int_equal(spool_snapshot_end(bench->spool), LARGE - 1000);
	held = spool_view(bench->spool, 0, LARGE, &error);
	assert_non_null(held);
	assert_memory_equal(held, data, LARGE);
	origin = spool_origin(bench->spool);
	assert_string_equal(origin.replid, "the bytes of this test");
	assert_int_equal(origin.generation, 1);
	assert_int_equal(spool_offset_of(bench->spool, LARGE - 1), LARGE);
	spool_close(bench->spool);
	free(data);
}

static void waits_for_room(void **state)
{
	struct bench *bench = *state;
	uint8_t *data = open_large(bench);

	assert_int_equal(run(bench, 4 << 20, 4 << 20), 4 << 20); /* the bound */
	bench->reading = true;
	assert_int_equal(run(bench, UINT64_MAX, 4 << 20), LARGE);
	free(data);
}

static void nothing_at_all(void **state)
{
	struct bench *bench = *state;

	open_text(bench, "empty", "");
	assert_int_equal(run(bench, UINT64_MAX, 4 << 20), 0);
	assert_false(bench->failed);
}

static void a_file_that_becomes_shorter(void **state)
{
	struct bench *bench = *state;
	uint8_t *data = open_large(bench);
	char *path = memory_printf("%s/large", bench->dir);

	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(run(bench, UINT64_MAX, 16 << 20), 1 << 20);
	assert_true(bench->failed);
	assert_int_equal(bench->error.kind, ERROR_SOURCE);
	assert_non_null(strstr(bench->error.text, "large has become shorter: it ends before byte 1048576"));
	free(path);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parts_in_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(folders, setup, teardown),
		cmocka_unit_test_setup_teardown(everything_in_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_at_all, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_becomes_shorter, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
