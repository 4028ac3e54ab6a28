/* The state file: what is written is read, nothing else is taken for it, and it is replaced whole. */
#include "link/state.h"

#include "base/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static char *path;

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/keyferry-state-XXXXXX");
	assert_non_null(mkdtemp(dir));
	path = memory_printf("%s/state.json", dir);
	return 0;
}

static int tear_down(void **state)
{
	char *beside = memory_printf("%s.new", path);

	(void)state;
	unlink(path);
	unlink(beside);
	rmdir(beside);
	rmdir(dir);
	free(beside);
	free(path);
	return 0;
}

static void put(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_missing(void **state)
{
	struct link_state read = {.generation = 9};
	struct error error;

	(void)state;
	assert_true(link_state_read(path, &read, &error));
	assert_int_equal(read.generation, 0);
	assert_int_equal(read.position, 0);
	assert_false(read.clean);
}

static void test_round_trip(void **state)
{
	const struct link_state states[] = {
		{.generation = 1, .position = 0},
		{.generation = 3,
		 .position = 1ULL << 62,
		 .db = 15,
		 .clean = true,
		 .place = {.rdb_version = 80, .valkey = true, .db = 4}},
		{.generation = 1,
		 .position = 99,
		 .file = {.phase = FILE_SNAPSHOT,
			  .format = 1,
			  .length = 1ULL << 40,
			  .checksum = UINT64_MAX - 4,
			  .db = -1,
			  .number = 7,
			  .has_base = true}},
		{.generation = 1, .position = 99, .file = {.phase = FILE_DONE, .format = 2, .db = 15}},
		{.generation = 1ULL << 40, .position = 4711, .db = INT32_MAX, .place = {.rdb_version = 11, .db = INT32_MAX}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct link_state read;
		struct error error;
		struct stat stat_buf;

		assert_true(link_state_write(path, &states[i], &error));
		assert_true(link_state_read(path, &read, &error));
		assert_int_equal(read.generation, states[i].generation);
		assert_int_equal(read.position, states[i].position);
		assert_int_equal(read.db, states[i].db);
		assert_int_equal(read.clean, states[i].clean);
		assert_int_equal(read.place.rdb_version, states[i].place.rdb_version);
		assert_int_equal(read.place.valkey, states[i].place.valkey);
		assert_int_equal(read.place.db, states[i].place.db);
		assert_int_equal(read.file.phase, states[i].file.phase);
		assert_int_equal(read.file.format, states[i].file.format);
		assert_int_equal(read.file.length, states[i].file.length);
		assert_true(read.file.checksum == states[i].file.checksum);
		assert_int_equal(read.file.db, states[i].file.db);
		assert_int_equal(read.file.number, states[i].file.number);
		assert_int_equal(read.file.has_base, states[i].file.has_base);
		assert_int_equal(stat(path, &stat_buf), 0);
		assert_int_equal(stat_buf.st_mode & 0777, 0600);
	}
}

/* A state file with these as they stand there. */
#define STATE(format, generation, position, db, version, place_db)                                                               \
	"{\"format\": " format ", \"generation\": " generation ", \"position\": " position ", \"database\": " db                 \
	", \"clean\": false, "                                                                                                   \
	"\"snapshot\": {\"rdb_version\": " version ", \"valkey\": false, \"database\": " place_db "}}"

#define FILE_STATE(file)                                                                                                         \
	"{\"format\": 1, \"generation\": 1, \"position\": 1, \"database\": 0, \"clean\": false, "                                \
	"\"snapshot\": {\"rdb_version\": 9, \"valkey\": false, \"database\": 0}, \"file\": " file "}"
#define FILE_FIELDS(phase, length, checksum, db)                                                                                 \
	FILE_STATE("{\"phase\": \"" phase "\", \"format\": 0, \"length\": " length ", \"checksum\": \"" checksum                 \
		   "\", \"database\": " db ", \"number\": 0, \"base\": true}")

static void test_damaged(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{\"format\": 1}",
		STATE("1", "\"1\"", "1", "0", "9", "0"),
		STATE("2", "1", "1", "0", "9", "0"),
		STATE("1", "-1", "1", "0", "9", "0"),
		STATE("1", "1", "-1", "0", "9", "0"),
		STATE("1", "1", "1", "4294967296", "9", "0"),
		STATE("1", "1", "1", "0", "-9", "0"),
		STATE("1", "1", "1", "0", "9", "99999999999"),
		FILE_STATE("{}"),
		FILE_STATE("7"),
		FILE_FIELDS("begun", "1", "0", "0"),
		FILE_FIELDS("stream", "-1", "0", "0"),
		FILE_FIELDS("stream", "1", "xyz", "0"),
		FILE_FIELDS("stream", "1", "0", "-2"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct link_state read = {.generation = 9};
		struct error error;

		put(texts[i]);
		if (link_state_read(path, &read, &error))
			fail_msg("taken for a state: %s", texts[i]);
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_non_null(strstr(error.text, path));
		assert_true(error.hint[0]);
		assert_int_equal(read.generation, 9);
	}
}

/* When it cannot be written the old one stays, and the reason is told. */
static void test_write_fails(void **state)
{
	const struct link_state old = {.generation = 1, .position = 5}, newer = {.generation = 1, .position = 6};
	char *beside = memory_printf("%s.new", path);
	struct link_state read;
	struct error error;

	(void)state;
	assert_true(link_state_write(path, &old, &error));
	assert_int_equal(mkdir(beside, 0700), 0);
	assert_false(link_state_write(path, &newer, &error));
	assert_non_null(strstr(error.text, strerror(EISDIR)));
	assert_true(link_state_read(path, &read, &error));
	assert_int_equal(read.position, 5);
	free(beside);
}

/* What would be lost if nothing were written: the position need not move when one refused command is taken and another one is refused. */
static void test_same(void **state)
{
	const struct mark one[] = {{100, 0}}, other[] = {{200, 1}}, both[] = {{100, 0}, {200, 1}};
	const struct link_state base = {.generation = 1, .position = 5, .epoch = "e", .refused = one, .refused_count = 1};
	struct link_state now = link_state_copy(&base), copy = now;

	(void)state;
	assert_ptr_not_equal(now.refused, one);
	assert_true(link_state_same(&base, &now));
	now.refused = other;
	assert_false(link_state_same(&base, &now));
	now.refused = both;
	now.refused_count = 2;
	assert_false(link_state_same(&base, &now));
	now = copy;
	now.position = 6;
	assert_false(link_state_same(&base, &now));
	now = copy;
	now.clean = true;
	assert_false(link_state_same(&base, &now));
	now = copy;
	now.epoch[0] = 'f';
	assert_false(link_state_same(&base, &now));
	now = copy;
	now.generation = 2;
	assert_false(link_state_same(&base, &now));
	link_state_free(&copy);
	assert_null(copy.refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_write_fails, set_up, tear_down),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
