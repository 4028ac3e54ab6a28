/* What a node has told: fields, lines, lists of words. */
#include "precheck/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct node node_with(char *info)
{
	return (struct node){.texts = {[NODE_INFO] = info}, .sampled_offset = -1};
}

static void fields_are_found_by_their_whole_name(void **state)
{
	struct node node = node_with((char[]){"# Memory\r\nused_memory_rss:7\r\nused_memory:5\r\nempty:\r\nlast:x"});
	struct slice value;
	uint64_t number = 1;

	(void)state;
	assert_true(node_number(&node, "used_memory", &number));
	assert_int_equal(number, 5);
	assert_true(node_field(&node, "empty", &value));
	assert_int_equal(value.len, 0);
	assert_false(node_number(&node, "empty", &number));
	assert_false(node_field(&node, "used", &value));
	assert_true(node_word_is(&node, "last", "x"));
	node.texts[NODE_INFO] = NULL;
	assert_false(node_field(&node, "last", &value));
}

static void write_rate_is_sampled_or_told(void **state)
{
	struct node node = node_with((char[]){"instantaneous_input_kbps:12.34\r\nrepl_backlog_active:1\r\n"});

	(void)state;
	assert_int_equal(node_write_rate(&node), 12 * 1024);
	node.info.repl_offset = 1000;
	node.sampled_offset = 3000;
	node.sampled_us = 500000;
	assert_int_equal(node_write_rate(&node), 4000);
	/* A failover in between: the offset has gone back. */
	node.sampled_offset = 10;
	assert_int_equal(node_write_rate(&node), 12 * 1024);
	/* Without a backlog the offset stands still. */
	node = node_with((char[]){"instantaneous_input_kbps:0.00\r\nrepl_backlog_active:0\r\n"});
	node.sampled_offset = 0;
	node.sampled_us = 500000;
	assert_int_equal(node_write_rate(&node), 0);
	node = node_with((char[]){"instantaneous_input_kbps:12.34\r\n"});
	node.texts[NODE_COMMANDSTATS] = (char[]){
		"cmdstat_get:calls=50,usec=1\r\ncmdstat_set:calls=20,usec=1\r\ncmdstat_xgroup|create:calls=4\r\ncmdstat_ft.add:calls=1\r\n"
		"cmdstat_hgetall:calls=25\r\n"};
	assert_int_equal(node_write_rate(&node), 12 * 1024 / 4);
	node = node_with((char[]){"instantaneous_input_kbps:much\r\n"});
	assert_int_equal(node_write_rate(&node), 0);
}

static void command_lines(void **state)
{
	struct slice name;
	uint64_t calls = 0;

	(void)state;
	assert_true(node_command_line(SLICE("cmdstat_xgroup|create:calls=12,usec=3,usec_per_call=0.25"), &name, &calls));
	assert_memory_equal(name.data, "xgroup|create", name.len);
	assert_int_equal(calls, 12);
	assert_true(node_command_line(SLICE("cmdstat_set:calls=7"), &name, &calls));
	assert_int_equal(calls, 7);
	assert_false(node_command_line(SLICE("# Commandstats"), &name, &calls));
	assert_false(node_command_line(SLICE("cmdstat_set:calls="), &name, &calls));
	assert_false(node_command_line(SLICE("cmdstat_"), &name, &calls));
}

static void words_come_once_and_fit(void **state)
{
	char list[16] = "";

	(void)state;
	words_add(list, sizeof(list), ", ", "set");
	words_add(list, sizeof(list), ", ", "setex");
	words_add(list, sizeof(list), ", ", "set");
	words_add(list, sizeof(list), ", ", "ex");
	assert_string_equal(list, "set, setex, ex");
	words_add(list, sizeof(list), ", ", "more");
	assert_string_equal(list, "set, setex, ex");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_found_by_their_whole_name),
		cmocka_unit_test(write_rate_is_sampled_or_told),
		cmocka_unit_test(command_lines),
		cmocka_unit_test(words_come_once_and_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
