/* A transaction being gathered: its runs of bytes, replies, slot, databases. */
#include "link/transaction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One stretch of memory, as in the spool: events are made of slices of it in order. */
static char space[4096];
static size_t used;

static struct event next(uint32_t db, const char *words)
{
	static char text[256];
	static struct slice argv[16];
	struct event event = {.kind = EVENT_COMMAND, .db = db, .start = used, .argv = argv};
	uint32_t at;

	strcpy(text, words);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[event.argc++] = slice_of_string(word);
	event.info = command_lookup(event.argc, argv);
	at = event.info ? command_first_key(event.info, event.argc, argv) : 0;
	if (at > 0)
		event.key = argv[at];
	event.raw = slice_make(space + used, strlen(words));
	memcpy(space + used, words, strlen(words));
	used += strlen(words);
	event.end = used;
	return event;
}

static void expect_runs(const struct transaction *transaction, const char *const *runs)
{
	uint32_t count = 0;

	for (; runs[count]; count++) {
		assert_true(count < transaction->run_count);
		assert_true(slice_equal(transaction->runs[count].bytes, slice_of_string(runs[count])));
	}
	assert_int_equal(transaction->run_count, count);
}

static void begin(struct transaction *transaction, uint32_t db)
{
	struct event multi;

	used = 0;
	multi = next(db, "MULTI");
	transaction_begin(transaction, &multi);
}

static void add(struct transaction *transaction, uint32_t db, const char *words)
{
	struct event event = next(db, words);
	struct error error;

	assert_true(transaction_command(transaction, &event, false, &error));
}

static void test_neighbours_are_one_run(void **state)
{
	struct transaction transaction = {0};

	(void)state;
	begin(&transaction, 0);
	add(&transaction, 0, "SET a 1");
	add(&transaction, 0, "SET b 1");
	next(0, "EXEC");
	transaction_end(&transaction);
	expect_runs(&transaction, (const char *const[]){SINK_MULTI, "SET a 1SET b 1", SINK_EXEC, NULL});
	assert_int_equal(transaction.replies, 4);
	assert_int_equal(transaction.commands, 2);
	assert_false(transaction.unsafe);
	assert_false(transaction.script);
	transaction_free(&transaction);
}

static void test_gaps(void **state)
{
	struct transaction transaction = {0};

	(void)state;
	for (int round = 0; round < 2; round++) { /* the memory is used again */
		begin(&transaction, 0);
		for (int i = 0; i < 40; i++) {
			next(0, "SET left out");
			add(&transaction, 0, "SET a 1");
		}
		assert_int_equal(transaction.run_count, 41);
		assert_int_equal(transaction.replies, 41);
		assert_int_equal(transaction.commands, 40);
	}
	transaction_free(&transaction);
}

static void test_databases(void **state)
{
	struct transaction transaction = {0};

	(void)state;
	begin(&transaction, 7);
	next(0, "SELECT 1");
	add(&transaction, 1, "SET a 1"); /* selected before the whole: nothing inside */
	next(0, "SELECT 9");
	next(0, "SELECT 2");
	add(&transaction, 2, "SET b 1");
	next(0, "SELECT 9");
	next(0, "SELECT 2");
	add(&transaction, 2, "SET c 1"); /* there already */
	next(0, "SELECT 5");
	next(0, "EXEC");
	transaction_end(&transaction);
	assert_int_equal(transaction.db, 1);
	assert_int_equal(transaction.db_after, 2);
	assert_int_equal(transaction.replies, 6);
	expect_runs(&transaction, (const char *const[]){SINK_MULTI, "SET a 1", "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n", "SET b 1", "SET c 1", SINK_EXEC, NULL});
	transaction_free(&transaction);
}

/* A command that was changed is copied, in RESP. */
static void test_made(void **state)
{
	struct transaction transaction = {0};
	struct slice argv[] = {SLICE("DEL"), SLICE("k")};
	struct event event;
	struct error error;

	(void)state;
	begin(&transaction, 0);
	add(&transaction, 0, "SET a 1");
	event = next(0, "DEL k other");
	event.raw = (struct slice){0};
	event.argc = 2;
	event.argv = argv;
	assert_true(transaction_command(&transaction, &event, false, &error));
	expect_runs(&transaction, (const char *const[]){SINK_MULTI, "SET a 1", "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n", NULL});
	assert_true(transaction.runs[2].made);
	transaction_free(&transaction);
}

static void test_flags(void **state)
{
	struct transaction transaction = {0};

	(void)state;
	begin(&transaction, 0);
	add(&transaction, 0, "SET a 1");
	add(&transaction, 0, "INCR a");
	assert_true(transaction.unsafe);
	begin(&transaction, 0);
	assert_false(transaction.unsafe);
	add(&transaction, 0, "EVAL code 1 k");
	assert_true(transaction.script);
	transaction_free(&transaction);
}

static void test_slots(void **state)
{
	static const char *const others[] = {"SET b 1", "MSET {a}1 1 b 2", "DEL a b", "FLUSHALL", "UNHEARD.OF x"};
	struct transaction transaction = {0};
	struct event event;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		begin(&transaction, 0);
		event = next(0, "SET {a}1 1");
		assert_true(transaction_command(&transaction, &event, true, &error));
		assert_true(transaction.has_slot);
		assert_int_equal(transaction.slot, slot_of_key(SLICE("a")));
		event = next(0, "PUBLISH channel x"); /* fits to any */
		assert_true(transaction_command(&transaction, &event, true, &error));
		event = next(0, "DEL a {a}2");
		assert_true(transaction_command(&transaction, &event, true, &error));
		event = next(0, others[i]);
		assert_false(transaction_command(&transaction, &event, true, &error));
		assert_int_equal(error.kind, ERROR_CONFLICT);
		assert_true(error.hint[0]);
		assert_int_equal(transaction.commands, 3);
	}
	transaction_free(&transaction);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_are_one_run),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_databases),
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
