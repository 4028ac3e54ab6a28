#include "link/scripts.h"

#include "base/memory.h"
#include "wire/command.h"
#include "wire/sha1.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	char dir[64], path[80];
	struct scripts *scripts;
	uint64_t cut;
};

static void reopen(struct bench *bench, uint64_t bytes_max)
{
	struct error error;

	scripts_free(bench->scripts);
	bench->scripts = scripts_open(bench->path, bytes_max, &bench->cut, &error);
	assert_non_null(bench->scripts);
}

static int set_up(void **state)
{
	struct bench *bench = memory_alloc_zero(1, sizeof(*bench));

	snprintf(bench->dir, sizeof(bench->dir), "/tmp/keyferry-scripts-XXXXXX");
	if (!mkdtemp(bench->dir))
		return -1;
	snprintf(bench->path, sizeof(bench->path), "%s/scripts", bench->dir);
	reopen(bench, SCRIPTS_BYTES_MAX);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	char beside[96];

	scripts_free(bench->scripts);
	snprintf(beside, sizeof(beside), "%s.new", bench->path);
	unlink(beside);
	unlink(bench->path);
	rmdir(bench->dir);
	free(bench);
	return 0;
}

static void see_command(struct bench *bench, uint64_t at, struct slice name, struct slice second, struct slice third)
{
	struct slice argv[] = {name, second, third, SLICE("0")};
	struct event event = {.kind = EVENT_COMMAND, .start = at, .end = at + 10, .argc = 4, .argv = argv};

	event.info = command_lookup(4, argv);
	scripts_see(bench->scripts, &event);
}

static void see_eval(struct bench *bench, const char *body)
{
	see_command(bench, 0, SLICE("eval"), slice_of_string(body), SLICE("1"));
}

static void see_flush(struct bench *bench, uint64_t at)
{
	see_command(bench, at, SLICE("SCRIPT"), SLICE("FLUSH"), SLICE("ASYNC"));
}

static void see_aux(struct bench *bench, const char *body)
{
	scripts_see(bench->scripts, &(struct event){.kind = EVENT_SCRIPT, .value = slice_of_string(body)});
}

static bool knows(struct bench *bench, const char *body)
{
	uint8_t binary[SHA1_LEN];
	char text[SHA1_TEXT_LEN + 1];
	struct slice found;

	sha1(slice_of_string(body), binary);
	for (unsigned i = 0; i < SHA1_LEN; i++)
		snprintf(text + 2 * i, 3, i % 2 ? "%02X" : "%02x", binary[i]);
	if (!scripts_find(bench->scripts, slice_of_string(text), &found))
		return false;
	assert_true(slice_equal(found, slice_of_string(body)));
	return true;
}

static void keep(struct bench *bench)
{
	struct error error;

	assert_true(scripts_keep(bench->scripts, &error));
}

static void test_brought_and_kept(void **state)
{
	struct bench *bench = *state;

	see_eval(bench, "return 1");
	see_command(bench, 0, SLICE("Script"), SLICE("load"), SLICE("return 2"));
	see_aux(bench, "return 3");
	see_aux(bench, "");
	see_command(bench, 0, SLICE("SET"), SLICE("return 4"), SLICE("return 4"));
	see_command(bench, 0, SLICE("FUNCTION"), SLICE("LOAD"), SLICE("return 4"));
	assert_true(knows(bench, "return 1") && knows(bench, "return 2") && knows(bench, "return 3") && knows(bench, ""));
	assert_false(knows(bench, "return 4"));
	keep(bench);
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_int_equal(bench->cut, 0);
	assert_true(knows(bench, "return 1") && knows(bench, "return 2") && knows(bench, "return 3") && knows(bench, ""));
	assert_int_equal(scripts_counters(bench->scripts).bodies, 4);
}

static void test_not_kept_is_forgotten(void **state)
{
	struct bench *bench = *state;

	see_eval(bench, "return 1");
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_false(knows(bench, "return 1"));
}

static void test_seen_again_is_not_written_again(void **state)
{
	struct bench *bench = *state;
	struct stat before, after;

	see_eval(bench, "return 1");
	keep(bench);
	assert_int_equal(stat(bench->path, &before), 0);
	for (int i = 0; i < 100; i++)
		see_eval(bench, "return 1");
	keep(bench);
	assert_int_equal(stat(bench->path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(scripts_counters(bench->scripts).bodies, 1);
}

/* What SCRIPT FLUSH makes unreachable is needed until that is applied: an earlier position may be begun from again. */
static void test_flush(void **state)
{
	struct bench *bench = *state;

	see_eval(bench, "return 1");
	see_eval(bench, "return 2");
	see_flush(bench, 100);
	see_eval(bench, "return 2");
	see_eval(bench, "return 3");
	keep(bench);
	scripts_applied(bench->scripts, 109);
	assert_int_equal(scripts_counters(bench->scripts).bodies, 3);
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_int_equal(scripts_counters(bench->scripts).bodies, 3);

	see_flush(bench, 100);
	see_eval(bench, "return 2");
	see_eval(bench, "return 3");
	keep(bench);
	scripts_applied(bench->scripts, 110);
	assert_false(knows(bench, "return 1"));
	assert_true(knows(bench, "return 2") && knows(bench, "return 3"));
	keep(bench);
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_false(knows(bench, "return 1"));
	assert_true(knows(bench, "return 2") && knows(bench, "return 3"));
}

static void test_new_snapshot(void **state)
{
	struct bench *bench = *state;

	see_eval(bench, "return 1");
	see_aux(bench, "return 2");
	keep(bench);
	scripts_begin(bench->scripts);
	see_aux(bench, "return 2");
	keep(bench);
	scripts_applied(bench->scripts, 0);
	assert_false(knows(bench, "return 1"));
	assert_true(knows(bench, "return 2"));
}

/* Texts made for each call go before those that are called by their SHA1; also after a restart. */
static void test_bound(void **state)
{
	struct bench *bench = *state;
	char body[64];

	reopen(bench, 20000);
	see_eval(bench, "return 'called'");
	assert_true(knows(bench, "return 'called'"));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1000; i++) {
			snprintf(body, sizeof(body), "return 'made for call %d of round %d'", i, round);
			see_eval(bench, body);
			if (i % 100 == 0)
				keep(bench);
		}
		assert_true(scripts_counters(bench->scripts).bytes <= 20000);
		assert_true(scripts_counters(bench->scripts).evicted > 500);
		assert_true(knows(bench, body));
		keep(bench);
		reopen(bench, 20000);
		assert_true(knows(bench, "return 'called'"));
	}
}

static void test_file_does_not_grow_for_ever(void **state)
{
	struct bench *bench = *state;
	static char body[10000];
	struct stat status;

	reopen(bench, 100000);
	for (int i = 0; i < 1000; i++) {
		snprintf(body, sizeof(body), "return %d -- %09000d", i, 0);
		see_eval(bench, body);
		keep(bench);
	}
	assert_int_equal(stat(bench->path, &status), 0);
	assert_true(status.st_size < (2 << 20));
	reopen(bench, 100000);
	assert_true(knows(bench, body));
}

static void test_one_larger_than_the_bound(void **state)
{
	struct bench *bench = *state;
	static char body[30000];

	reopen(bench, 20000);
	see_eval(bench, "return 1");
	memset(body, ' ', sizeof(body) - 1);
	see_eval(bench, body);
	assert_true(knows(bench, body));
	assert_false(knows(bench, "return 1"));
	see_eval(bench, "return 2");
	assert_true(knows(bench, "return 2"));
	keep(bench);
	reopen(bench, 20000);
	assert_true(knows(bench, "return 2"));
}

/* Cut off anywhere: all that is whole is there, and it can be added to. */
static void test_cut_off(void **state)
{
	struct bench *bench = *state;
	struct stat status;
	off_t first_end;

	see_eval(bench, "return 1");
	keep(bench);
	assert_int_equal(stat(bench->path, &status), 0);
	first_end = status.st_size;
	see_eval(bench, "return 2");
	keep(bench);
	assert_int_equal(stat(bench->path, &status), 0);
	for (off_t len = status.st_size - 1; len >= 0; len--) {
		assert_int_equal(truncate(bench->path, len), 0);
		reopen(bench, SCRIPTS_BYTES_MAX);
		assert_int_equal(knows(bench, "return 1"), len >= first_end);
		assert_false(knows(bench, "return 2"));
	}
	see_eval(bench, "return 2");
	keep(bench);
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_true(knows(bench, "return 2"));
	assert_false(knows(bench, "return 1"));
}

/* A body that is not that of its SHA1 is none. */
static void test_damage(void **state)
{
	struct bench *bench = *state;
	struct stat status;
	int fd;

	see_eval(bench, "return 1");
	see_eval(bench, "return 2");
	keep(bench);
	assert_int_equal(stat(bench->path, &status), 0);
	fd = open(bench->path, O_WRONLY);
	assert_int_equal(pwrite(fd, "3", 1, status.st_size - 1), 1);
	close(fd);
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_true(bench->cut > 0 && knows(bench, "return 1"));
	assert_false(knows(bench, "return 2"));
	assert_false(knows(bench, "return 3"));
}

static void test_a_file_of_another_kind(void **state)
{
	struct bench *bench = *state;
	int fd = open(bench->path, O_WRONLY | O_CREAT, 0600);
	struct error error;
	uint64_t cut;

	assert_int_equal(write(fd, "something quite different", 25), 25);
	close(fd);
	assert_null(scripts_open(bench->path, SCRIPTS_BYTES_MAX, &cut, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
}

static void test_no_room_on_the_disk(void **state)
{
	struct bench *bench = *state;
	struct error error;

	see_eval(bench, "return 1");
	assert_int_equal(chmod(bench->dir, 0500), 0);
	if (geteuid() != 0) /* root may write there all the same */
		assert_false(scripts_keep(bench->scripts, &error));
	assert_int_equal(chmod(bench->dir, 0700), 0);
	keep(bench);
	reopen(bench, SCRIPTS_BYTES_MAX);
	assert_true(knows(bench, "return 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_brought_and_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_kept_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_seen_again_is_not_written_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flush, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_new_snapshot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_does_not_grow_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_larger_than_the_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_of_another_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room_on_the_disk, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
