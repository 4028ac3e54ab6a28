/* What commands of the stream become: calls of scripts, libraries, arguments that are too long, payloads, and the policy of what the target has nothing for. */
#include "link/adapt.h"

#include "base/log.h"
#include "base/memory.h"
#include "wire/command.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 12

struct bench {
	struct target_abilities target;
	struct lag lag;
	struct scripts *scripts;
	struct adapt *adapt;
	struct slice argv[ARGUMENTS_MAX];
	struct event event;
	struct adapt_output output;
	struct error error;
	char text[512]; /* the output as words */
	int notes;
	char note[1024];
};

static void on_note(void *owner, int log_level, const char *text)
{
	struct bench *bench = owner;

	assert_int_equal(log_level, LOG_WARNING);
	bench->notes++;
	snprintf(bench->note, sizeof(bench->note), "%s", text);
}

static int set_up(void **state)
{
	struct bench *bench = memory_alloc_zero(1, sizeof(*bench));
	uint64_t cut;

	bench->target = (struct target_abilities){
		.redis = 0x070000,
		.functions = true,
		.streams = true,
		.rdb_version = 10,
		.bulk_max = 1000,
		.name = "Redis 7.0.0",
	};
	lag_init(&bench->lag, NULL, 0, NULL);
	bench->scripts = scripts_open(NULL, SCRIPTS_BYTES_MAX, &cut, &bench->error);
	*state = bench;
	return 0;
}

static void begin(struct bench *bench)
{
	adapt_free(bench->adapt);
	bench->adapt = adapt_new(&(struct adapt_options){&bench->target, &bench->lag, bench->scripts, on_note, bench});
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	adapt_free(bench->adapt);
	scripts_free(bench->scripts);
	free(bench);
	return 0;
}

/* Splits at blanks. */
static void make(struct bench *bench, const char *words)
{
	uint32_t at;

	bench->event = (struct event){.kind = EVENT_COMMAND,
				      .start = 10,
				      .end = 20,
				      .offset = 4711,
				      .raw = slice_of_string(words),
				      .argv = bench->argv};
	while (*words) {
		size_t len = strcspn(words, " ");

		bench->argv[bench->event.argc++] = slice_make(words, len);
		words += len + (words[len] == ' ');
	}
	bench->event.info = command_lookup(bench->event.argc, bench->argv);
	at = bench->event.info ? command_first_key(bench->event.info, bench->event.argc, bench->argv) : 0;
	if (at)
		bench->event.key = bench->argv[at];
}

static enum adapt_outcome run(struct bench *bench)
{
	enum adapt_outcome outcome;
	size_t used = 0;

	if (!bench->adapt)
		begin(bench);
	outcome = adapt_command(bench->adapt, &bench->event, &bench->output, &bench->error);
	bench->text[0] = '\0';
	for (uint32_t i = 0; outcome == ADAPT_CHANGED && i < bench->output.count; i++)
		for (uint32_t j = 0; j < bench->output.events[i].argc; j++)
			used += (size_t)snprintf(bench->text + used, sizeof(bench->text) - used, "%s%.*s",
						 j   ? " "
						 : i ? "|"
						     : "",
						 (int)bench->output.events[i].argv[j].len,
						 (const char *)bench->output.events[i].argv[j].data);
	return outcome;
}

static enum adapt_outcome adapted(struct bench *bench, const char *words)
{
	make(bench, words);
	return run(bench);
}

static void test_what_the_target_knows(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(adapted(bench, "SET k v"), ADAPT_SAME);
	assert_int_equal(adapted(bench, "SET k v PXAT 4102444800000"), ADAPT_SAME);
	assert_int_equal(adapted(bench, "nobody.knows k"), ADAPT_SAME);
	assert_int_equal(adapted(bench, "EVAL body 1 k"), ADAPT_SAME);
	assert_int_equal(adapt_counters(bench->adapt).rewritten, 0);
}

static void see(struct bench *bench, struct slice body)
{
	struct slice argv[] = {SLICE("EVAL"), body, SLICE("0")};

	scripts_see(bench->scripts,
		    &(struct event){.kind = EVENT_COMMAND, .info = command_lookup(3, argv), .argc = 3, .argv = argv});
}

static void test_calls_by_sha(void **state)
{
	struct bench *bench = *state;

	see(bench, SLICE("return 1"));
	assert_int_equal(adapted(bench, "evalsha e0e1f9fabfc9d4800c877a703b823ac0578ff8db 2 a b c"), ADAPT_CHANGED);
	assert_string_equal(bench->text, "EVAL return 1 2 a b c");
	assert_string_equal(bench->output.events[0].info->name, "eval");
	assert_true(slice_equal(bench->output.events[0].key, SLICE("a")));
	assert_int_equal(bench->output.events[0].offset, 4711);
	assert_int_equal(adapted(bench, "EVALSHA_RO E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0"), ADAPT_CHANGED);
	assert_string_equal(bench->text, "EVAL_RO return 1 0");
	/* It is the same command, so it is not counted as another one. */
	assert_int_equal(adapt_counters(bench->adapt).rewritten, 0);
	assert_int_equal(adapted(bench, "EVALSHA 0000000000000000000000000000000000000000 1 k"), ADAPT_REFUSED);
	assert_int_equal(bench->error.kind, ERROR_CONFLICT);
	assert_non_null(strstr(bench->error.text, "EVALSHA of key \"k\" (database 0, offset 4711)"));
	assert_non_null(strstr(bench->error.text, "SHA1 \"0000000000000000000000000000000000000000\""));
	assert_int_equal(adapted(bench, "EVALSHA nonsense 1 k"), ADAPT_REFUSED);
	/* The server says what is wrong with it. */
	assert_int_equal(adapted(bench, "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), ADAPT_SAME);
}

static void test_libraries(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(adapted(bench, "FUNCTION LOAD code"), ADAPT_CHANGED);
	assert_string_equal(bench->text, "FUNCTION LOAD REPLACE code");
	assert_int_equal(adapted(bench, "FUNCTION LOAD REPLACE code"), ADAPT_SAME);
	assert_int_equal(adapted(bench, "FUNCTION RESTORE payload"), ADAPT_CHANGED);
	assert_string_equal(bench->text, "FUNCTION RESTORE payload REPLACE");
	assert_int_equal(adapted(bench, "FUNCTION RESTORE payload append"), ADAPT_CHANGED);
	assert_string_equal(bench->text, "FUNCTION RESTORE payload REPLACE");
	assert_int_equal(adapted(bench, "FUNCTION RESTORE payload FLUSH"), ADAPT_SAME);
	assert_int_equal(adapted(bench, "FUNCTION DELETE name"), ADAPT_SAME);
}

/* stop: the link ends there. lossy: it is left out, told once of its kind, and counted. */
static void test_downgrade_policies(void **state)
{
	struct bench *bench = *state;

	bench->target.redis = 0x040000;
	bench->target.rdb_version = 8;
	bench->target.functions = bench->target.streams = false;
	bench->target.name = "Redis 4.0.0";
	assert_int_equal(adapted(bench, "XADD s 1-1 f v"), ADAPT_REFUSED);
	assert_non_null(strstr(bench->error.text, "XADD of key \"s\" (database 0, offset 4711) would lose at Redis 4.0.0"));
	assert_non_null(strstr(bench->error.hint, "target.downgrade: lossy"));
	assert_int_equal(adapted(bench, "FUNCTION LOAD code"), ADAPT_REFUSED);
	assert_int_equal(bench->notes, 0);
	bench->target.lossy = true;
	begin(bench);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(adapted(bench, "XADD s 1-1 f v"), ADAPT_CHANGED);
		assert_int_equal(bench->output.count, 0);
	}
	assert_int_equal(bench->notes, 1);
	assert_int_equal(adapted(bench, "FUNCTION LOAD code"), ADAPT_CHANGED);
	assert_int_equal(bench->notes, 2);
	assert_non_null(strstr(bench->note, "function libraries"));
	assert_int_equal(adapt_counters(bench->adapt).lossy, 4);
}

static void test_several_for_one(void **state)
{
	struct bench *bench = *state;

	bench->target.redis = 0x060000;
	bench->target.rdb_version = 9;
	assert_int_equal(adapted(bench, "SET k v PXAT 4102444800000"), ADAPT_CHANGED);
	assert_string_equal(bench->text, "SET k v|PEXPIREAT k 4102444800000");
	assert_true(bench->output.replay_safe);
	assert_null(bench->output.events[1].raw.data);
	assert_int_equal(adapt_counters(bench->adapt).rewritten, 1);
}

/* A payload that the target does not know, or does not take in one argument, becomes a key that is rewritten. */
static void test_payloads(void **state)
{
	static uint8_t payload[1200];
	struct bench *bench = *state;

	payload[0] = RDB_TYPE_SET_LISTPACK;
	payload[sizeof(payload) - 10] = 11;
	for (int longer = 0; longer <= 1; longer++) {
		size_t len = longer ? sizeof(payload) : 100;

		payload[len - 10] = 11;
		make(bench, "RESTORE k 4102444800000 p REPLACE ABSTTL");
		bench->argv[3] = slice_make(payload, len);
		bench->event.raw.len = len + 50;
		assert_int_equal(run(bench), ADAPT_VALUE);
		assert_int_equal(bench->output.events[0].kind, EVENT_KEY);
		assert_int_equal(bench->output.events[0].type, RDB_TYPE_SET_LISTPACK);
		assert_int_equal(bench->output.events[0].value.len, len - 11);
		assert_int_equal(bench->output.events[0].expire_at_ms, 4102444800000);
		assert_false(bench->output.valkey);
	}
	/* A time to live that ends behind all that a number can say. */
	make(bench, "RESTORE k 9223372036854775807 p");
	bench->argv[3] = slice_make(payload, 100);
	assert_int_equal(run(bench), ADAPT_VALUE);
	assert_true(bench->output.events[0].expire_at_ms == INT64_MAX);
	make(bench, "RESTORE k 0 p");
	bench->argv[3] = slice_make(payload, 5);
	assert_int_not_equal(run(bench), ADAPT_VALUE);
}

static void test_too_long(void **state)
{
	static uint8_t value[1001];
	struct bench *bench = *state;

	for (int over = 0; over <= 1; over++) {
		make(bench, "SET k v");
		bench->argv[2] = slice_make(value, 1000 + (size_t)over);
		bench->event.raw.len = 1030;
		assert_int_equal(run(bench), over ? ADAPT_REFUSED : ADAPT_SAME);
	}
	assert_non_null(strstr(bench->error.text,
			       "has an argument of 1001 bytes, and Redis 7.0.0 takes 1000 at most (proto-max-bulk-len)"));
	/* Made by an earlier stage, of unknown length as a whole. */
	bench->event.raw = (struct slice){0};
	assert_int_equal(run(bench), ADAPT_REFUSED);
	make(bench, "nobody.knows v");
	bench->argv[1] = slice_make(value, 1001);
	bench->event.raw.len = 1030;
	assert_int_equal(run(bench), ADAPT_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_the_target_knows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_calls_by_sha, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_libraries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_downgrade_policies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several_for_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_payloads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
