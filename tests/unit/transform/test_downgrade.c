#include "transform/downgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000000
#define WORDS_MAX 32

static const struct downgrade_target redis_6_0 = {.redis = 0x060000, .rdb_version = 9};
static const struct downgrade_target redis_4_0 = {.redis = 0x04000e, .rdb_version = 8};
static const struct downgrade_target redis_2_8 = {.redis = 0x020818, .rdb_version = 6};
static const struct downgrade_target redis_7_4 = {.redis = 0x070401, .rdb_version = 12};
static const struct downgrade_target redis_8_4 = {.redis = 0x080400, .rdb_version = 12};
static const struct downgrade_target valkey_9_1 = {.valkey = 0x090102, .rdb_version = 11, .valkey_rdb = true};
static const struct downgrade_target valkey_8_0 = {.valkey = 0x080001, .rdb_version = 11};
static const struct downgrade_target mixed = {.redis = 0x070204, .valkey = 0x090100, .rdb_version = 11};

/* Words are parted by blanks; "''" is the empty one. */
static uint32_t split(char *text, struct slice *words)
{
	uint32_t count = 0;
	char *rest;

	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(count < WORDS_MAX);
		words[count++] = strcmp(word, "''") == 0 ? SLICE("") : slice_of_string(word);
	}
	return count;
}

/* "SAME", or the commands parted by " | ", each script as EVAL <its first key>..., with "safe " before them when they are, and
 * "lost <loss>: " before them when something is. */
static void render(const struct downgrade_result *result, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	if (result->outcome == DOWNGRADE_SAME) {
		snprintf(out, cap, "SAME");
		return;
	}
	if (result->outcome == DOWNGRADE_CANNOT) {
		assert_non_null(result->lost);
		at += (size_t)snprintf(out + at, cap - at, "lost %s:", downgrade_loss_name(result->loss));
	}
	for (uint32_t c = 0; c < result->count; c++) {
		const struct downgrade_command *command = &result->commands[c];

		assert_non_null(command->info);
		at += (size_t)snprintf(out + at, cap - at, "%s", c ? " |" : result->replay_safe ? "safe" : "");
		for (uint32_t i = 0; i < command->argc; i++) {
			struct slice word = command->argv[i];

			if (slice_equal(command->argv[0], SLICE("EVAL")) && i == 1) {
				assert_false(command->info->flags & COMMAND_SCRIPT);
				assert_true(command_keys(command->info, command->argc, command->argv, NULL, NULL) > 0);
				continue;
			}
			at += (size_t)snprintf(out + at, cap - at, " %.*s", word.len ? (int)word.len : 2,
					       word.len ? (const char *)word.data : "''");
		}
	}
}

static void check(const struct downgrade_target *target, const char *text, const char *expected)
{
	struct downgrade *downgrade = downgrade_new(target);
	struct downgrade_result result;
	struct slice argv[WORDS_MAX];
	char copy[512], out[1024];
	uint32_t argc;

	snprintf(copy, sizeof(copy), "%s", text);
	argc = split(copy, argv);
	/* Twice: nothing is left over from the command before. */
	for (int i = 0; i < 2; i++) {
		downgrade_command(downgrade, command_lookup(argc, argv), argc, argv, NOW, &result);
		render(&result, out, sizeof(out));
		if (strcmp(out, expected) != 0)
			fail_msg("%s: \"%s\", expected \"%s\"", text, out, expected);
	}
	downgrade_free(downgrade);
}

static void rows_are_in_order(void **state)
{
	(void)state;
	for (uint32_t i = 0; downgrade_row_name(i); i++) {
		struct slice words[2];
		char copy[64];
		uint32_t count;

		if (i > 0)
			assert_true(strcmp(downgrade_row_name(i - 1), downgrade_row_name(i)) < 0);
		snprintf(copy, sizeof(copy), "%s", downgrade_row_name(i));
		count = split(copy, words);
		assert_non_null(command_lookup(count, words));
	}
}

/* A command that the target knows in older forms only has to be marked so, or its row is never asked. */
static void rows_are_reached(void **state)
{
	const struct command_info *info;
	struct slice words[2];
	char copy[64];

	(void)state;
	for (uint32_t i = 0; downgrade_row_name(i); i++) {
		snprintf(copy, sizeof(copy), "%s", downgrade_row_name(i));
		info = command_lookup(split(copy, words), words);
		assert_true((info->flags & (COMMAND_RELATIVE_EXPIRY | COMMAND_LATER_FORMS)) || info->redis_since > 0x020800 ||
			    info->valkey_since > 0x070200);
	}
}

static void what_is_known_stays(void **state)
{
	static const char *const commands[] = {
		"SET k v",
		"SET k v NX",
		"SET k v PXAT 99",
		"MSET a 1 b 2",
		"UNLINK a b",
		"LPOP k",
		"ZADD z GT 1 a 2 b",
		"PEXPIREAT k 9 GT",
		"XADD x MAXLEN = 5 1-1 f v",
		"XADD x MAXLEN ~ 5 LIMIT 7 1-1 f v",
		"RESTORE k 99 payload REPLACE ABSTTL",
		"HSETEX h PXAT 99 FIELDS 1 f v",
		"HPEXPIREAT h 99 FIELDS 1 f",
		"COPY a b DB 3",
		"FUNCTION FLUSH",
		"EVAL body 1 k EX 5",
		"FLUSHALL ASYNC",
		"NOSUCHCOMMAND k",
		"XADD",
		"SET k",
		"EXPIRE k",
		"HSETEX h",
		"RESTORE k 0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		check(&redis_8_4, commands[i], "SAME");
		check(&valkey_9_1, commands[i], "SAME");
	}
}

static void times_are_made_absolute(void **state)
{
	(void)state;
	check(&redis_8_4, "SETEX k 10 v", "safe SET k v PXAT 1700000010000");
	check(&redis_6_0, "SETEX k 10 v", "safe SET k v | PEXPIREAT k 1700000010000");
	check(&redis_8_4, "SET k v GET XX PX 10", " SET k v PXAT 1700000000010 XX");
	check(&redis_6_0, "SET k v XX PX 10", "safe SET k v | PEXPIREAT k 1700000000010");
	check(&redis_8_4, "EXPIRE k 10", " PEXPIREAT k 1700000010000");
	check(&redis_8_4, "PEXPIRE k -10 GT", " PEXPIREAT k 1699999999990 GT");
	check(&redis_6_0, "PEXPIRE k 10 GT", " PEXPIREAT k 1700000000010");
	check(&redis_8_4, "GETEX k EX 1", " PEXPIREAT k 1700000001000");
	check(&valkey_9_1, "HSETEX h FNX EX 1 FIELDS 1 f v", " HSETEX h FNX PXAT 1700000001000 FIELDS 1 f v");
	check(&redis_7_4, "HSETEX h FNX EX 1 FIELDS 1 f v", " HSET h f v | HPEXPIREAT h 1700000001000 FIELDS 1 f");
	check(&redis_8_4, "RESTORE k 5 payload-of-old REPLACE", "lost values in a serialised form:");
	/* numbers that no server takes */
	check(&redis_8_4, "EXPIRE k 9223372036854775807", "SAME");
	check(&redis_8_4, "SETEX k 9223372036854775 v", "SAME");
	check(&redis_8_4, "PEXPIRE k many", "SAME");
}

static void families_differ(void **state)
{
	(void)state;
	check(&redis_8_4, "DELIFEQ k v", "safe DEL k");
	check(&valkey_9_1, "DELEX k IFEQ v", "safe DEL k");
	check(&valkey_9_1, "SET k v IFEQ w", "SAME");
	check(&valkey_9_1, "SET k v IFNE w", "safe SET k v");
	check(&valkey_8_0, "HSETEX h KEEPTTL FIELDS 1 f v", "safe HSET h f v");
	check(&redis_8_4, "HSETEX h XX FXX KEEPTTL FIELDS 1 f v", " HSETEX h FXX KEEPTTL FIELDS 1 f v");
	check(&valkey_9_1, "VADD v VALUES 1 1 e", "lost vector sets:");
	/* a cluster on its way from one family to the other takes what both know */
	check(&mixed, "DELIFEQ k v", "safe DEL k");
	check(&mixed, "HPEXPIREAT h 9 FIELDS 1 f", "lost times to live of hash fields:");
	check(&mixed, "LMOVE a b LEFT LEFT", "SAME");
}

static void losses(void **state)
{
	(void)state;
	check(&redis_6_0, "HPEXPIREAT h 9 FIELDS 1 f", "lost times to live of hash fields:");
	check(&redis_6_0, "HSETEX h PXAT 9 FIELDS 2 f v g w", "lost times to live of hash fields:safe HSET h f v g w");
	check(&redis_6_0, "HPERSIST h FIELDS 1 f", "");
	check(&redis_6_0, "FUNCTION LOAD code", "lost function libraries:");
	check(&redis_4_0, "XADD x 1-1 f v", "lost streams:");
	check(&redis_4_0, "XGROUP DESTROY x g", "lost streams:");
	check(&redis_2_8, "SWAPDB 0 1", "lost effects of commands:");
	check(&redis_2_8, "COPY a b", "lost effects of commands:");
	check(&redis_2_8, "SET k v KEEPTTL", "lost effects of commands:safe SET k v");
	check(&redis_6_0, "XDELEX x DELREF IDS 1 1-1", "lost effects of commands:");
	check(&redis_6_0, "XACKDEL x g ACKED IDS 1 1-1", "lost effects of commands:safe XACK x g 1-1");
	check(&redis_6_0, "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 km COUNT 1 ANY", "lost effects of commands:");
}

static void scripts_have_their_keys(void **state)
{
	(void)state;
	check(&redis_6_0, "LMOVE a b LEFT RIGHT", " EVAL 2 a b LEFT RIGHT");
	check(&redis_6_0, "BLMOVE a b right left 0", " RPOPLPUSH a b");
	check(&redis_6_0, "COPY a b DB 3 REPLACE", " EVAL 2 a b 3 REPLACE");
	check(&redis_6_0, "COPY a b", " EVAL 2 a b '' ''");
	check(&redis_6_0, "ZDIFFSTORE d 2 a b", " EVAL 3 d a b");
	check(&redis_6_0, "BITOP ONE d a b", " EVAL 3 d a b ONE");
	check(&redis_6_0, "XADD x MINID = 7-0 9-9 f v", " XADD x 9-9 f v | EVAL 1 x 6-18446744073709551615");
	check(&redis_6_0, "XTRIM x MINID 7-3", " EVAL 1 x 7-2");
	check(&redis_6_0, "XTRIM x MINID 0", "");
	check(&redis_7_4, "HSETEX h KEEPTTL FIELDS 2 f v g w", " EVAL 1 h f v g w");
}

static void older_forms(void **state)
{
	(void)state;
	check(&redis_2_8, "UNLINK a b", "safe DEL a b");
	check(&redis_2_8, "HSET h a 1 b 2", "safe HMSET h a 1 b 2");
	check(&redis_2_8, "ZADD z NX CH 1 a", "safe ZADD z 1 a");
	check(&redis_2_8, "ZADD z INCR 1 a", " ZINCRBY z 1 a");
	check(&redis_4_0, "ZPOPMAX z 2", " ZREMRANGEBYRANK z -2 -1");
	check(&redis_4_0, "FLUSHDB ASYNC", "SAME");
	check(&redis_2_8, "FLUSHDB ASYNC", " FLUSHDB");
	check(&redis_6_0, "RPOP l 3", " LTRIM l 0 -4");
	check(&redis_6_0, "LPOP l 9223372036854775807", " LTRIM l 9223372036854775807 -1");
	check(&redis_6_0, "XGROUP CREATE x g 0 MKSTREAM ENTRIESREAD 5", " XGROUP CREATE x g 0 MKSTREAM");
	check(&redis_6_0, "SCRIPT FLUSH ASYNC", " SCRIPT FLUSH");
	check(&redis_8_4, "XADD x MAXLEN = 5 LIMIT 7 1-1 f v", " XADD x MAXLEN = 5 1-1 f v");
	check(&valkey_8_0, "MSETEX 2 a 1 b 2 PX 5", "safe SET a 1 PXAT 1700000000005 | SET b 2 PXAT 1700000000005");
	check(&redis_6_0, "MSETEX 1 a 1", "safe MSET a 1");
}

static uint64_t payload_version(const struct slice *payload)
{
	return payload->data[payload->len - 10] | (uint64_t)payload->data[payload->len - 9] << 8;
}

static void payloads(void **state)
{
	/* DUMP of "text" by Redis 8.0, and of a hash with a field's time to live by Valkey 9.1: type, value, version, CRC-64 */
	static const uint8_t text[] = {0, 4, 't', 'e', 'x', 't', 12, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t hash[] = {22, 1, 1, 'f', 1, 'v', 0, 0, 0, 0, 0, 0, 0, 1, 80, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	struct slice argv[] = {SLICE("RESTORE"), SLICE("k"),     SLICE("5000"), slice_make(text, sizeof(text)),
			       SLICE("REPLACE"), SLICE("ABSTTL")};
	struct downgrade *downgrade = downgrade_new(&redis_4_0);
	struct downgrade_result result;

	(void)state;
	downgrade_command(downgrade, command_lookup(6, argv), 6, argv, NOW, &result);
	assert_int_equal(result.outcome, DOWNGRADE_REWRITTEN);
	assert_int_equal(result.count, 2);
	assert_true(result.replay_safe);
	assert_int_equal(result.commands[0].argc, 5);
	assert_true(slice_equal(result.commands[0].argv[2], SLICE("0")));
	assert_int_equal(payload_version(&result.commands[0].argv[3]), 6);
	assert_memory_equal(result.commands[0].argv[3].data, text, 6);
	assert_true(slice_equal(result.commands[1].argv[0], SLICE("PEXPIREAT")));
	assert_true(slice_equal(result.commands[1].argv[2], SLICE("5000")));
	argv[3] = slice_make(hash, sizeof(hash));
	downgrade_command(downgrade, command_lookup(6, argv), 6, argv, NOW, &result);
	assert_int_equal(result.outcome, DOWNGRADE_CANNOT);
	assert_int_equal(result.loss, DOWNGRADE_LOSS_PAYLOAD);
	assert_int_equal(result.count, 0);
	downgrade_free(downgrade);
	downgrade_free(NULL);
	downgrade = downgrade_new(&valkey_9_1);
	downgrade_command(downgrade, command_lookup(6, argv), 6, argv, NOW, &result);
	assert_int_equal(result.outcome, DOWNGRADE_SAME);
	downgrade_free(downgrade);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_in_order),
		cmocka_unit_test(rows_are_reached),
		cmocka_unit_test(what_is_known_stays),
		cmocka_unit_test(times_are_made_absolute),
		cmocka_unit_test(families_differ),
		cmocka_unit_test(losses),
		cmocka_unit_test(scripts_have_their_keys),
		cmocka_unit_test(older_forms),
		cmocka_unit_test(payloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
