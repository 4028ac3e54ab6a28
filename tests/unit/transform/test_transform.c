#include "transform/transform.h"

#include "base/clock.h"
#include "base/memory.h"
#include "wire/command.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORDS_MAX 64

struct bench {
	struct task_options options;
	struct transform *transform;
};

static void bench_open(struct bench *bench, const char *document)
{
	struct transform_target target = {.databases = 16};
	struct error error;

	task_options_init(&bench->options);
	if (!task_options_parse(&bench->options, slice_of_string(document), "t.yaml", &error) ||
	    !transform_check(&bench->options, &error))
		fail_msg("%s", error.text);
	bench->transform = transform_new(&bench->options, &target);
}

static void bench_close(struct bench *bench)
{
	transform_free(bench->transform);
	task_options_free(&bench->options);
}

static void append(char *out, size_t cap, const char *format, ...) PRINTF_LIKE(3, 4);

static void append(char *out, size_t cap, const char *format, ...)
{
	size_t len = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + len, cap - len, format, args);
	va_end(args);
}

/* "3: SET a b; 0: DEL c" of what comes out; "same", "dropped", or "refused: why". */
static const char *outcome_text(enum transform_outcome outcome, const struct transform_output *output, const struct error *error)
{
	static char text[4096];

	text[0] = '\0';
	switch (outcome) {
	case TRANSFORM_SAME: return "same";
	case TRANSFORM_DROPPED: return "dropped";
	case TRANSFORM_CLEAR: return "clear";
	case TRANSFORM_REFUSED:
		snprintf(text, sizeof(text), "refused: %s", error->text);
		assert_int_equal(error->kind, ERROR_CONFLICT);
		assert_true(error->hint[0] != '\0');
		return text;
	case TRANSFORM_CHANGED: break;
	}
	for (uint32_t i = 0; i < output->count; i++) {
		const struct event *event = &output->events[i];

		append(text, sizeof(text), "%s%u:", i ? "; " : "", event->db);
		if (event->kind == EVENT_KEY)
			append(text, sizeof(text), " %.*s", (int)event->key.len, (const char *)event->key.data);
		for (uint32_t j = 0; event->kind == EVENT_COMMAND && j < event->argc; j++)
			append(text, sizeof(text), " %.*s", (int)event->argv[j].len, (const char *)event->argv[j].data);
	}
	return text;
}

static uint32_t words_of(char *text, struct slice *words)
{
	uint32_t count = 0;

	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		words[count++] = slice_of_string(word);
	return count;
}

static const char *command_in(struct bench *bench, uint32_t db, const char *text)
{
	struct event event = {
		.kind = EVENT_COMMAND, .db = db, .start = 100, .end = 200, .offset = 4711, .expire_at_ms = EXPIRE_NEVER};
	struct transform_output output = {0};
	struct slice words[WORDS_MAX];
	char *copy = memory_strdup(text);
	struct error error;
	uint32_t key;
	const char *result;

	event.argc = words_of(copy, words);
	event.argv = words;
	event.raw = slice_of_string(text);
	event.info = command_lookup(event.argc, words);
	key = event.info ? command_first_key(event.info, event.argc, words) : 0;
	if (key > 0)
		event.key = words[key];
	result = outcome_text(transform_event(bench->transform, &event, &output, &error), &output, &error);
	free(copy);
	return result;
}

static const char *command(struct bench *bench, const char *text)
{
	return command_in(bench, 0, text);
}

static struct event key_event(uint32_t db, const char *name, uint8_t type, int64_t expire_at_ms)
{
	return (struct event){.kind = EVENT_KEY,
			      .db = db,
			      .start = 100,
			      .end = 200,
			      .offset = EVENT_IN_SNAPSHOT,
			      .key = slice_of_string(name),
			      .type = type,
			      .expire_at_ms = expire_at_ms};
}

static const char *key(struct bench *bench, uint32_t db, const char *name, uint8_t type)
{
	struct event event = key_event(db, name, type, EXPIRE_NEVER);
	struct transform_output output = {0};
	struct error error;

	return outcome_text(transform_event(bench->transform, &event, &output, &error), &output, &error);
}

#define assert_refused(text, why) assert_non_null(strstr(text, why))

/* ---- selection ---- */

static void without_rules_all_is_the_same_but_own_keys(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "snapshot: true\n");
	assert_string_equal(command(&bench, "SET a b"), "same");
	assert_string_equal(command(&bench, "FLUSHALL"), "same");
	assert_string_equal(command(&bench, "NOSUCHCOMMAND x"), "same");
	assert_string_equal(command(&bench, "HSET keyferry:mark:{x} a b"), "dropped");
	assert_string_equal(key(&bench, 3, "keyferry:task:x", RDB_TYPE_HASH), "dropped");
	assert_string_equal(key(&bench, 3, "keyferry:mine", RDB_TYPE_HASH), "same");
	bench_close(&bench);
}

static void names_are_selected_in_every_way(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench,
		   "filter: {allow: [{prefix: [\"user:\", \"o:\"]}, {glob: \"s?ss*\"}, {regex: \"^[0-9]+$\"}, {key: exact}], "
		   "block: [{glob: \"*:tmp\"}]}\n");
	assert_string_equal(command(&bench, "SET user:1 x"), "same");
	assert_string_equal(command(&bench, "SET o:1 x"), "same");
	assert_string_equal(command(&bench, "SET sessions x"), "same");
	assert_string_equal(command(&bench, "SET 123 x"), "same");
	assert_string_equal(command(&bench, "SET 123a x"), "dropped");
	assert_string_equal(command(&bench, "SET exact x"), "same");
	assert_string_equal(command(&bench, "SET exactly x"), "dropped");
	assert_string_equal(command(&bench, "SET user:1:tmp x"), "dropped");
	assert_string_equal(key(&bench, 0, "user:1", RDB_TYPE_STRING), "0: user:1");
	assert_string_equal(key(&bench, 0, "user:tmp", RDB_TYPE_STRING), "dropped");
	/* What concerns no key is judged by rules for commands alone. */
	assert_string_equal(command(&bench, "PUBLISH channel x"), "same");
	assert_string_equal(command(&bench, "FUNCTION LOAD x"), "same");
	assert_string_equal(command(&bench, "FLUSHDB"), "clear");
	assert_refused(command(&bench, "EVAL script 0"), "names no keys");
	assert_refused(command(&bench, "NOSUCH a"), "its keys are not known");
	bench_close(&bench);
}

static void conditions_of_one_rule_hold_together(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "filter: {allow: [{prefix: \"a\", glob: \"*z\", database: [1, 3-4]}]}\n");
	assert_string_equal(command_in(&bench, 1, "SET abz x"), "same");
	assert_string_equal(command_in(&bench, 4, "SET abz x"), "same");
	assert_string_equal(command_in(&bench, 2, "SET abz x"), "dropped");
	assert_string_equal(command_in(&bench, 1, "SET ab x"), "dropped");
	assert_string_equal(command_in(&bench, 1, "SET bz x"), "dropped");
	bench_close(&bench);
}

static void commands_and_groups_concern_the_stream(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench,
		   "filter: {block: [{command: [flushall, \"function *\"]}, {group: hash, prefix: h}, {command: \"json.*\"}]}\n");
	assert_string_equal(command(&bench, "FLUSHALL"), "dropped");
	assert_string_equal(command(&bench, "flushdb"), "0: flushdb");
	assert_string_equal(command(&bench, "FUNCTION LOAD x"), "dropped");
	assert_string_equal(command(&bench, "HSET h f v"), "dropped");
	assert_string_equal(command(&bench, "HSET g f v"), "same");
	assert_string_equal(command(&bench, "JSON.SET k . 1"), "dropped");
	assert_string_equal(command(&bench, "SET flushall x"), "same");
	assert_string_equal(key(&bench, 0, "h", RDB_TYPE_HASH), "0: h");
	bench_close(&bench);
	bench_open(&bench, "filter: {allow: [{command: set}]}\n");
	assert_string_equal(command(&bench, "SET a b"), "same");
	assert_string_equal(command(&bench, "DEL a"), "dropped");
	assert_string_equal(command(&bench, "PUBLISH a b"), "dropped");
	assert_string_equal(key(&bench, 0, "h", RDB_TYPE_HASH), "0: h");
	bench_close(&bench);
}

static void types_and_slots(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "filter: {allow: [{type: [hash, list]}]}\n");
	assert_string_equal(key(&bench, 0, "k", RDB_TYPE_HASH_LISTPACK_EX), "0: k");
	assert_string_equal(key(&bench, 0, "k", RDB_TYPE_VALKEY_HASH_2), "0: k");
	assert_string_equal(key(&bench, 0, "k", RDB_TYPE_SET), "dropped");
	assert_string_equal(command(&bench, "HSET k f v"), "same");
	assert_string_equal(command(&bench, "SADD k f"), "dropped");
	assert_string_equal(command(&bench, "DEL k l"), "same");
	assert_string_equal(command(&bench, "PEXPIREAT k 1"), "same");
	/* A hash that is overwritten by a string is gone at the target too. */
	assert_string_equal(command(&bench, "SET k v"), "0: DEL k");
	assert_string_equal(command(&bench, "MSET k v l v"), "0: DEL k l");
	assert_string_equal(command(&bench, "SUNIONSTORE k a b"), "0: DEL k");
	assert_string_equal(command(&bench, "INCR k"), "dropped");
	assert_refused(command(&bench, "SORT k STORE l"), "depends on a value's type");
	/* The target decides, by what it has. */
	assert_non_null(strstr(command(&bench, "RENAME k l"), " 2 k l MOVE 0 0 ,list,hash, ,list,hash, REPLACE"));
	assert_non_null(strstr(command(&bench, "COPY k l DB 3"), " 2 k l COPY 0 3 ,list,hash, ,list,hash, "));
	assert_non_null(strstr(command_in(&bench, 2, "MOVE k 3"), "2: EVAL"));
	assert_string_equal(command(&bench, "FLUSHDB"), "clear");
	bench_close(&bench);
	bench_open(&bench, "filter: {allow: [{prefix: a, type: hash}, {prefix: b}]}\n");
	assert_refused(command(&bench, "RENAME a1 b1"), "selected under the new name and not under the old");
	assert_non_null(strstr(command(&bench, "RENAME b1 a1"), ",string,list,set,zset,hash,stream,module, ,hash, REPLACE"));
	assert_string_equal(command(&bench, "RENAME a1 c"), "0: DEL a1");
	bench_close(&bench);
	/* slot of "foo" is 12182, of "bar" 5061 */
	bench_open(&bench, "filter: {block: [{slot: 12182}]}\n");
	assert_string_equal(command(&bench, "SET foo v"), "dropped");
	assert_string_equal(command(&bench, "SET bar v"), "same");
	assert_string_equal(command(&bench, "DEL {foo}1 bar"), "0: DEL bar");
	bench_close(&bench);
}

static void commands_are_cut_down_to_what_is_selected(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "filter: {allow: [{prefix: a}]}\n");
	assert_string_equal(command(&bench, "DEL a1 b1 a2"), "0: DEL a1 a2");
	assert_string_equal(command(&bench, "MSET a1 1 b1 2 a2 3"), "0: MSET a1 1 a2 3");
	assert_string_equal(command(&bench, "MSETNX b1 1 a1 2"), "0: MSETNX a1 2");
	assert_string_equal(command(&bench, "UNLINK b1 b2"), "dropped");
	assert_string_equal(command(&bench, "SMOVE a1 b1 m"), "0: SREM a1 m");
	assert_string_equal(command(&bench, "SMOVE b1 a1 m"), "0: SADD a1 m");
	assert_string_equal(command(&bench, "RPOPLPUSH a1 b1"), "0: RPOP a1");
	assert_string_equal(command(&bench, "LMOVE a1 b1 LEFT RIGHT"), "0: LPOP a1");
	assert_refused(command(&bench, "LMOVE b1 a1 LEFT RIGHT"), "what it takes from one that is not");
	assert_string_equal(command(&bench, "RENAME a1 b1"), "0: DEL a1");
	assert_refused(command(&bench, "RENAME b1 a1"), "offset 4711");
	assert_string_equal(command(&bench, "SUNIONSTORE b1 a1 a2"), "dropped");
	assert_refused(command(&bench, "SUNIONSTORE a1 a2 b1"), "what it takes from one that is not");
	assert_string_equal(command(&bench, "ZUNIONSTORE a1 2 a2 a3"), "same");
	assert_string_equal(command(&bench, "SORT a1 STORE b1"), "dropped");
	assert_refused(command(&bench, "SORT a1 BY w_* STORE a2"), "named by the data");
	assert_string_equal(command(&bench, "COPY a1 b1"), "dropped");
	assert_refused(command(&bench, "COPY b1 a1"), "from where it is not selected");
	assert_string_equal(command(&bench, "EVAL s 2 a1 a2"), "same");
	assert_refused(command(&bench, "EVAL s 2 a1 b1"), "only some are selected");
	assert_string_equal(command(&bench, "EVAL s 1 b1"), "dropped");
	bench_close(&bench);
}

static void an_expression_without_end_is_refused(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "filter: {allow: [{regex: \"^(a+)+$\"}]}\n");
	assert_refused(command(&bench, "SET aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab x"), "too many steps");
	bench_close(&bench);
}

/* ---- databases ---- */

static void databases_are_selected(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "source: {databases: [0, 2]}\n");
	assert_string_equal(command_in(&bench, 2, "SET a b"), "same");
	assert_string_equal(command_in(&bench, 1, "SET a b"), "dropped");
	assert_string_equal(key(&bench, 1, "a", 0), "dropped");
	assert_string_equal(command_in(&bench, 1, "FLUSHDB"), "dropped");
	assert_string_equal(command_in(&bench, 2, "FLUSHDB ASYNC"), "2: FLUSHDB ASYNC");
	assert_string_equal(command_in(&bench, 1, "FLUSHALL"), "0: FLUSHDB; 2: FLUSHDB");
	assert_string_equal(command_in(&bench, 0, "MOVE k 2"), "0: MOVE k 2");
	assert_string_equal(command_in(&bench, 0, "MOVE k 1"), "0: DEL k");
	assert_refused(command_in(&bench, 1, "MOVE k 2"), "from where it is not selected");
	assert_string_equal(command_in(&bench, 3, "MOVE k 1"), "dropped");
	assert_string_equal(command_in(&bench, 0, "SWAPDB 1 3"), "dropped");
	assert_refused(command_in(&bench, 0, "SWAPDB 1 2"), "not the same is selected");
	assert_string_equal(command_in(&bench, 1, "FUNCTION LOAD x"), "same");
	bench_close(&bench);
}

static void databases_are_mapped(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "target: {database_map: {1: 7, 2: 5}}\n");
	assert_string_equal(command_in(&bench, 1, "SET a b"), "7: SET a b");
	assert_string_equal(command_in(&bench, 3, "SET a b"), "same");
	assert_string_equal(key(&bench, 2, "a", 0), "5: a");
	assert_string_equal(command_in(&bench, 1, "MOVE k 2"), "7: MOVE k 5");
	assert_string_equal(command_in(&bench, 1, "COPY k l DB 2 REPLACE"), "7: COPY k l DB 5 REPLACE");
	assert_refused(command_in(&bench, 1, "FLUSHDB"), "brings together"); /* 7 goes to 7 as well */
	assert_string_equal(command_in(&bench, 3, "FLUSHDB"), "3: FLUSHDB");
	bench_close(&bench);
	bench_open(&bench, "source: {databases: [1, 2]}\ntarget: {database_map: {1: 7, 2: 5}}\n");
	assert_string_equal(command_in(&bench, 1, "FLUSHDB"), "7: FLUSHDB");
	assert_string_equal(command_in(&bench, 0, "FLUSHALL"), "5: FLUSHDB; 7: FLUSHDB");
	assert_string_equal(command_in(&bench, 0, "SWAPDB 2 1"), "0: SWAPDB 5 7");
	bench_close(&bench);
	bench_open(&bench, "target: {database_map: {\"*\": 0}}\n");
	assert_string_equal(command_in(&bench, 9, "SET a b"), "0: SET a b");
	assert_string_equal(command_in(&bench, 9, "MOVE k 2"), "dropped");
	assert_string_equal(command_in(&bench, 9, "COPY k l DB 2"), "0: COPY k l");
	assert_string_equal(command_in(&bench, 9, "SWAPDB 1 2"), "dropped");
	assert_refused(command_in(&bench, 9, "FLUSHDB"), "brings together");
	assert_string_equal(command_in(&bench, 9, "FLUSHALL"), "0: FLUSHDB");
	bench_close(&bench);
}

/* ---- names ---- */

static void keys_are_renamed(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench,
		   "rename: [{match: \"^user:(?<id>.*)$\", to: \"u:${id}:$1$$\"}, {database: 3, prefix: \"\", to: \"db${db}:\"}, "
		   "{prefix: \"o:\", to: \"order:\"}]\n");
	assert_string_equal(command(&bench, "SET user:5 v"), "0: SET u:5:5$ v");
	assert_string_equal(command(&bench, "MSET user:5 o:1 o:1 user:5"), "0: MSET u:5:5$ o:1 order:1 user:5");
	assert_string_equal(command_in(&bench, 3, "DEL o:1 x"), "3: DEL db3:o:1 db3:x");
	assert_string_equal(command(&bench, "SET x v"), "same");
	assert_string_equal(key(&bench, 0, "user:5", 0), "0: u:5:5$");
	assert_string_equal(command_in(&bench, 0, "MOVE x 1"), "0: MOVE x 1");
	assert_refused(command_in(&bench, 0, "MOVE x 3"), "another name");
	assert_refused(command_in(&bench, 0, "SWAPDB 0 3"), "names by their database");
	assert_string_equal(command(&bench, "ZUNIONSTORE o:1 2 o:2 x"), "0: ZUNIONSTORE order:1 2 order:2 x");
	assert_string_equal(command(&bench, "EVAL s 1 o:2 o:3"), "0: EVAL s 1 order:2 o:3");
	assert_refused(command(&bench, "NOSUCH a"), "its keys are not known");
	bench_close(&bench);
	/* A key per database in one database. */
	bench_open(&bench, "target: {database_map: {\"*\": 0}}\nrename: [{match: \"^\", to: \"${db}/\"}]\n");
	assert_string_equal(command_in(&bench, 2, "SET a b"), "0: SET 2/a b");
	assert_string_equal(command_in(&bench, 2, "MOVE a 4"), "0: RENAME 2/a 4/a");
	assert_string_equal(key(&bench, 9, "a", 0), "0: 9/a");
	bench_close(&bench);
}

static void selection_sees_names_of_the_source(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "filter: {allow: [{prefix: a}]}\nrename: [{prefix: a, to: b}]\n");
	assert_string_equal(command(&bench, "DEL a1 b1"), "0: DEL b1");
	assert_string_equal(command(&bench, "DEL b1"), "dropped");
	bench_close(&bench);
}

/* ---- times ---- */

static int64_t number_behind(const char *text, const char *before)
{
	const char *at = strstr(text, before);

	assert_non_null(at);
	return strtoll(at + strlen(before), NULL, 10);
}

static void times_are_set_dropped_scaled(void **state)
{
	struct bench bench;
	int64_t now = clock_wall_ms(), at;
	char text[128];

	(void)state;
	bench_open(&bench, "expiry: [{prefix: d, drop: true}, {prefix: s, set: 1h}, {prefix: x, scale: 2}]\n");
	assert_string_equal(command(&bench, "SETEX d 10 v"), "0: SET d v");
	assert_string_equal(command(&bench, "SET d v PXAT 99999999999999 NX"), "0: SET d v NX");
	assert_string_equal(command(&bench, "PEXPIREAT d 99999999999999"), "dropped");
	assert_string_equal(command(&bench, "SET d v"), "same");
	assert_string_equal(command(&bench, "RESTORE d 1000 payload"), "0: RESTORE d 0 payload");
	assert_string_equal(command(&bench, "SETEX s 10 v"), "0: SETEX s 3600 v");
	/* A value that is compared with is no option, whatever it says. */
	assert_string_equal(command(&bench, "SET s v EX 10 IFEQ ex GET"), "0: SET s v EX 3600 IFEQ ex GET");
	assert_string_equal(command(&bench, "SET s v IFNE px PX 10"), "0: SET s v IFNE px PX 3600000");
	assert_string_equal(command(&bench, "SET d v ifdeq EX EX 10"), "0: SET d v ifdeq EX");
	assert_string_equal(command(&bench, "SET d v IFDNE PX KEEPTTL"), "same");
	assert_string_equal(command(&bench, "PEXPIRE s 5"), "0: PEXPIRE s 3600000");
	assert_string_equal(command(&bench, "PEXPIRE x 5000"), "0: PEXPIRE x 10000");
	assert_string_equal(command(&bench, "EXPIRE x -1"), "same");
	assert_string_equal(command(&bench, "SETEX other 10 v"), "same");
	snprintf(text, sizeof(text), "SET x v PXAT %lld", (long long)now + 100000);
	at = number_behind(command(&bench, text), "PXAT ");
	assert_in_range(at, now + 200000 - (clock_wall_ms() - now), now + 200000); /* twice what is left when it comes by */
	snprintf(text, sizeof(text), "EXPIREAT s %lld", (long long)now / 1000 + 10);
	at = number_behind(command(&bench, text), "EXPIREAT s ");
	assert_in_range(at, now / 1000 + 3599, clock_wall_ms() / 1000 + 3602);
	assert_refused(command(&bench, "MSETEX 1 x v EX 5"), "several keys");
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = {"d", "s", "x", "other"};
		struct event event = key_event(0, names[i], 0, now + 100000);
		struct transform_output output;
		struct error error;

		assert_int_equal(transform_event(bench.transform, &event, &output, &error), TRANSFORM_CHANGED);
		at = output.events[0].expire_at_ms;
		if (i == 0)
			assert_true(at == EXPIRE_NEVER);
		else
			assert_in_range(at - now,
					i == 1   ? 3600000
					: i == 2 ? 200000 - (clock_wall_ms() - now)
						 : 100000,
					i == 1   ? 3600000 + (clock_wall_ms() - now)
					: i == 2 ? 200000
						 : 100000);
	}
	bench_close(&bench);
}

/* ---- the script ---- */

static void the_script_drops_changes_splits(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench,
		   "lua:\n  memory: 1MiB\n  script: |\n"
		   "    return function(event)\n"
		   "      if event.key == 'drop' then return false end\n"
		   "      if event.key == 'keep' then return true end\n"
		   "      if event.key == 'none' then return {} end\n"
		   "      if event.key == 'change' then event.key = 'changed' event.db = 3\n"
		   "        if event.argv then event.argv[2] = 'changed' end return event end\n"
		   "      if event.key == 'split' then return {event, {db = 1, key = 'b', argv = {'SET', 'b', 7}}} end\n"
		   "      if event.key == 'loop' then while true do pcall(string.rep, 'x', 1) end end\n"
		   "      if event.key == 'grow' then local t = {} while true do t[#t + 1] = ('x'):rep(10000) .. #t end end\n"
		   "      if event.key == 'fail' then error('on purpose') end\n"
		   "      if event.key == 'files' then return io.open('/etc/passwd') end\n"
		   "      if event.key == 'multi' then event.argv[1] = 'MULTI' return event end\n"
		   "      if event.key == 'wrong' then return 5 end\n"
		   "    end\n");
	assert_string_equal(command(&bench, "SET drop v"), "dropped");
	assert_string_equal(command(&bench, "SET keep v"), "0: SET keep v");
	assert_string_equal(command(&bench, "SET none v"), "dropped");
	assert_string_equal(command(&bench, "SET change v"), "3: SET changed v");
	assert_string_equal(command(&bench, "SET split v"), "0: SET split v; 1: SET b 7");
	assert_string_equal(key(&bench, 0, "change", 0), "3: changed");
	assert_string_equal(key(&bench, 0, "split", 0), "0: split; 1: b");
	assert_refused(command(&bench, "SET loop v"), "lua.steps");
	assert_refused(command(&bench, "SET grow v"), "lua.memory");
	assert_refused(command(&bench, "SET fail v"), "lua.script:10: on purpose");
	assert_refused(command(&bench, "SET files v"), "io");
	assert_refused(command(&bench, "SET multi v"), "no script may make");
	assert_refused(command(&bench, "SET wrong v"), "returned a number");
	/* It goes on after all that. */
	assert_string_equal(command(&bench, "SET drop v"), "dropped");
	bench_close(&bench);
	/* It is shown what is cleared key by key; left as it is, it is. */
	bench_open(
		&bench,
		"filter: {allow: [{prefix: a}]}\nlua: {script: \"return function(event) if event.db == 1 then return false end end\"}\n");
	assert_string_equal(command(&bench, "FLUSHDB"), "clear");
	assert_string_equal(command_in(&bench, 1, "FLUSHDB"), "dropped");
	bench_close(&bench);
}

static void the_script_is_checked_before(void **state)
{
	static const struct {
		const char *document, *says;
	} bad[] = {
		{"lua: {script: \"return 5\"}\n", "it has to end with"},
		{"lua: {script: \"retrun\"}\n", "lua.script:1:"},
		{"lua: {script: \"while true do end\"}\n", "lua.steps"},
		{"filter: {block: [{prefix: a}, {command: flushal}]}\n",
		 "option 'filter.block[1].command': 'flushal' is the name of no command"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct task_options options;
		struct error error;

		task_options_init(&options);
		assert_true(task_options_parse(&options, slice_of_string(bad[i].document), "t.yaml", &error));
		assert_false(transform_check(&options, &error));
		assert_int_equal(error.kind, ERROR_USAGE);
		if (!strstr(error.text, bad[i].says))
			fail_msg("%s: %s", bad[i].document, error.text);
		assert_true(error.hint[0] != '\0');
		task_options_free(&options);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_all_is_the_same_but_own_keys),
		cmocka_unit_test(names_are_selected_in_every_way),
		cmocka_unit_test(conditions_of_one_rule_hold_together),
		cmocka_unit_test(commands_and_groups_concern_the_stream),
		cmocka_unit_test(types_and_slots),
		cmocka_unit_test(commands_are_cut_down_to_what_is_selected),
		cmocka_unit_test(an_expression_without_end_is_refused),
		cmocka_unit_test(databases_are_selected),
		cmocka_unit_test(databases_are_mapped),
		cmocka_unit_test(keys_are_renamed),
		cmocka_unit_test(selection_sees_names_of_the_source),
		cmocka_unit_test(times_are_set_dropped_scaled),
		cmocka_unit_test(the_script_drops_changes_splits),
		cmocka_unit_test(the_script_is_checked_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
