/* The file of a verification that may be cut off: what is kept comes back, what is not of the same verification does not. */
#include "verify/resume.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char folder[64], stem[80], state_path[96], found_path[96];
static int64_t now_ms;

static int64_t wall_ms(void)
{
	return now_ms;
}

static uint64_t monotonic_us(void)
{
	return 1;
}

static int begin(void **state)
{
	static const struct clock_source source = {monotonic_us, wall_ms};

	(void)state;
	strcpy(folder, "/tmp/keyferry-resume-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(stem, sizeof(stem), "%s/verify", folder);
	snprintf(state_path, sizeof(state_path), "%s.json", stem);
	snprintf(found_path, sizeof(found_path), "%s.found", stem);
	now_ms = 1700000000000;
	clock_use(&source);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(state_path);
	unlink(found_path);
	assert_int_equal(rmdir(folder), 0);
	clock_use(NULL);
	return 0;
}

static json_t *identity_of(const char *mode)
{
	return json_pack("{s:s, s:[s]}", "mode", mode, "source", "127.0.0.1:1");
}

static void keep(struct resume *resume, const char *mode, uint64_t compared)
{
	struct resume_state state = {.begun_ms = now_ms - 5,
				     .counts = {.stage = VERIFY_TARGET, .compared = compared, .keys_total = 9},
				     .highest_source_db = 3,
				     .walk = json_pack("[s]", "here")};
	json_t *identity = identity_of(mode);
	struct error error;

	assert_true(resume_keep(resume, identity, &state, &error));
	json_decref(identity);
	json_decref(state.walk);
}

static enum resume_found read_state(struct resume *resume, const char *mode, struct resume_state *ret, char why[160])
{
	json_t *identity = identity_of(mode);
	enum resume_found found = resume_read(resume, identity, ret, why);

	json_decref(identity);
	return found;
}

static void assert_next(struct resume *resume, uint32_t db, const char *key, const char *target_key)
{
	struct slice source, target;
	uint32_t source_db, target_db;

	assert_true(resume_next(resume, &source_db, &source, &target_db, &target));
	assert_int_equal(source_db, db);
	assert_true(slice_equal(source, slice_of_string(key)));
	assert_int_equal(target.data != NULL, target_key != NULL);
	if (target_key)
		assert_true(slice_equal(target, slice_of_string(target_key)));
}

static bool has_next(struct resume *resume)
{
	struct slice source, target;
	uint32_t source_db, target_db;

	return resume_next(resume, &source_db, &source, &target_db, &target);
}

static void test_comes_back(void **state)
{
	struct resume *resume = resume_new(stem), *again = resume_new(stem);
	struct resume_state found;
	char why[160];

	(void)state;
	assert_false(resume_exists(stem));
	assert_int_equal(read_state(resume, "full", &found, why), RESUME_NOTHING);
	resume_note(resume, 1, SLICE("a"), 2, SLICE("b"));
	keep(resume, "full", 10);
	resume_note(resume, 0, SLICE(""), 0, (struct slice){0});
	resume_note(resume, 7, SLICE("c"), 7, SLICE(""));
	keep(resume, "full", 20);
	resume_note(resume, 9, SLICE("not kept"), 9, SLICE(""));
	/* As long as it runs, it is its own. */
	assert_int_equal(read_state(again, "full", &found, why), RESUME_LOCKED);
	resume_clear(again);
	assert_true(resume_exists(stem));
	resume_free(resume);
	resume_free(again);

	resume = resume_new(stem);
	assert_int_equal(read_state(resume, "full", &found, why), RESUME_THERE);
	assert_int_equal(found.counts.compared, 20);
	assert_int_equal(found.counts.stage, VERIFY_TARGET);
	assert_int_equal(found.highest_source_db, 3);
	assert_int_equal(found.begun_ms, now_ms - 5);
	assert_string_equal(json_string_value(json_array_get(found.walk, 0)), "here");
	assert_next(resume, 1, "a", "b");
	assert_next(resume, 0, "", NULL);
	assert_next(resume, 7, "c", "");
	assert_false(has_next(resume));
	/* What comes later stands behind what was there. */
	resume_note(resume, 5, SLICE("later"), 5, SLICE("later"));
	keep(resume, "full", 30);
	resume_free(resume);
	resume = resume_new(stem);
	assert_int_equal(read_state(resume, "full", &found, why), RESUME_THERE);
	for (int i = 0; i < 3; i++)
		assert_true(has_next(resume));
	assert_next(resume, 5, "later", "later");
	assert_false(has_next(resume));
	resume_clear(resume);
	assert_false(resume_exists(stem));
	assert_int_not_equal(access(found_path, F_OK), 0);
	resume_free(resume);
}

static void keep_once(const char *mode)
{
	struct resume *resume = resume_new(stem);

	resume_note(resume, 1, SLICE("key"), 1, SLICE("key"));
	keep(resume, mode, 1);
	resume_free(resume);
}

static void assert_void(const char *mode, const char *expected)
{
	struct resume *resume = resume_new(stem);
	struct resume_state found;
	char why[160];

	assert_int_equal(read_state(resume, mode, &found, why), RESUME_VOID);
	assert_non_null(strstr(why, expected));
	/* It is written over by the next. */
	keep(resume, mode, 2);
	resume_free(resume);
	resume = resume_new(stem);
	assert_int_equal(read_state(resume, mode, &found, why), RESUME_THERE);
	assert_false(has_next(resume));
	resume_free(resume);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

static void test_void(void **state)
{
	(void)state;
	keep_once("full");
	assert_void("outline", "mode");
	keep_once("full");
	now_ms += RESUME_AGE_MAX_MS;
	assert_void("full", "24 hours");
	keep_once("full");
	now_ms -= 10; /* of the future */
	assert_void("full", "hours");
	keep_once("full");
	write_text(state_path, "{\"format\": 1");
	assert_void("full", "damaged");
	keep_once("full");
	write_text(found_path, "x"); /* shorter than it was */
	assert_void("full", "damaged");
}

/* What cannot be written is told once, and all goes on. */
static void test_not_writable(void **state)
{
	struct resume *resume = resume_new("/proc/keyferry/verify");
	struct resume_state found, at = {.walk = json_array()};
	json_t *identity = identity_of("full");
	struct error error;
	char why[160];

	(void)state;
	assert_int_equal(resume_read(resume, identity, &found, why), RESUME_NOTHING);
	resume_note(resume, 0, SLICE("a"), 0, SLICE("a"));
	assert_false(resume_keep(resume, identity, &at, &error));
	assert_non_null(strstr(error.text, "/proc/keyferry"));
	resume_note(resume, 0, SLICE("a"), 0, SLICE("a"));
	assert_true(resume_keep(resume, identity, &at, &error));
	resume_clear(resume);
	resume_free(resume);
	json_decref(identity);
	json_decref(at.walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_back, begin, end),
		cmocka_unit_test_setup_teardown(test_void, begin, end),
		cmocka_unit_test(test_not_writable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
