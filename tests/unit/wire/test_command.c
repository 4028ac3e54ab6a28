#include "wire/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 24

/* "SET a 1" to arguments; '' is an empty one. */
static uint32_t split(const char *text, struct slice argv[ARGUMENTS_MAX])
{
	uint32_t argc = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		assert_true(argc < ARGUMENTS_MAX);
		argv[argc++] = len == 2 && strncmp(text, "''", 2) == 0 ? SLICE("") : slice_make(text, len);
		text += len + (text[len] == ' ');
	}
	return argc;
}

static const struct command_info *find(const char *text)
{
	struct slice argv[ARGUMENTS_MAX];

	return command_lookup(split(text, argv), argv);
}

struct keys {
	const struct slice *argv;
	char text[256]; /* the keys, one blank between two */
	uint32_t first;
};

static void take_key(void *owner, uint32_t index)
{
	struct keys *keys = owner;
	size_t at = strlen(keys->text);

	if (keys->first == 0)
		keys->first = index;
	snprintf(keys->text + at, sizeof(keys->text) - at, "%s%.*s", at ? " " : "", (int)keys->argv[index].len,
		 (const char *)keys->argv[index].data);
}

static void assert_keys(const char *command, int count, const char *expected)
{
	struct slice argv[ARGUMENTS_MAX];
	uint32_t argc = split(command, argv);
	const struct command_info *info = command_lookup(argc, argv);
	struct keys keys = {.argv = argv};

	if (!info)
		fail_msg("%s is not in the table", command);
	if (command_keys(info, argc, argv, take_key, &keys) != count || strcmp(keys.text, expected) != 0)
		fail_msg("%s: keys are '%s', not '%s'", command, keys.text, expected);
	assert_int_equal(command_keys(info, argc, argv, NULL, NULL), count);
	assert_int_equal(command_first_key(info, argc, argv), keys.first);
}

/* What COMMAND GETKEYS answered on Redis 7.0.15, Redis 8.0.6 and Valkey 9.1.2 (where they differ: the newest). */
static const struct {
	const char *command;
	const char *keys;
} getkeys[] = {
	{"EVALSHA_RO s 1 k v", "k"},
	{"EVAL s 2 a b c", "a b"},
	{"FCALL f 1 k a", "k"},
	{"ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b"},
	{"ZINTERSTORE d 1 a", "d a"},
	{"ZDIFFSTORE d 2 a b", "d a b"},
	{"ZUNION 2 a b", "a b"},
	{"ZINTERCARD 2 a b LIMIT 1", "a b"},
	{"SINTERCARD 1 a", "a"},
	{"LMPOP 2 a b LEFT", "a b"},
	{"ZMPOP 1 a MIN", "a"},
	{"BLMPOP 0 2 a b LEFT COUNT 2", "a b"},
	{"BZMPOP 0 1 a MIN", "a"},
	{"SORT a", "a"},
	{"SORT a BY w_* LIMIT 0 1 GET # STORE d", "a d"},
	{"SORT a STORE d STORE e", "a e"},
	{"SORT a STORE", "a"},
	{"SORT a BY store GET store", "a"},
	{"SORT_RO a BY w_*", "a"},
	{"GEORADIUS g 1 2 3 km", "g"},
	{"GEORADIUS g 1 2 3 km STORE d", "g d"},
	{"GEORADIUS g 1 2 3 km COUNT 3 STOREDIST d", "g d"},
	{"GEORADIUSBYMEMBER g m 3 km STORE d", "g d"},
	{"GEORADIUSBYMEMBER g m 3 km STORE d STOREDIST e", "g e"},
	{"GEORADIUS_RO g 1 2 3 km", "g"},
	{"MIGRATE h 1 k 0 10", "k"},
	{"MIGRATE h 1 k 0 10 COPY REPLACE", "k"},
	{"MIGRATE h 1 '' 0 10 KEYS a b", "a b"},
	{"MIGRATE h 1 '' 0 10 AUTH keys KEYS a b", "a b"},
	{"MIGRATE h 1 '' 0 10 REPLACE AUTH2 u keys KEYS a", "a"},
	{"XREAD STREAMS a b 0 0", "a b"},
	{"XREAD COUNT 2 BLOCK 0 STREAMS a 0", "a"},
	{"XREADGROUP GROUP streams streams COUNT 1 NOACK STREAMS a b > >", "a b"},
	{"BITOP AND d a b", "d a b"},
	{"BITOP NOT d a", "d a"},
	{"PFMERGE d a b", "d a b"},
	{"COPY a b DB 1 REPLACE", "a b"},
	{"LMOVE a b LEFT RIGHT", "a b"},
	{"BLMOVE a b LEFT RIGHT 0", "a b"},
	{"RENAME a b", "a b"},
	{"SMOVE a b m", "a b"},
	{"RPOPLPUSH a b", "a b"},
	{"MSET a 1 b 2", "a b"},
	{"MSETNX a 1", "a"},
	{"DEL a b c", "a b c"},
	{"BLPOP a b 0", "a b"},
	{"OBJECT ENCODING a", "a"},
	{"MEMORY USAGE a", "a"},
	{"XGROUP CREATE s g $ MKSTREAM", "s"},
	{"XINFO STREAM s", "s"},
	{"GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m", "d s"},
	{"ZRANGESTORE d s 0 1", "d s"},
	{"SINTERSTORE d a b", "d a b"},
	{"HSETEX h EX 10 FIELDS 1 f v", "h"},
	{"HPEXPIREAT h 1 FIELDS 1 f", "h"},
	{"HGETDEL h FIELDS 1 f", "h"},
	{"SET k v EX 10", "k"},
	{"GET k", "k"},
	{"PFCOUNT a b", "a b"},
	{"PFDEBUG GETREG k", "k"},
	{"WATCH a b", "a b"},
	{"MSETEX 2 a 1 b 2 EX 10", "a b"},
	{"DELIFEQ k v", "k"},
	{"VADD v VALUES 2 1 1 e", "v"},
	{"LCS a b LEN", "a b"},
	/* GETKEYS knows no keys here, COMMAND INFO says 1: the shard channel goes to a slot like a key */
	{"SPUBLISH c m", "c"},
};

static void keys_as_servers_see_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(getkeys) / sizeof(getkeys[0]); i++) {
		int count = 1;

		for (const char *blank = getkeys[i].keys; (blank = strchr(blank, ' ')) != NULL; blank++)
			count++;
		assert_keys(getkeys[i].command, count, getkeys[i].keys);
	}
}

static void commands_without_keys(void **state)
{
	static const char *const commands[] = {
		"EVAL return 0 0",          "FCALL f 0",  "PUBLISH c m", "FLUSHALL",      "FLUSHDB ASYNC", "SCRIPT LOAD s",
		"FUNCTION LOAD c",          "SWAPDB 0 1", "OBJECT HELP", "MEMORY DOCTOR", "XGROUP HELP",   "MULTI",
		"MIGRATE h 1 '' 0 10 KEYS", "COMMAND",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_keys(commands[i], 0, "");
}

/* Each of these fails at a server, by its arity, syntax or number of keys. */
static void senseless_arguments(void **state)
{
	static const char *const commands[] = {
		"GET",
		"GET a b",
		"DEL",
		"XGROUP",
		"MSET a 1 b",
		"MSET a",
		"EVAL s 3 a b",
		"EVAL s -1 a",
		"EVAL s x a",
		"ZUNIONSTORE d 0 a",
		"ZUNIONSTORE d 3 a b",
		"ZUNIONSTORE d 18446744073709551617 a",
		"ZUNION 2 a",
		"XREAD STREAMS a b 0",
		"XREAD COUNT 2 BLOCK 0",
		"XREAD BAD STREAMS a 0",
		"XREAD BLOCK 0 COUNT STREAMS",
		"SDIFFSTORE d",
		"MSETEX 3 a 1 b 2",
		"MSETEX 0 a 1",
		"BLPOP a",
		"SINTERCARD 99999999999 a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_keys(commands[i], -1, "");
}

static void lookup(void **state)
{
	const struct command_info *info = find("xGrOuP cReAtE s g $");

	(void)state;
	assert_non_null(info);
	assert_string_equal(info->name, "xgroup create");
	assert_int_equal(info->arity, -5);
	assert_int_equal(info->redis_since, 0x050000);
	assert_int_equal(info->valkey_since, 0x070200);
	assert_true(info->flags & COMMAND_WRITE);

	assert_string_equal(find("RESTORE-ASKING k 0 v")->name, "restore-asking");
	assert_string_equal(find("Command COUNT")->name, "command count");
	assert_string_equal(find("COMMAND")->name, "command");
	assert_string_equal(find("GET xgroup")->name, "get");
	assert_null(find("XGROUP NOSUCH s"));
	assert_null(find("XGROUP ''"));
	assert_null(find("NOSUCH"));
	assert_null(find("''"));
	assert_null(find("ge"));
	assert_null(find("gett"));
	assert_null(command_lookup(0, NULL));
	/* a sub-command is no command, and bit 5 makes no letter of another byte */
	assert_null(command_lookup(1, (struct slice[]){SLICE("xgroup create")}));
	assert_null(command_lookup(1, (struct slice[]){SLICE("xgroup|create")}));
	assert_null(find("EVAL\x7fRO s 0"));
	assert_null(find("RESTORE\rASKING k 0 v"));
	/* new ones are where they belong */
	assert_int_equal(find("HSETEX h FIELDS 1 f v")->redis_since, 0x080000);
	assert_int_equal(find("HSETEX h FIELDS 1 f v")->valkey_since, 0x090000);
	assert_int_equal(find("DELIFEQ k v")->redis_since, 0);
	assert_int_equal(find("VADD k VALUES 1 1 e")->valkey_since, 0);
}

struct expectation {
	const char *command;
	bool safe;
};

static void replay_safety(void **state)
{
	static const struct expectation expected[] = {
		{"SET k v", true},
		{"set k v PXAT 1", true},
		{"SET k v EXAT 1", true},
		{"SET k v NX", true},
		{"SET k v XX", true},
		{"SET k v EX 1", false},
		{"SET k v PX 1", false},
		{"SET k v KEEPTTL", false},
		{"SET k v GET", false},
		{"SET k v IFEQ x", false},
		{"SET k v NX PXAT 1", false},
		{"SET k", false},
		{"ZADD k 1 m", true},
		{"ZADD k CH 1 m", true},
		{"ZADD k GT CH 1 m", true},
		{"ZADD k LT 1 m", true},
		{"ZADD k NX 1 m", true},
		{"ZADD k INCR 1 m", false},
		{"ZADD k XX 1 m", false},
		{"ZADD k GT XX 1 m", false},
		{"ZADD k CH incr 1 m", false},
		{"ZADD k 1 xx", true},
		{"ZADD k 1 incr", true},
		{"GEOADD k 1 2 m", true},
		{"GEOADD k NX 1 2 m", true},
		{"GEOADD k XX 1 2 m", false},
		{"RESTORE k 0 v REPLACE", true},
		{"RESTORE k 99 v REPLACE ABSTTL", true},
		{"RESTORE k 99 v ABSTTL FREQ 3 REPLACE", true},
		{"RESTORE k 99 v REPLACE", false},
		{"RESTORE k 0 v", false},
		{"RESTORE k 0 v REPLACE NEW", false},
		{"MSET a 1", true},
		{"DEL a", true},
		{"UNLINK a", true},
		{"HSET h f v", true},
		{"SADD s m", true},
		{"SETBIT k 1 1", true},
		{"INCR k", false},
		{"APPEND k v", false},
		{"LPUSH l v", false},
		{"LPOP l", false},
		{"XADD s 1-1 f v", false},
		{"EVAL s 0", false},
		{"RENAME a b", false},
		{"COPY a b", false},
		{"SETEX k 1 v", false},
		{"EXPIRE k 1", false},
		{"GETSET k v", false},
		{"MSETNX a 1", false},
		{"FLUSHALL", false},
		/* these look safe and are not: docs/replay-safety.md */
		{"SREM s m", false},
		{"HDEL h f", false},
		{"ZREM z m", false},
		{"PEXPIREAT k 1", false},
		{"PERSIST k", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct slice argv[ARGUMENTS_MAX];
		uint32_t argc = split(expected[i].command, argv);

		if (command_is_replay_safe(command_lookup(argc, argv), argc, argv) != expected[i].safe)
			fail_msg("%s is taken for %s", expected[i].command, expected[i].safe ? "not safe" : "safe");
	}
}

/* Write commands without any key need to be known, one by one: nothing says which slot they belong to. */
static void keyless_write_commands(void **state)
{
	static const char *const everywhere[] = {
		"FLUSHALL",           "FLUSHDB",       "SWAPDB 0 1",   "FUNCTION LOAD c", "FUNCTION DELETE l", "FUNCTION FLUSH",
		"FUNCTION RESTORE p", "SCRIPT LOAD s", "SCRIPT FLUSH",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(everywhere) / sizeof(everywhere[0]); i++) {
		const struct command_info *info = find(everywhere[i]);

		assert_non_null(info);
		assert_true(info->flags & COMMAND_ALL_NODES);
	}
	assert_true(find("PUBLISH c m")->flags & COMMAND_ANY_NODE);
	/* the source's own house-keeping of its slots: of no concern to any node of a target */
	assert_int_equal(find("TRIMSLOTS RANGES 1 0 5")->flags & (COMMAND_ALL_NODES | COMMAND_ANY_NODE), 0);
}

static void facts(void **state)
{
	(void)state;
	assert_true(find("MSET a 1")->flags & COMMAND_SPLIT);
	assert_true(find("DEL a")->flags & COMMAND_SPLIT);
	assert_false(find("MSETNX a 1")->flags & COMMAND_SPLIT);
	assert_true(find("EVALSHA s 0")->flags & COMMAND_SCRIPT);
	assert_true(find("SETEX k 1 v")->flags & COMMAND_RELATIVE_EXPIRY);
	assert_false(find("PEXPIREAT k 1")->flags & COMMAND_RELATIVE_EXPIRY);
	assert_true(find("MOVE k 1")->flags & COMMAND_OTHER_DATABASE);
	assert_true(find("SORT a")->flags & COMMAND_MOVABLE_KEYS);
	assert_true(find("LPUSH l a")->flags & COMMAND_DENYOOM);
	assert_false(find("LPOP l")->flags & COMMAND_DENYOOM);
}

static void learned_commands(void **state)
{
	struct command_table *table = command_table_new();
	struct slice argv[ARGUMENTS_MAX];
	uint32_t argc = split("My.Command a k1 k2", argv);
	const struct command_info *info;
	struct keys keys = {.argv = argv};

	(void)state;
	assert_null(command_table_lookup(table, argc, argv));
	assert_null(command_table_lookup(NULL, argc, argv));
	info = command_table_learn(table, SLICE("MY.COMMAND"), -3, true, false, (struct command_keys){2, -1, 1});
	assert_ptr_equal(command_table_lookup(table, argc, argv), info);
	assert_string_equal(info->name, "my.command");
	assert_int_equal(info->flags, COMMAND_LEARNED | COMMAND_WRITE);
	assert_int_equal(command_keys(info, argc, argv, take_key, &keys), 2);
	assert_string_equal(keys.text, "k1 k2");
	assert_false(command_is_replay_safe(info, argc, argv));

	/* told again: the same row, now with keys that cannot be told */
	assert_ptr_equal(command_table_learn(table, SLICE("my.command"), -3, false, true, (struct command_keys){2, -1, 1}), info);
	assert_int_equal(info->flags, COMMAND_LEARNED | COMMAND_MOVABLE_KEYS);
	assert_int_equal(command_keys(info, argc, argv, NULL, NULL), -1);
	assert_int_equal(command_first_key(info, argc, argv), 0);

	/* the built-in table comes first; sub-commands are found before their container */
	command_table_learn(table, SLICE("set"), 1, true, false, (struct command_keys){0});
	argc = split("SET k v", argv);
	assert_ptr_equal(command_table_lookup(table, argc, argv), command_lookup(argc, argv));
	command_table_learn(table, SLICE("xgroup nosuch"), 3, true, false, (struct command_keys){2, 2, 1});
	argc = split("XGROUP NoSuch k", argv);
	info = command_table_lookup(table, argc, argv);
	assert_non_null(info);
	assert_int_equal(command_first_key(info, argc, argv), 2);
	assert_null(command_table_lookup(table, 1, (struct slice[]){SLICE("xgroup nosuch")}));

	assert_null(command_table_learn(table, SLICE(""), 1, true, false, (struct command_keys){0}));
	for (int i = 0; i < COMMAND_LEARNED_MAX - 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many.%d", i);
		assert_non_null(command_table_learn(table, slice_of_string(name), 1, true, false, (struct command_keys){0}));
	}
	assert_null(command_table_learn(table, SLICE("one.more"), 1, true, false, (struct command_keys){0}));
	assert_non_null(command_table_learn(table, SLICE("many.7"), 2, true, false, (struct command_keys){0}));
	command_table_free(table);
	command_table_free(NULL);
}

/* Key positions that a module claims are not trusted to lie inside the command. */
static void learned_nonsense(void **state)
{
	static const struct command_keys claims[] = {{1, 9, 1},  {3, 1, 1},  {1, -9, 1},       {1, 1, 0},
						     {-1, 1, 1}, {1, 2, -1}, {32767, 32767, 1}};
	struct command_table *table = command_table_new();
	struct slice argv[ARGUMENTS_MAX];
	uint32_t argc = split("odd a b", argv);

	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		int arity = i % 2 ? 99999 : -99999;
		const struct command_info *info = command_table_learn(table, SLICE("odd"), arity, true, false, claims[i]);

		assert_non_null(info);
		assert_int_equal(command_keys(info, argc, argv, NULL, NULL), -1);
		info = command_table_learn(table, SLICE("odd"), -1, true, false, claims[i]);
		assert_int_equal(command_keys(info, argc, argv, NULL, NULL), -1);
	}
	command_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_as_servers_see_them),
		cmocka_unit_test(commands_without_keys),
		cmocka_unit_test(senseless_arguments),
		cmocka_unit_test(lookup),
		cmocka_unit_test(replay_safety),
		cmocka_unit_test(keyless_write_commands),
		cmocka_unit_test(facts),
		cmocka_unit_test(learned_commands),
		cmocka_unit_test(learned_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
