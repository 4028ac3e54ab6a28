/* Commands across slots, in front of a cluster of one fake that answers as the test says. */
#include "../sink/sink_bench.h"
#include "link/crossing.h"

#include "base/clock.h"
#include "base/memory.h"
#include "peer/server.h"
#include "sink/marker.h"
#include "sink/unit.h"
#include "wire/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

struct bench {
	struct sink_bench target;
	struct target_abilities abilities;
	struct crossing *crossing;
	struct event event;
	struct slice argv[WORDS_MAX];
	struct error error;
	char told[2048];
	unsigned go_ons;
	/* answers, in turn of the table: a command that begins with `text` is answered by `reply` as often as `times` says (0: for ever) */
	struct answer {
		const char *text;
		const char *reply;
		int times;
	} answers[WORDS_MAX];
	bool used[WORDS_MAX];
};

static const char *answer_to(struct bench *bench, const char *text, bool inside)
{
	for (int i = 0; i < WORDS_MAX && bench->answers[i].text; i++) {
		struct answer *answer = &bench->answers[i];
		bool queueing = answer->text[0] == '@'; /* "@DUMP": when it is queued, not when it is executed */

		if (bench->used[i] || strncmp(text, answer->text + queueing, strlen(answer->text + queueing)) != 0 ||
		    (inside && queueing))
			continue;
		if (answer->times > 0 && --answer->times == 0)
			bench->used[i] = true;
		return answer->reply;
	}
	return NULL;
}

static const char *decide(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct bench *bench = owner;

	(void)fake;
	if (!command->in_transaction)
		return answer_to(bench, command->text, false);
	for (int i = 0; i < WORDS_MAX && bench->answers[i].text; i++)
		if (bench->answers[i].text[0] == '@' && !bench->used[i])
			return strncmp(command->text, bench->answers[i].text + 1, strlen(bench->answers[i].text + 1)) == 0
				       ? answer_to(bench, command->text, false)
				       : NULL;
	return NULL;
}

static const char *member(void *owner, const char *text)
{
	return answer_to(owner, text, true);
}

static void on_note(void *owner, int level, const char *text)
{
	struct bench *bench = owner;

	(void)level;
	strncat(bench->told, text, sizeof(bench->told) - strlen(bench->told) - 2);
	strcat(bench->told, "\n");
}

static void on_go_on(void *owner)
{
	((struct bench *)owner)->go_ons++;
}

static void open_bench(struct bench *bench, uint32_t redis)
{
	memset(bench, 0, sizeof(*bench));
	sink_bench_open(&bench->target, 1);
	bench->target.fakes[0].decide = decide;
	bench->target.fakes[0].member = member;
	bench->target.fakes[0].owner = bench;
	bench->abilities = (struct target_abilities){
		.redis = redis, .restore_absolute_ttl = !redis || redis >= VERSION(5, 0, 0), .bulk_max = 1000};
}

static void start(struct bench *bench)
{
	sink_bench_start(&bench->target);
	bench->crossing =
		crossing_new(&(struct crossing_options){bench->target.loop, &bench->abilities, on_note, on_go_on, bench});
	crossing_reset(bench->crossing, bench->target.sink);
}

static void close_bench(struct bench *bench)
{
	crossing_free(bench->crossing);
	sink_bench_close(&bench->target);
}

static void set_event(struct bench *bench, const char *words)
{
	static char text[512];
	uint32_t at;

	strcpy(text, words);
	bench->event = (struct event){
		.kind = EVENT_COMMAND, .argv = bench->argv, .start = bench->target.position, .offset = EVENT_IN_SNAPSHOT};
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		bench->argv[bench->event.argc++] = slice_of_string(word);
	bench->event.info = command_lookup(bench->event.argc, bench->argv);
	assert_non_null(bench->event.info);
	at = command_first_key(bench->event.info, bench->event.argc, bench->argv);
	bench->event.key = bench->argv[at];
	bench->event.end = bench->target.position += 100;
}

static enum crossing_state turn(struct bench *bench)
{
	enum crossing_state state = crossing_go_on(bench->crossing, &bench->error);

	sink_flush(bench->target.sink);
	return state;
}

static enum crossing_state cross(struct bench *bench, const char *words)
{
	enum crossing_state state = CROSSING_WAITS;

	set_event(bench, words);
	if (!crossing_begin(bench->crossing, &bench->event, 0, false, &bench->error))
		return CROSSING_FAILED;
	bench_wait(&bench->target, (state = turn(bench)) != CROSSING_WAITS);
	assert_false(crossing_under_way(bench->crossing));
	return state;
}

static void expect(struct bench *bench, const char *expected)
{
	char *executed = fake_executed(&bench->target.fakes[0], NULL);

	assert_string_equal(executed, expected);
	free(executed);
}

#define VALUE "$5\r\nvalue\r\n"

static void test_rename(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"DUMP", VALUE, 0};
	bench.answers[1] = (struct answer){"PEXPIRETIME", ":12345\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
	expect(&bench, "0 DUMP a [tx]\n0 PEXPIRETIME a [tx]\n0 RESTORE b 12345 value REPLACE ABSTTL\n0 UNLINK a\n");
	assert_int_equal(crossing_counters(bench.crossing).commands, 1);
	assert_int_equal(crossing_counters(bench.crossing).bytes, 5);
	assert_int_equal(cross(&bench, "RENAME a c"), CROSSING_DONE);
	assert_int_equal(cross(&bench, "COPY a d"), CROSSING_DONE);
	/* once per kind */
	assert_non_null(strstr(bench.told, "rename has keys in different slots"));
	assert_null(strstr(strstr(bench.told, "rename has") + 1, "rename has"));
	assert_non_null(strstr(bench.told, "copy has keys in different slots"));
	close_bench(&bench);
}

/* Replies that arrive byte by byte, as many questions as there is room for at a time. */
static void test_many_operands_in_little_room(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench, 0);
	bench.target.options.in_flight_commands = 2;
	bench.target.fakes[0].reply_piece = 1;
	bench.answers[0] = (struct answer){"DUMP", "$5\r\n\r\n$3\n\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "SUNIONSTORE a b c d e f g h i b"), CROSSING_DONE);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE keyferry:tmp:"), 7);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "0 DUMP"), 8);
	assert_int_equal(crossing_counters(bench.crossing).bytes, 7 * 5);
	close_bench(&bench);
}

/* The position is not moved by what is done on the way. */
static void test_position(void **state)
{
	struct bench bench;
	uint64_t position;
	uint32_t db;

	(void)state;
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"DUMP", VALUE, 0};
	bench.answers[1] = (struct answer){"PEXPIRETIME", ":-1\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "COPY a b REPLACE"), CROSSING_DONE);
	sink_applied(bench.target.sink, &position, &db);
	assert_int_equal(position, 1000);
	expect(&bench, "0 DUMP a [tx]\n0 PEXPIRETIME a [tx]\n0 RESTORE b 0 value REPLACE\n");
	close_bench(&bench);
}

/* A missing key is an error of RENAME alone, and none when an earlier run may have renamed it. */
static void test_missing(void **state)
{
	struct bench bench;

	(void)state;
	for (int resent = 0; resent < 2; resent++) {
		open_bench(&bench, 0);
		bench.answers[0] = (struct answer){"DUMP", "$-1\r\n", 0};
		bench.answers[1] = (struct answer){"PEXPIRETIME", ":-2\r\n", 0};
		bench.answers[2] = (struct answer){"LINDEX", "$-1\r\n", 0};
		bench.target.options.sent_before = resent ? 1000000 : 0;
		start(&bench);
		assert_int_equal(cross(&bench, "COPY a b"), CROSSING_DONE);
		assert_int_equal(cross(&bench, "LMOVE a b LEFT LEFT"), CROSSING_DONE);
		assert_int_equal(cross(&bench, "RENAME a b"), resent ? CROSSING_DONE : CROSSING_FAILED);
		if (!resent)
			assert_non_null(strstr(bench.error.text, "RENAME of key \"a\" (database 0, "));
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE"), 0);
		close_bench(&bench);
	}
}

/* Where the target cannot tell when a key expires, PTTL is asked until two clocks around it agree. */
static void test_expiry_of_old_targets(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench, VERSION(4, 0, 0));
	bench.answers[0] = (struct answer){"DUMP", VALUE, 0};
	bench.answers[1] = (struct answer){"PTTL", ":500\r\n", 0};
	bench.answers[2] = (struct answer){"TIME", "*2\r\n$2\r\n10\r\n$6\r\n001999\r\n", 1};
	bench.answers[3] = (struct answer){"TIME", "*2\r\n$2\r\n10\r\n$4\r\n2001\r\n", 1};
	bench.answers[4] = (struct answer){"TIME", "*2\r\n$2\r\n10\r\n$4\r\n3001\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "RENAMENX a b"), CROSSING_DONE);
	expect(&bench,
	       "0 DUMP a [tx]\n0 TIME [tx]\n0 PTTL a [tx]\n0 TIME [tx]\n0 DUMP a [tx]\n0 TIME [tx]\n0 PTTL a [tx]\n0 TIME [tx]\n"
	       "0 RESTORE b 0 value REPLACE [tx]\n0 PEXPIREAT b 10503 [tx]\n0 UNLINK a\n");
	close_bench(&bench);
}

static void test_list_move(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"LINDEX", "$3\r\none\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "LMOVE a b LEFT RIGHT"), CROSSING_DONE);
	assert_int_equal(cross(&bench, "RPOPLPUSH a b"), CROSSING_DONE);
	expect(&bench, "0 LINDEX a 0\n0 RPUSH b one\n0 LPOP a\n0 LINDEX a -1\n0 LPUSH b one\n0 RPOP a\n");
	close_bench(&bench);
}

/* The slot of b, of which the most operands are, is home, and b is used as it is. */
static void test_run(void **state)
{
	char expected[1024], tag[16], *executed;
	struct bench bench;

	(void)state;
	snprintf(tag, sizeof(tag), "%s", slot_tag(slot_of_key(SLICE("b"))));
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"DUMP c", VALUE, 0};
	bench.answers[1] = (struct answer){"DUMP missing", "$-1\r\n", 0};
	bench.answers[2] = (struct answer){"DUMP keyferry:tmp:0", "$6\r\nresult\r\n", 1};
	bench.answers[3] = (struct answer){"DUMP keyferry:tmp:0", "$-1\r\n", 1};
	start(&bench);
	assert_int_equal(cross(&bench, "SUNIONSTORE a b c {b}2 missing c"), CROSSING_DONE);
	snprintf(
		expected, sizeof(expected),
		"0 UNLINK keyferry:tmp:0:{%s} keyferry:tmp:2:{%s} keyferry:tmp:4:{%s} [tx]\n0 RESTORE keyferry:tmp:2:{%s} 0 value [tx]\n"
		"0 SUNIONSTORE keyferry:tmp:0:{%s} b keyferry:tmp:2:{%s} {b}2 keyferry:tmp:4:{%s} keyferry:tmp:2:{%s} [tx]\n"
		"0 DUMP keyferry:tmp:0:{%s} [tx]\n0 UNLINK keyferry:tmp:0:{%s} keyferry:tmp:2:{%s} keyferry:tmp:4:{%s} [tx]\n"
		"0 RESTORE a 0 result REPLACE\n",
		tag, tag, tag, tag, tag, tag, tag, tag, tag, tag, tag, tag);
	executed = fake_executed(&bench.target.fakes[0], NULL);
	assert_string_equal(strstr(executed, "0 UNLINK"), expected);
	free(executed);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "DUMP c"), 1);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "DUMP missing"), 1);
	/* nothing comes out of it */
	assert_int_equal(cross(&bench, "SINTERSTORE a b c"), CROSSING_DONE);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "0 UNLINK a"), 1);
	close_bench(&bench);
}

/* What a command has left alone is not written. */
static void test_merge(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"DUMP keyferry:tmp:0", VALUE, 1};
	bench.answers[1] = (struct answer){"DUMP keyferry:tmp:0", "$5\r\nother\r\n", 1};
	bench.answers[2] = (struct answer){"DUMP", VALUE, 0};
	bench.answers[3] = (struct answer){"PEXPIRETIME", ":777\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "PFMERGE a b"), CROSSING_DONE);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE a"), 0);
	assert_int_equal(cross(&bench, "PFMERGE a b"), CROSSING_DONE);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE a 777 other REPLACE ABSTTL"), 1);
	close_bench(&bench);
}

/* A home that moves is left for another; memory that is short inside the transaction is waited for. */
static void test_another_home(void **state)
{
	static const struct answer causes[] = {
		{"@RESTORE keyferry", "-TRYAGAIN Multiple keys request during rehashing of slot\r\n", 1},
		{"@RESTORE keyferry", "-ASK 1 127.0.0.1:1\r\n", 1},
		{"RESTORE keyferry", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", 1},
	};
	struct bench bench;

	(void)state;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		open_bench(&bench, 0);
		bench.answers[0] = causes[i];
		bench.answers[1] = (struct answer){"DUMP", VALUE, 0};
		start(&bench);
		assert_int_equal(cross(&bench, "SUNIONSTORE a b c"), CROSSING_DONE);
		assert_int_equal(crossing_counters(bench.crossing).repetitions, 1);
		assert_true(bench.go_ons > 0);
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "0 DUMP c"), 2);
		/* b too has to be copied, where home is elsewhere */
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "0 DUMP b"), i < 2 ? 1 : 0);
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE a 0 value REPLACE"), 1);
		close_bench(&bench);
	}
}

/* The slot of `a` moves from one fake to the other, and `a` has gone already. */
static const char *half_moved(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	static char ask[80];
	struct bench *bench = owner;
	bool about_a = command->argc > 1 && slice_equal(command->argv[1], SLICE("a"));

	if (!about_a)
		return NULL;
	if (fake->index == 0) {
		snprintf(ask, sizeof(ask), "-ASK %u 127.0.0.1:%u\r\n", slot_of_key(SLICE("a")),
			 bench->target.fakes[1].endpoint.port);
		return ask;
	}
	snprintf(ask, sizeof(ask), "-MOVED %u 127.0.0.1:%u\r\n", slot_of_key(SLICE("a")), bench->target.fakes[0].endpoint.port);
	return command->asking ? NULL : ask;
}

static void test_key_that_has_moved_already(void **state)
{
	static const struct answer answers[] = {{"DUMP", VALUE, 0}, {"PEXPIRETIME", ":5\r\n", 0}};
	struct bench bench;

	(void)state;
	memset(&bench, 0, sizeof(bench));
	sink_bench_open(&bench.target, 2);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		bench.target.cluster.owner[slot] = 0;
		bench.target.topology.owner[slot] = 0;
	}
	for (int f = 0; f < 2; f++) {
		bench.target.fakes[f].decide = half_moved;
		bench.target.fakes[f].member = member;
		bench.target.fakes[f].owner = &bench;
	}
	memcpy(bench.answers, answers, sizeof(answers));
	bench.abilities = (struct target_abilities){.restore_absolute_ttl = true, .bulk_max = 1000};
	start(&bench);
	assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE b 5 value"), 1);
	assert_int_equal(fake_executed_count(&bench.target.fakes[1], "PEXPIRETIME a"), 1);
	assert_int_equal(fake_executed_count(&bench.target.fakes[1], "UNLINK a"), 1);
	close_bench(&bench);
}

/* A connection that is lost, before or after the command was executed, in the middle of a reply. */
static void test_lost_connections(void **state)
{
	static const char *const how[] = {FAKE_CLOSE, FAKE_CLOSE_EXECUTED, FAKE_CLOSE_IN_REPLY};
	static const char *const where[] = {"DUMP b", "@SUNIONSTORE", "RESTORE a"};
	struct bench bench;

	(void)state;
	for (int h = 0; h < 3; h++) {
		for (int w = 0; w < 3; w++) {
			if (w == 1 && h > 0) /* what is queued is not executed there */
				continue;
			open_bench(&bench, 0);
			bench.answers[0] = (struct answer){where[w], how[h], 1};
			bench.answers[1] = (struct answer){"DUMP", VALUE, 0};
			start(&bench);
			assert_int_equal(cross(&bench, "SUNIONSTORE a c b"), CROSSING_DONE);
			assert_true(fake_executed_count(&bench.target.fakes[0], "RESTORE a 0 value REPLACE") >= 1);
			assert_true(bench.target.fakes[0].connections >= 2);
			close_bench(&bench);
		}
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *words, *text, *why;
		const char *reply;
	} cases[] = {
		{"SUNIONSTORE a b c", "SUNIONSTORE", "WRONGTYPE", "-WRONGTYPE Operation against a key\r\n"},
		{"SUNIONSTORE a b c", "@SUNIONSTORE", "unknown command", "-ERR unknown command\r\n"},
		{"SUNIONSTORE a b c", "RESTORE keyferry", "Bad data format", "-ERR Bad data format\r\n"},
		{"EVAL code 2 a b", "EVAL", "non local key",
		 "-ERR Script attempted to access a non local key in a cluster node\r\n"},
		{"EVALSHA code 2 a b", "EVALSHA", "NOSCRIPT", "-NOSCRIPT No matching script\r\n"},
		{"LMOVE a b LEFT LEFT", "LINDEX", "WRONGTYPE", "-WRONGTYPE Operation against a key\r\n"},
		{"SORT a BY w_* STORE b", "", "keys that the data names", NULL},
		{"SORT a LIMIT 0 5 GET # GET v_* STORE b", "", "keys that the data names", NULL},
		{"COPY a b DB 3", "", "database 3", NULL},
	};
	struct bench bench;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_bench(&bench, 0);
		if (cases[i].reply)
			bench.answers[0] = (struct answer){cases[i].text, cases[i].reply, 0};
		bench.answers[1] = (struct answer){"DUMP", VALUE, 0};
		bench.answers[2] = (struct answer){"PEXPIRETIME", ":-1\r\n", 0};
		start(&bench);
		assert_int_equal(cross(&bench, cases[i].words), CROSSING_FAILED);
		assert_int_equal(bench.error.kind, ERROR_CONFLICT);
		assert_non_null(strstr(bench.error.text, cases[i].why));
		assert_true(bench.error.hint[0]);
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "REPLACE"), 0);
		assert_false(crossing_half_done(bench.crossing));
		/* it is as good as new */
		bench.answers[0] = (struct answer){"DUMP", VALUE, 0};
		assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
		close_bench(&bench);
	}
}

/* What an earlier run may have applied finds its keys as they became later: no reason to stop. */
static void test_refusals_of_what_was_sent_before(void **state)
{
	static const char *const commands[] = {"SUNIONSTORE a b c", "LMOVE a b LEFT LEFT"};
	struct bench bench;

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_bench(&bench, 0);
		bench.answers[0] =
			(struct answer){i == 0 ? "SUNIONSTORE" : "LINDEX", "-WRONGTYPE Operation against a key\r\n", 0};
		bench.answers[1] = (struct answer){"DUMP", VALUE, 0};
		bench.target.options.sent_before = 1000000;
		start(&bench);
		assert_int_equal(cross(&bench, commands[i]), CROSSING_DONE);
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "REPLACE"), 0);
		assert_int_equal(fake_executed_count(&bench.target.fakes[0], "PUSH"), 0);
		close_bench(&bench);
	}
}

static void test_script_errors_are_the_sources(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"EVAL", "-ERR Error running script\r\n", 0};
	bench.answers[1] = (struct answer){"DUMP keyferry:tmp:1", "$3\r\nnew\r\n", 0};
	bench.answers[2] = (struct answer){"DUMP", VALUE, 0};
	bench.answers[3] = (struct answer){"PEXPIRETIME", ":-1\r\n", 0};
	start(&bench);
	assert_int_equal(cross(&bench, "EVAL code 2 a b argument"), CROSSING_DONE);
	assert_int_equal(crossing_counters(bench.crossing).script_errors, 1);
	/* what it had written by then */
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE b 0 new REPLACE"), 1);
	assert_int_equal(fake_executed_count(&bench.target.fakes[0], "RESTORE a"), 0);
	close_bench(&bench);
}

static void test_too_large(void **state)
{
	static char reply[200000];
	struct bench bench;
	int head;

	(void)state;
	for (int i = 0; i < 2; i++) {
		size_t len = i == 0 ? 1001 : sizeof(reply) - 100; /* what fits into the buffer, what does not */

		head = snprintf(reply, sizeof(reply), "$%zu\r\n", len);
		memset(reply + head, 'x', len);
		strcpy(reply + head + len, "\r\n");
		open_bench(&bench, 0);
		bench.answers[0] = (struct answer){"DUMP", reply, 0};
		bench.answers[1] = (struct answer){"PEXPIRETIME", ":-1\r\n", 0};
		start(&bench);
		assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_FAILED);
		assert_non_null(strstr(bench.error.text, "proto-max-bulk-len"));
		close_bench(&bench);
	}
}

/* It waits for what was sent of its slots before, and for that alone. */
static void test_drain(void **state)
{
	struct bench bench;
	struct slice words[] = {SLICE("SET"), SLICE("b"), SLICE("1")};
	struct event before = {
		.kind = EVENT_COMMAND, .argc = 3, .argv = words, .start = 1000, .end = 1100, .offset = EVENT_IN_SNAPSHOT};

	(void)state;
	open_bench(&bench, 0);
	bench.answers[0] = (struct answer){"SET b 1", "-LOADING Redis is loading the dataset in memory\r\n", 3};
	bench.answers[1] = (struct answer){"DUMP", VALUE, 0};
	bench.answers[2] = (struct answer){"PEXPIRETIME", ":-1\r\n", 0};
	start(&bench);
	before.info = command_lookup(3, words);
	sink_arguments(bench.target.sink, &before, 1100, slot_of_key(words[1]), 0, 0, 3, words);
	bench.target.position = 1100;
	assert_false(sink_slot_idle(bench.target.sink, slot_of_key(words[1])));
	assert_true(sink_slot_idle(bench.target.sink, slot_of_key(SLICE("a"))));
	assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
	expect(&bench, "0 SET b 1\n0 DUMP a [tx]\n0 PEXPIRETIME a [tx]\n0 RESTORE b 0 value REPLACE\n0 UNLINK a\n");
	close_bench(&bench);
}

/* ---- with marks in the target ---- */

#define LINK "0123456789ab"
#define EPOCH "feedfacefeedface"

static const struct marker_options marker = {"t", LINK, EPOCH, "cafecafecafe", NULL, 1, "10.0.0.1:6379", NULL, 0, NULL, 0};

static void open_guarded(struct bench *bench)
{
	open_bench(bench, 0);
	bench->target.options.marker = &marker;
	bench->answers[0] = (struct answer){"DUMP", VALUE, 0};
	bench->answers[1] = (struct answer){"PEXPIRETIME", ":-1\r\n", 0};
	bench->answers[2] = (struct answer){"LINDEX", VALUE, 0};
}

static char *mark_key(const char *key, char out[64])
{
	snprintf(out, 64, MARK_PREFIX "{%s}", slot_tag(slot_of_key(slice_of_string(key))));
	return out;
}

static void expect_mark(const struct bench *bench, const char *key, int64_t offset, uint32_t number)
{
	char name[64], *text = fake_field(&bench->target.fakes[0], mark_key(key, name), LINK);
	struct mark mark = mark_parse(slice_of_string(text), EPOCH);

	assert_int_equal(mark.offset, offset);
	if (offset >= 0)
		assert_int_equal(mark.sub, number);
	free(text);
}

/* What asks goes as it is; what writes brings its slot's mark, with the number of its key. */
static void test_marks(void **state)
{
	struct bench bench;

	(void)state;
	open_guarded(&bench);
	start(&bench);
	assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
	expect(&bench, "0 DUMP a [tx]\n0 PEXPIRETIME a [tx]\n0 RESTORE b 0 value REPLACE [tx]\n0 UNLINK a [tx]\n");
	expect_mark(&bench, "a", 1000, 0);
	expect_mark(&bench, "b", 1000, 1);
	/* what follows in the same event is numbered behind it, whatever there was to write */
	assert_int_equal(sink_number(bench.target.sink, 1000), 2);
	assert_int_equal(sink_number(bench.target.sink, 1100), 0);
	close_bench(&bench);
}

static void test_nothing_to_write(void **state)
{
	struct bench bench;

	(void)state;
	open_guarded(&bench);
	bench.answers[2].reply = "$-1\r\n";
	start(&bench);
	assert_int_equal(cross(&bench, "LMOVE a b LEFT RIGHT"), CROSSING_DONE);
	expect(&bench, "0 LINDEX a 0\n");
	expect_mark(&bench, "a", -1, 0);
	assert_int_equal(sink_number(bench.target.sink, 1000), 2);
	close_bench(&bench);
}

/* A run before this one was cut off between its two writes. */
static void test_half_done_by_the_run_before(void **state)
{
	struct bench bench;
	char name[64];

	(void)state;
	open_guarded(&bench);
	fake_set_field(&bench.target.fakes[0], mark_key("b", name), LINK, EPOCH " 1000 1");
	start(&bench);
	assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
	expect(&bench, "0 DUMP a [tx]\n0 PEXPIRETIME a [tx]\n0 UNLINK a [tx]\n");
	expect_mark(&bench, "a", 1000, 0);
	close_bench(&bench);
}

static int execs;

static const char *second_unanswered(void *owner, struct fake_target *fake)
{
	(void)owner;
	(void)fake;
	return ++execs == 2 ? FAKE_CLOSE_EXECUTED : NULL;
}

static const char *first_lost(void *owner, struct fake_target *fake)
{
	(void)owner;
	(void)fake;
	return ++execs == 1 ? FAKE_CLOSE : NULL;
}

/* Executed, and the answer was lost: the mark tells. */
static void test_answer_lost(void **state)
{
	struct bench bench;

	(void)state;
	open_guarded(&bench);
	bench.target.fakes[0].exec = second_unanswered;
	execs = 0;
	start(&bench);
	assert_int_equal(cross(&bench, "LMOVE a b LEFT RIGHT"), CROSSING_DONE);
	expect(&bench, "0 LINDEX a 0\n0 RPUSH b value [tx]\n0 LPOP a [tx]\n");
	assert_int_equal(execs, 2);
	close_bench(&bench);
}

/* A question is asked again. */
static void test_question_lost(void **state)
{
	struct bench bench;

	(void)state;
	open_guarded(&bench);
	bench.target.fakes[0].exec = first_lost;
	execs = 0;
	start(&bench);
	assert_int_equal(cross(&bench, "RENAME a b"), CROSSING_DONE);
	expect(&bench, "0 DUMP a [tx]\n0 PEXPIRETIME a [tx]\n0 RESTORE b 0 value REPLACE [tx]\n0 UNLINK a [tx]\n");
	assert_int_equal(execs, 4);
	close_bench(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_many_operands_in_little_room),
		cmocka_unit_test(test_position),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_expiry_of_old_targets),
		cmocka_unit_test(test_list_move),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_another_home),
		cmocka_unit_test(test_key_that_has_moved_already),
		cmocka_unit_test(test_lost_connections),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_refusals_of_what_was_sent_before),
		cmocka_unit_test(test_script_errors_are_the_sources),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_nothing_to_write),
		cmocka_unit_test(test_half_done_by_the_run_before),
		cmocka_unit_test(test_answer_lost),
		cmocka_unit_test(test_question_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
