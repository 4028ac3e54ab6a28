/* What is copied, left, refused: by database, by key. */
#include "link/selection.h"

#include "wire/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum selection select_command(const struct task_options *options, uint32_t db, const char *words)
{
	static char text[256];
	struct slice argv[16];
	struct event event = {.kind = EVENT_COMMAND, .db = db, .argv = argv};
	struct error error = {0};
	enum selection selection;
	uint32_t at;

	strcpy(text, words);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[event.argc++] = slice_of_string(word);
	event.info = command_lookup(event.argc, argv);
	at = event.info ? command_first_key(event.info, event.argc, argv) : 0;
	if (at > 0)
		event.key = argv[at];
	selection = selection_of(options, &event, &error);
	assert_int_equal(error.kind, selection == SELECTION_REFUSED ? ERROR_CONFLICT : ERROR_NONE);
	return selection;
}

static enum selection select_key(const struct task_options *options, uint32_t db, const char *key)
{
	struct event event = {.kind = EVENT_KEY, .db = db, .key = slice_of_string(key)};
	struct error error;

	return selection_of(options, &event, &error);
}

static void test_all(void **state)
{
	struct task_options options = {.all_databases = true};

	(void)state;
	assert_int_equal(select_key(&options, 0, "k"), SELECTION_COPY);
	assert_int_equal(select_key(&options, 5000, ""), SELECTION_COPY);
	assert_int_equal(select_command(&options, 3, "SWAPDB 1 2"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 3, "FLUSHALL"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 3, "MOVE k 9"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 3, "SOMETHING NEW"), SELECTION_COPY);
}

static void test_own_keys(void **state)
{
	struct task_options options = {.all_databases = true};

	(void)state;
	assert_int_equal(select_key(&options, 0, "DTS_REDIS_TIMESTAMP_HEARTBEAT"), SELECTION_HEARTBEAT);
	assert_int_equal(select_command(&options, 0, "SETEX DTS_REDIS_TIMESTAMP_HEARTBEAT 60 1"), SELECTION_HEARTBEAT);
	assert_int_equal(select_key(&options, 0, "keyferry:mark:1"), SELECTION_LEAVE);
	assert_int_equal(select_key(&options, 0, "keyferry:task:x"), SELECTION_LEAVE);
	assert_int_equal(select_key(&options, 0, "keyferry:tmp:"), SELECTION_LEAVE);
	assert_int_equal(select_key(&options, 0, "keyferry:other"), SELECTION_COPY);
	assert_int_equal(select_key(&options, 0, "keyferry"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 0, "DEL keyferry:mark:1"), SELECTION_LEAVE);
}

static void test_chosen(void **state)
{
	struct task_options options = {.databases = {1ULL << 0 | 1ULL << 2}};

	(void)state;
	assert_int_equal(select_key(&options, 0, "k"), SELECTION_COPY);
	assert_int_equal(select_key(&options, 1, "k"), SELECTION_LEAVE);
	assert_int_equal(select_key(&options, 2, "k"), SELECTION_COPY);
	assert_int_equal(select_key(&options, DATABASES_MAX, "k"), SELECTION_LEAVE);
	assert_int_equal(select_command(&options, 1, "SET k v"), SELECTION_LEAVE);
	assert_int_equal(select_command(&options, 2, "SET k v"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 2, "FLUSHDB"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 1, "FLUSHDB"), SELECTION_LEAVE);
	assert_int_equal(select_command(&options, 2, "FLUSHALL"), SELECTION_REFUSED);
	assert_int_equal(select_command(&options, 1, "FUNCTION DELETE lib"), SELECTION_COPY);
}

static void test_two_databases(void **state)
{
	struct task_options options = {.databases = {1ULL << 0 | 1ULL << 2}};

	(void)state;
	assert_int_equal(select_command(&options, 0, "MOVE k 2"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 0, "MOVE k 1"), SELECTION_REFUSED);
	assert_int_equal(select_command(&options, 1, "MOVE k 0"), SELECTION_REFUSED);
	assert_int_equal(select_command(&options, 1, "MOVE k 3"), SELECTION_LEAVE);
	assert_int_equal(select_command(&options, 7, "SWAPDB 0 2"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 0, "SWAPDB 1 3"), SELECTION_LEAVE);
	assert_int_equal(select_command(&options, 0, "SWAPDB 0 1"), SELECTION_REFUSED);
	assert_int_equal(select_command(&options, 0, "COPY a b DB 2"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 0, "COPY a b DB 1"), SELECTION_REFUSED);
	assert_int_equal(select_command(&options, 0, "COPY a b"), SELECTION_COPY);
	assert_int_equal(select_command(&options, 1, "COPY a b REPLACE"), SELECTION_LEAVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_own_keys),
		cmocka_unit_test(test_chosen),
		cmocka_unit_test(test_two_databases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
