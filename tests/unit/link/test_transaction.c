/* A transaction being gathered, and its parts: pieces of bytes, replies, slots, databases. */
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

/* The next part, which is none for itself. */
static struct transaction_part expect_part(struct transaction *transaction, const char *const *pieces, bool last)
{
	struct transaction_part part;
	uint32_t count = 0;

	assert_true(transaction_next(transaction, &part));
	assert_null(part.whole);
	for (; pieces[count]; count++) {
		assert_true(count < part.piece_count);
		assert_true(slice_equal(part.pieces[count].bytes, slice_of_string(pieces[count])));
	}
	assert_int_equal(part.piece_count, count);
	assert_int_equal(part.last, last);
	return part;
}

static void expect_end(struct transaction *transaction)
{
	struct transaction_part part;

	assert_false(transaction_next(transaction, &part));
	assert_false(transaction->handing_out);
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

static void test_neighbours_are_one_piece(void **state)
{
	struct transaction transaction = {0};
	struct transaction_part part;

	(void)state;
	begin(&transaction, 0);
	add(&transaction, 0, "SET a 1");
	add(&transaction, 0, "SET b 1");
	transaction_close(&transaction);
	part = expect_part(&transaction, (const char *const[]){SINK_MULTI, "SET a 1SET b 1", SINK_EXEC, NULL}, true);
	assert_int_equal(part.replies, 4);
	assert_int_equal(transaction.commands, 2);
	assert_int_equal(part.flags, UNIT_REPLAY_SAFE);
	expect_end(&transaction);
	transaction_free(&transaction);
}

static void test_gaps(void **state)
{
	struct transaction transaction = {0};
	struct transaction_part part;

	(void)state;
	for (int round = 0; round < 2; round++) { /* the memory is used again */
		begin(&transaction, 0);
		for (int i = 0; i < 40; i++) {
			next(0, "SET left out");
			add(&transaction, 0, "SET a 1");
		}
		transaction_close(&transaction);
		assert_true(transaction_next(&transaction, &part));
		assert_int_equal(part.piece_count, 42);
		assert_int_equal(part.replies, 42);
		assert_int_equal(transaction.commands, 40);
	}
	transaction_free(&transaction);
}

static void test_databases(void **state)
{
	struct transaction transaction = {0};
	struct transaction_part part;

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
	transaction_close(&transaction);
	part = expect_part(&transaction,
			   (const char *const[]){SINK_MULTI, "SET a 1", "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n", "SET b 1", "SET c 1",
						 SINK_EXEC, NULL},
			   true);
	assert_int_equal(part.db, 1);
	assert_int_equal(part.db_after, 2);
	assert_int_equal(part.replies, 6);
	transaction_free(&transaction);
}

/* A command that was changed is copied, in RESP. */
static void test_made(void **state)
{
	struct transaction transaction = {0};
	struct slice argv[] = {SLICE("DEL"), SLICE("k")};
	struct transaction_part part;
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
	transaction_close(&transaction);
	part = expect_part(&transaction,
			   (const char *const[]){SINK_MULTI, "SET a 1", "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n", SINK_EXEC, NULL}, true);
	assert_true(part.pieces[2].made);
	assert_false(part.pieces[3].made);
	transaction_free(&transaction);
}

static uint16_t flags_of(struct transaction *transaction)
{
	struct transaction_part part;

	transaction_close(transaction);
	assert_true(transaction_next(transaction, &part));
	return part.flags;
}

static void test_flags(void **state)
{
	struct transaction transaction = {0};

	(void)state;
	begin(&transaction, 0);
	add(&transaction, 0, "SET a 1");
	add(&transaction, 0, "INCR a");
	assert_int_equal(flags_of(&transaction), 0);
	begin(&transaction, 0);
	add(&transaction, 0, "SET a 1");
	assert_int_equal(flags_of(&transaction), UNIT_REPLAY_SAFE);
	begin(&transaction, 0);
	add(&transaction, 0, "EVAL code 1 k");
	assert_int_equal(flags_of(&transaction), UNIT_SCRIPT);
	transaction_free(&transaction);
}

static void add_on_cluster(struct transaction *transaction, const char *words)
{
	struct event event = next(0, words);
	struct error error;

	assert_true(transaction_command(transaction, &event, true, &error));
}

static void test_slots(void **state)
{
	static const char *const multi = "*1\r\n$5\r\nMULTI\r\n", *const exec = "*1\r\n$4\r\nEXEC\r\n";
	static const char *const del_a = "*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$4\r\n{a}2\r\n", *const del_b =
												 "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n";
	struct transaction transaction = {0};
	struct event start = {.kind = EVENT_COMMAND, .raw = slice_of_string(multi), .start = 77};
	struct transaction_part part;

	(void)state;
	assert_true(slot_of_key(SLICE("b")) < slot_of_key(SLICE("a")));
	used = 0;
	transaction_begin(&transaction, &start);
	add_on_cluster(&transaction, "SET {a}1 1");
	add_on_cluster(&transaction, "PUBLISH channel x"); /* fits to any */
	add_on_cluster(&transaction, "SET b 1");
	add_on_cluster(&transaction, "INCR {a}2");
	add_on_cluster(&transaction, "DEL a b {a}2");
	add_on_cluster(&transaction, "RENAME a b");
	add_on_cluster(&transaction, "FLUSHALL");
	add_on_cluster(&transaction, "SET b 2");
	transaction_close(&transaction);
	part = expect_part(&transaction, (const char *const[]){multi, "SET b 1", del_b, exec, NULL}, false);
	assert_int_equal(part.slot, slot_of_key(SLICE("b")));
	assert_int_equal(part.replies, 4);
	part = expect_part(&transaction,
			   (const char *const[]){multi, "SET {a}1 1PUBLISH channel x", "INCR {a}2", del_a, exec, NULL}, false);
	assert_int_equal(part.slot, slot_of_key(SLICE("a")));
	assert_int_equal(part.replies, 6);
	assert_int_equal(part.flags, 0);
	for (int i = 0; i < 2; i++) {
		assert_true(transaction_next(&transaction, &part));
		assert_non_null(part.whole);
		assert_string_equal(part.whole->info->name, i == 0 ? "rename" : "flushall");
		assert_int_equal(part.whole->start, 77);
		assert_int_equal(part.whole->end, 77);
		assert_false(part.last);
	}
	part = expect_part(&transaction, (const char *const[]){multi, "SET b 2", exec, NULL}, true);
	assert_int_equal(part.flags, UNIT_REPLAY_SAFE);
	expect_end(&transaction);
	transaction_free(&transaction);
}

static void test_what_no_cluster_takes(void **state)
{
	struct transaction transaction = {0};
	struct event event;
	struct error error;

	(void)state;
	begin(&transaction, 0);
	event = next(0, "UNHEARD.OF x");
	assert_false(transaction_command(&transaction, &event, true, &error));
	assert_int_equal(error.kind, ERROR_CONFLICT);
	assert_true(error.hint[0]);
	assert_int_equal(transaction.commands, 0);
	transaction_free(&transaction);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_are_one_piece),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_databases),
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_what_no_cluster_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
