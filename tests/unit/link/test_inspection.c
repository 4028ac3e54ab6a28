/* What is whole of append-only files: framing, tails, several files. Snapshots are small ones made here; real ones are in the scenario tests. */
#include "link/inspection.h"

#include "base/memory.h"
#include "base/slice.h"
#include "wire/crc64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SELECT_3 "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
#define SET "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define FILES_MAX 4

struct bench {
	char dir[64];
	struct input input;
	struct inspection found;
	struct error error;
	bool stop;
};

static int setup(void **state)
{
	struct bench *bench = memory_alloc_zero(1, sizeof(*bench));

	strcpy(bench->dir, "/tmp/keyferry-inspection-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
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
	free(bench);
	return 0;
}

static bool on_inspected(void *owner, uint64_t done, uint64_t total)
{
	struct bench *bench = owner;

	assert_true(done <= total);
	return !bench->stop;
}

static void write_file(const char *path, struct slice content)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(content.data, 1, content.len, file), content.len);
	fclose(file);
}

/* One file, or with a manifest several. */
static bool inspect(struct bench *bench, enum input_kind kind, const struct slice *contents, size_t count)
{
	const struct inspection_events events = {on_inspected, bench};
	char path[128], manifest[512] = "";

	input_close(&bench->input);
	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/part%zu", bench->dir, i);
		write_file(path, contents[i]);
		snprintf(manifest + strlen(manifest), sizeof(manifest) - strlen(manifest), "file part%zu seq %zu type i\n", i,
			 i + 1);
	}
	if (count > 1) {
		snprintf(path, sizeof(path), "%s/x.manifest", bench->dir);
		write_file(path, slice_of_string(manifest));
	}
	assert_true(input_open(&bench->input, kind, path, &bench->error));
	return inspection_run(&bench->input, &events, &bench->found, &bench->error);
}

static bool inspect_text(struct bench *bench, const char *text)
{
	const struct slice content = slice_of_string(text);

	return inspect(bench, INPUT_AOF, &content, 1);
}

static void assert_refused(struct bench *bench, bool taken, const char *part)
{
	assert_false(taken);
	assert_int_equal(bench->error.kind, ERROR_SOURCE);
	if (!strstr(bench->error.text, part))
		fail_msg("%s", bench->error.text);
}

/* An RDB of one key in database 2, with its checksum. */
static struct slice snapshot(uint8_t out[64])
{
	static const char body[] = "REDIS0009\xfe\x02\x00\x01k\x01v\xff";
	size_t len = sizeof(body) - 1;
	uint64_t sum = crc64(0, body, len);

	memcpy(out, body, len);
	for (int i = 0; i < 8; i++)
		out[len++] = (uint8_t)(sum >> (8 * i));
	return slice_make(out, len);
}

static void whole_files(void **state)
{
	struct bench *bench = *state;

	assert_true(inspect_text(bench, ""));
	assert_int_equal(bench->found.highest_db, -1);
	assert_true(inspect_text(bench, "#TS:1700000000\r\n" SELECT_3 SET MULTI "#TS:1700000001\r\n" SET SET EXEC));
	assert_int_equal(bench->found.commands, 5);
	assert_int_equal(bench->found.highest_db, 3);
	assert_int_equal(bench->found.databases[0], 1 << 3);
	assert_int_equal(bench->input.total, bench->input.files[0].size);
	assert_string_equal(bench->found.cut, "");
}

/* Of all forms; what lies ahead does not count. */
static void times_that_have_passed(void **state)
{
	struct bench *bench = *state;

	assert_true(inspect_text(bench, "*3\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n$13\r\n1700000000000\r\n"
					"*3\r\n$8\r\nexpireat\r\n$1\r\nk\r\n$10\r\n1700000000\r\n"
					"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\npxat\r\n$13\r\n1700000000000\r\n"
					"*6\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nEXAT\r\n$10\r\n1700000000\r\n$2\r\nNX\r\n"
					"*8\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$13\r\n1700000000000\r\n"
					"$4\r\nIFEQ\r\n$4\r\nexat\r\n$3\r\nGET\r\n"));
	assert_int_equal(bench->found.past_expiries, 5);
	assert_true(inspect_text(bench, "*3\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n$13\r\n4102444800000\r\n"
					"*3\r\n$8\r\nEXPIREAT\r\n$1\r\nk\r\n$19\r\n9223372036854775807\r\n"
					"*3\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n$1\r\nx\r\n" SET));
	assert_int_equal(bench->found.past_expiries, 0);
}

/* Every length of a file ends at a whole command, and of a transaction at its beginning. */
static void every_tail(void **state)
{
	static const char text[] = SELECT_3 SET MULTI SET SET EXEC SET;
	const size_t ends[] = {0, sizeof(SELECT_3) - 1, sizeof(SELECT_3 SET) - 1, sizeof(SELECT_3 SET MULTI SET SET EXEC) - 1,
			       sizeof(text) - 1};
	struct bench *bench = *state;
	size_t last = 0;

	for (size_t len = 0; len < sizeof(text); len++) {
		const struct slice content = slice_make(text, len);

		if (last < 4 && len == ends[last + 1])
			last++;
		assert_true(inspect(bench, INPUT_AOF, &content, 1));
		assert_int_equal(bench->input.total, ends[last]);
		assert_int_equal(bench->found.cut[0] != '\0', len != ends[last]);
		if (last == 2 && len >= ends[2] + sizeof(MULTI) - 1)
			assert_non_null(strstr(bench->found.cut, "inside a transaction that begins at byte 50"));
	}
}

static void damaged_files(void **state)
{
	struct bench *bench = *state;

	assert_refused(bench, inspect_text(bench, SET "SET k v\r\n"), "part0: at byte 27 no command begins");
	assert_refused(bench, inspect_text(bench, SET EXEC), "EXEC without MULTI");
	assert_refused(bench, inspect_text(bench, "*1\r\n$x\r\n"), "position 5");
	assert_refused(bench, inspect_text(bench, "REDIS0009\xfe"), "is cut off: it ends at byte 10");
}

static void several_files(void **state)
{
	struct bench *bench = *state;
	struct slice contents[FILES_MAX] = {SLICE(SET), SLICE(""), SLICE(SELECT_3 SET), SLICE(SET MULTI SET)};
	char first[41];

	assert_true(inspect(bench, INPUT_AOF, contents, 4));
	assert_int_equal(bench->found.commands, 3);
	assert_int_equal(bench->found.databases[0], 1 << 0 | 1 << 3);
	assert_int_equal(bench->input.files[3].length, sizeof(SET) - 1);
	assert_non_null(strstr(bench->found.cut, "part3 ends at byte"));
	memcpy(first, bench->input.identity, sizeof(first));
	/* What was cut off does not count. */
	contents[3] = SLICE(SET);
	assert_true(inspect(bench, INPUT_AOF, contents, 4));
	assert_string_equal(bench->input.identity, first);
	contents[1] = SLICE(SET);
	assert_true(inspect(bench, INPUT_AOF, contents, 4));
	assert_string_not_equal(bench->input.identity, first);
	contents[0] = SLICE(MULTI SET);
	assert_refused(bench, inspect(bench, INPUT_AOF, contents, 4),
		       "part0 is cut off: it ends at byte 42, inside a transaction");
}

static void snapshots(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[64], mixed[256];
	struct slice rdb = snapshot(bytes), parts[2] = {SLICE(SET), rdb};
	struct slice aof;

	assert_true(inspect(bench, INPUT_RDB, &rdb, 1));
	assert_int_equal(bench->found.keys, 1);
	assert_int_equal(bench->found.rdb_version, 9);
	assert_int_equal(bench->found.databases[0], 1 << 2);
	assert_int_equal(bench->input.snapshot_end, rdb.len);
	memcpy(mixed, rdb.data, rdb.len);
	memcpy(mixed + rdb.len, SET, sizeof(SET) - 1);
	aof = slice_make(mixed, rdb.len + sizeof(SET) - 1);
	assert_true(inspect(bench, INPUT_AOF, &aof, 1));
	assert_int_equal(bench->input.snapshot_end, rdb.len);
	assert_int_equal(bench->input.total, aof.len);
	assert_int_equal(bench->found.commands, 1);
	assert_int_equal(bench->found.databases[0], 1 << 2 | 1 << 0); /* behind the preamble database 0 is selected */
	assert_refused(bench, inspect(bench, INPUT_RDB, &aof, 1), "goes on behind the end of its snapshot");
	assert_refused(bench, inspect(bench, INPUT_AOF, parts, 2),
		       "part1 begins with a snapshot, and other files come before it");
	bytes[rdb.len - 1] ^= 1;
	assert_refused(bench, inspect(bench, INPUT_RDB, &rdb, 1), "the checksum at byte 17");
	memset(bytes + rdb.len - 8, 0, 8); /* none was made */
	assert_true(inspect(bench, INPUT_RDB, &rdb, 1));
	for (size_t len = 6; len < rdb.len; len++) {
		struct slice cut = slice_make(bytes, len);

		assert_refused(bench, inspect(bench, INPUT_RDB, &cut, 1), "is cut off: it ends at byte");
	}
}

static void stopped(void **state)
{
	struct bench *bench = *state;

	bench->stop = true;
	assert_false(inspect_text(bench, SET));
	assert_int_equal(bench->error.kind, ERROR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_files, setup, teardown),
		cmocka_unit_test_setup_teardown(times_that_have_passed, setup, teardown),
		cmocka_unit_test_setup_teardown(every_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_files, setup, teardown),
		cmocka_unit_test_setup_teardown(several_files, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(stopped, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
