/* Where commands go on a cluster, and how those of several slots are split. */
#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 64

struct command {
	char text[1024];
	struct slice argv[WORDS_MAX];
	struct event event;
};

static const struct event *make(struct command *command, const char *words)
{
	uint32_t at;

	*command = (struct command){.event = {.kind = EVENT_COMMAND, .db = 0, .start = 4711, .argv = command->argv}};
	snprintf(command->text, sizeof(command->text), "%s", words);
	for (char *word = strtok(command->text, " "); word; word = strtok(NULL, " "))
		command->argv[command->event.argc++] = slice_of_string(word);
	command->event.info = command_lookup(command->event.argc, command->argv);
	at = command->event.info ? command_first_key(command->event.info, command->event.argc, command->argv) : 0;
	if (at > 0)
		command->event.key = command->argv[at];
	return &command->event;
}

static enum route_kind kind_of(const char *words)
{
	struct command command;
	struct error error = {0};
	struct route route = route_command(make(&command, words), &error);

	assert_int_equal(error.kind, route.kind == ROUTE_REFUSED ? ERROR_CONFLICT : ERROR_NONE);
	assert_true(route.kind != ROUTE_REFUSED || error.hint[0]);
	return route.kind;
}

static void test_one_slot(void **state)
{
	static const char *const commands[] = {
		"SET {u}1 v",
		"DEL {u}1",
		"DEL {u}1 {u}2 {u}3",
		"MSET {u}1 a {u}2 b",
		"SUNIONSTORE {u}d {u}1 {u}2",
		"EVAL code 2 {u}1 {u}2 arg",
		"ZUNIONSTORE {u}d 2 {u}1 {u}2 WEIGHTS 1 2",
		"XADD {u}s 1-1 f v",
		"SORT {u}l STORE {u}d",
		"BITOP AND {u}d {u}1",
		"set {u}1 v",
		"PFMERGE {u}d",
		"XGROUP CREATE {u}s g $",
		"RENAME {u}1 {u}2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct command command;
		struct error error;
		struct route route = route_command(make(&command, commands[i]), &error);

		if (route.kind != ROUTE_SLOT || route.slot != slot_of_key(SLICE("u")))
			fail_msg("%s: kind %d, slot %u", commands[i], route.kind, route.slot);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	assert_int_equal(kind_of("DEL a b"), ROUTE_SPLIT);
	assert_int_equal(kind_of("UNLINK a b c"), ROUTE_SPLIT);
	assert_int_equal(kind_of("MSET a 1 b 2"), ROUTE_SPLIT);
	assert_int_equal(kind_of("FLUSHALL"), ROUTE_ALL);
	assert_int_equal(kind_of("FUNCTION LOAD code"), ROUTE_ALL);
	assert_int_equal(kind_of("SCRIPT FLUSH"), ROUTE_ALL);
	assert_int_equal(kind_of("PUBLISH channel text"), ROUTE_ANY);
	assert_int_equal(kind_of("RENAME a b"), ROUTE_CROSSING);
	assert_int_equal(kind_of("SUNIONSTORE a b c"), ROUTE_CROSSING);
	assert_int_equal(kind_of("EVAL code 2 a b"), ROUTE_CROSSING);
	assert_int_equal(kind_of("MSETNX a 1 b 2"), ROUTE_SPLIT);
	assert_int_equal(kind_of("SMOVE a b member"), ROUTE_SPLIT);
	assert_int_equal(kind_of("SMOVE {a}1 {a}2 member"), ROUTE_SLOT);
	assert_int_equal(kind_of("EVAL code 0"), ROUTE_REFUSED);
	assert_int_equal(kind_of("EVAL code x a"), ROUTE_REFUSED);
	assert_int_equal(kind_of("UNHEARD.OF a"), ROUTE_REFUSED);
	assert_int_equal(kind_of("SET"), ROUTE_REFUSED);
}

static void test_refusal_says_where(void **state)
{
	struct command command;
	struct error error;

	(void)state;
	assert_int_equal(route_command(make(&command, "UNHEARD.OF a b"), &error).kind, ROUTE_REFUSED);
	assert_non_null(strstr(error.text, "UNHEARD.OF"));
	assert_non_null(strstr(error.text, "database 0"));
}

/* Every key once, with its value, each part of one slot, in the order of the arguments within it. */
static void check_split(struct route_splitter *splitter, const char *words, uint32_t step)
{
	struct command command;
	const struct event *event = make(&command, words);
	struct route_part *parts;
	uint32_t count = route_split(splitter, event, &parts);
	uint32_t arguments = 0;
	bool seen[WORDS_MAX] = {false};

	for (uint32_t p = 0; p < count; p++) {
		uint32_t before = 0;

		assert_true(p == 0 || parts[p].slot > parts[p - 1].slot);
		assert_true(slice_equal(parts[p].argv[0], event->argv[0]));
		assert_int_equal((parts[p].argc - 1) % step, 0);
		for (uint32_t i = 1; i < parts[p].argc; i += step) {
			uint32_t index = before + 1;

			assert_int_equal(slot_of_key(parts[p].argv[i]), parts[p].slot);
			while (index < event->argc && event->argv[index].data != parts[p].argv[i].data)
				index++;
			assert_true(index < event->argc && !seen[index]);
			seen[index] = true;
			before = index;
			for (uint32_t j = 1; j < step; j++)
				assert_ptr_equal(parts[p].argv[i + j].data, event->argv[index + j].data);
			arguments += step;
		}
	}
	assert_int_equal(arguments, event->argc - 1);
}

static void test_split(void **state)
{
	struct route_splitter splitter = {0};

	(void)state;
	check_split(&splitter, "DEL a b", 1);
	check_split(&splitter, "UNLINK a b c d e f g h i j k l m n o p q r s t u v w x y z", 1);
	check_split(&splitter, "DEL a {a}1 b {b}1 a {a}1", 1); /* a key twice */
	check_split(&splitter, "MSET a 1 b 2 {a}x 3 {b}y 4 a 5", 2);
	check_split(&splitter, "DEL z y", 1); /* the memory is used again */
	route_splitter_free(&splitter);
	route_splitter_free(&splitter);
}

static void test_split_of_many(void **state)
{
	enum { KEYS = 20000 };
	struct route_splitter splitter = {0};
	struct slice *argv = calloc(KEYS + 1, sizeof(*argv));
	char(*names)[8] = calloc(KEYS, sizeof(*names));
	struct event event = {.kind = EVENT_COMMAND, .argc = KEYS + 1, .argv = argv};
	struct route_part *parts;
	uint32_t count, keys = 0;

	(void)state;
	argv[0] = SLICE("DEL");
	for (int i = 0; i < KEYS; i++) {
		snprintf(names[i], sizeof(names[i]), "k%d", i);
		argv[i + 1] = slice_of_string(names[i]);
	}
	event.info = command_lookup(event.argc, argv);
	count = route_split(&splitter, &event, &parts);
	for (uint32_t i = 0; i < count; i++)
		keys += parts[i].argc - 1;
	assert_int_equal(keys, KEYS);
	assert_true(count <= SLOT_COUNT);
	route_splitter_free(&splitter);
	free(names);
	free(argv);
}

/* What stands in a stream has succeeded. */
static void test_commands_that_become_others(void **state)
{
	struct route_splitter splitter = {0};
	struct command command;
	struct route_part *parts;

	(void)state;
	assert_int_equal(route_split(&splitter, make(&command, "MSETNX a 1 b 2 {a}x 3"), &parts), 2);
	for (int p = 0; p < 2; p++)
		assert_true(slice_equal(parts[p].argv[0], SLICE("MSET")));
	assert_int_equal(parts[0].argc + parts[1].argc, 8);
	assert_int_equal(route_split(&splitter, make(&command, "SMOVE from to member"), &parts), 2);
	assert_true(slice_equal(parts[0].argv[0], SLICE("SADD")) && slice_equal(parts[0].argv[1], SLICE("to")));
	assert_true(slice_equal(parts[1].argv[0], SLICE("SREM")) && slice_equal(parts[1].argv[1], SLICE("from")));
	for (int p = 0; p < 2; p++) {
		assert_int_equal(parts[p].slot, slot_of_key(parts[p].argv[1]));
		assert_int_equal(parts[p].argc, 3);
		assert_true(slice_equal(parts[p].argv[2], SLICE("member")));
	}
	route_splitter_free(&splitter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_slot),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_commands_that_become_others),
		cmocka_unit_test(test_refusal_says_where),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
