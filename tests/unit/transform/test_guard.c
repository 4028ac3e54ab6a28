#include "transform/guard.h"

#include "transform/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000000
#define LATER 1700000100000 /* NOW and 100 s */
#define WORDS_MAX 32

static struct guard_times held(void)
{
	return (struct guard_times){.form = GUARD_HELD, .base = GUARD_KEY_BASE, .margin_ms = 60000};
}

static struct guard_times live(int64_t margin_ms)
{
	return (struct guard_times){.form = GUARD_LIVE, .base = GUARD_KEY_BASE, .margin_ms = margin_ms};
}

/* "SAME", "PATCHED n: ..." or "CHANGED: ..."; T stands for the time LATER held as a key's, F as a field's, L for it live with a minute's margin. The body of a script
 * is left out. */
static void render(const char *command, const struct guard_times *times, char *out, size_t cap)
{
	static const char *const outcomes[] = {[GUARD_SAME] = "SAME", [GUARD_PATCHED] = "PATCHED", [GUARD_CHANGED] = "CHANGED"};
	struct slice words[WORDS_MAX];
	struct guard *guard = guard_new();
	struct guard_command made = {0};
	struct arena arena = {0};
	char *text = strdup(command), *rest;
	enum guard_outcome outcome;
	uint32_t count = 0;
	size_t at;

	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		words[count++] = slice_of_string(word);
	outcome = guard_command(guard, times, NOW, command_lookup(count, words), count, words, &arena, &made);
	at = (size_t)snprintf(out, cap, "%s", outcomes[outcome]);
	if (outcome == GUARD_PATCHED)
		at += (size_t)snprintf(out + at, cap - at, " %u", made.at);
	for (uint32_t i = 0; outcome != GUARD_SAME && i < made.argc; i++) {
		int64_t number;

		if (slice_equal(made.argv[i], slice_of_string(script_hpexpireat_if)))
			continue;
		if (!slice_to_int64(made.argv[i], &number))
			number = 0;
		at += (size_t)snprintf(out + at, cap - at, "%s", i ? " " : ": ");
		if (number == LATER + GUARD_KEY_BASE || number == LATER + GUARD_FIELD_BASE || number == LATER + 60000)
			at += (size_t)snprintf(out + at, cap - at, "%s",
					       number == LATER + GUARD_KEY_BASE     ? "T"
					       : number == LATER + GUARD_FIELD_BASE ? "F"
										    : "L");
		else
			at += (size_t)snprintf(out + at, cap - at, "%.*s", (int)made.argv[i].len,
					       (const char *)made.argv[i].data);
	}
	if (outcome == GUARD_PATCHED) {
		assert_int_equal(made.argc, count);
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(slice_equal(made.argv[i], words[i]), i != made.at);
	}
	if (outcome != GUARD_SAME)
		assert_non_null(made.info);
	arena_free(&arena);
	guard_free(guard);
	free(text);
}

static void check(const char *command, const struct guard_times *times, const char *expected)
{
	char found[2048];

	render(command, times, found, sizeof(found));
	assert_string_equal(found, expected);
}

static void test_every_form(void **state)
{
	static const struct {
		const char *command, *expected;
	} cases[] = {
		{"PEXPIREAT k 1700000100000", "PATCHED 2: PEXPIREAT k T"},
		{"pexpireat k 1700000100000 GT", "CHANGED: PEXPIREAT k T"},
		{"PEXPIREAT k 1700000100000 XX LT", "CHANGED: PEXPIREAT k T"},
		{"EXPIREAT k 1700000100", "CHANGED: PEXPIREAT k T"},
		{"EXPIREAT k 1700000100 NX", "CHANGED: PEXPIREAT k T"},
		{"SET k v PXAT 1700000100000", "PATCHED 4: SET k v PXAT T"},
		{"SET k v NX GET PXAT 1700000100000", "PATCHED 6: SET k v NX GET PXAT T"},
		{"SET k v EXAT 1700000100 XX", "CHANGED: SET k v PXAT T XX"},
		{"SET k v", "SAME"},
		{"SET k v KEEPTTL", "SAME"},
		{"SET PXAT 1700000100000", "SAME"},
		{"SET k v PXAT", "SAME"},
		{"SET k v PXAT soon", "SAME"},
		{"RESTORE k 1700000100000 payload ABSTTL", "PATCHED 2: RESTORE k T payload ABSTTL"},
		{"RESTORE k 1700000100000 payload REPLACE absttl FREQ 3", "PATCHED 2: RESTORE k T payload REPLACE absttl FREQ 3"},
		{"RESTORE-ASKING k 1700000100000 payload ABSTTL", "PATCHED 2: RESTORE-ASKING k T payload ABSTTL"},
		{"RESTORE k 0 payload REPLACE ABSTTL", "SAME"},
		{"RESTORE k 1000 payload", "SAME"},
		{"MSETEX 2 a 1 b 2 PXAT 1700000100000", "PATCHED 7: MSETEX 2 a 1 b 2 PXAT T"},
		{"MSETEX 2 PXAT 1700000100000 b 2 NX EXAT 1700000100", "CHANGED: MSETEX 2 PXAT 1700000100000 b 2 NX PXAT T"},
		{"MSETEX 9 a 1 PXAT 1700000100000", "SAME"},
		{"HPEXPIREAT h 1700000100000 FIELDS 2 a b", "PATCHED 2: HPEXPIREAT h F FIELDS 2 a b"},
		{"HEXPIREAT h 1700000100 FIELDS 1 a", "CHANGED: HPEXPIREAT h F FIELDS 1 a"},
		{"HPEXPIREAT h 1700000100000 GT FIELDS 1 a", "CHANGED: HPEXPIREAT h F FIELDS 1 a"},
		{"HPEXPIREAT h 1700000100000 NX FIELDS 2 a b", "PATCHED 2: HPEXPIREAT h F NX FIELDS 2 a b"},
		{"HEXPIREAT h 1700000100 NX FIELDS 2 a b", "CHANGED: HPEXPIREAT h F NX FIELDS 2 a b"},
		{"HPEXPIREAT h 1700000100000 lt FIELDS 2 a b",
		 "CHANGED: EVAL 1 h F 1700000100000 LT 35184372088832 8796093022208 60000 a b"},
		{"HSETEX h FXX PXAT 1700000100000 FIELDS 1 f v", "PATCHED 4: HSETEX h FXX PXAT F FIELDS 1 f v"},
		{"HSETEX h EXAT 1700000100 FIELDS 1 f v", "CHANGED: HSETEX h PXAT F FIELDS 1 f v"},
		{"HSETEX h KEEPTTL FIELDS 2 PXAT 1700000100000 f v", "SAME"},
		/* What is no time to be guarded. */
		{"PEXPIREAT k 0", "SAME"},
		{"PEXPIREAT k -5", "SAME"},
		{"PEXPIREAT k 8796093022208", "SAME"},
		{"PEXPIREAT k 9223372036854775807", "SAME"},
		{"EXPIREAT k 9223372036854775807", "SAME"},
		{"PEXPIREAT k", "SAME"},
		{"PERSIST k", "SAME"},
		{"INCR k", "SAME"},
		{"HSET PXAT 1700000100000 v", "SAME"},
	};
	struct guard_times times = held();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].command, &times, cases[i].expected);
}

static void test_live(void **state)
{
	struct guard_times minute = live(60000), none = live(0);

	(void)state;
	check("PEXPIREAT k 1700000100000", &minute, "PATCHED 2: PEXPIREAT k L");
	check("HPEXPIREAT h 1700000100000 FIELDS 1 f", &minute, "PATCHED 2: HPEXPIREAT h L FIELDS 1 f");
	/* What has passed would delete the key; with the margin it has not. */
	assert_int_equal(guard_key_time(&minute, NOW - 1000, NOW), NOW + 59000);
	assert_int_equal(guard_key_time(&minute, NOW - 59000, NOW), NOW - 59000 + GUARD_KEY_BASE);
	assert_int_equal(guard_key_time(&minute, NOW - 58999, NOW), NOW + 1001);
	assert_int_equal(guard_field_time(&minute, NOW - 60000, NOW), NOW - 60000 + GUARD_FIELD_BASE);
	assert_int_equal(guard_key_time(&none, NOW + 1, NOW), NOW + 1);
	assert_int_equal(guard_key_time(&none, NOW, NOW), NOW + GUARD_KEY_BASE);
	/* As they are. */
	assert_int_equal(guard_key_time(&(struct guard_times){.form = GUARD_OFF}, NOW - 1, NOW), NOW - 1);
	assert_int_equal(guard_key_time(&(struct guard_times){.form = GUARD_IMPORT}, NOW - 1, NOW), NOW - 1);
	check("PEXPIREAT k 1700000100000 GT", &(struct guard_times){.form = GUARD_IMPORT}, "SAME");
}

/* Every held time is below 2^53 for Lua, tells its task, and is no true time of another. */
static void test_bases(void **state)
{
	const char *const names[] = {
		"", "a", "b", "orders-to-new-idc", "127.0.0.1:6379-to-127.0.0.1:6380", "127.0.0.1:6379-to-127.0.0.1:6381"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int64_t base = guard_base(names[i]);

		assert_int_equal((base - GUARD_KEY_BASE) % GUARD_SPAN, 0);
		assert_true(base >= GUARD_KEY_BASE && base + GUARD_SPAN <= 1LL << 53);
		assert_int_equal(base, guard_base(names[i]));
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(base, guard_base(names[j]));
	}
	assert_true(GUARD_FIELD_BASE + GUARD_SPAN < 1LL << 46);
}

static bool moves(const char *name)
{
	struct slice word = slice_of_string(name);

	assert_non_null(command_lookup(1, &word));
	return guard_moves_times(command_lookup(1, &word));
}

static void test_moves(void **state)
{
	(void)state;
	assert_true(moves("rename") && moves("renamenx") && moves("copy") && moves("move") && moves("swapdb") && moves("eval") &&
		    moves("fcall"));
	assert_true(guard_moves_times(NULL));
	assert_false(moves("set") || moves("restore") || moves("del") || moves("pexpireat") || moves("smove"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_bases),
		cmocka_unit_test(test_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
