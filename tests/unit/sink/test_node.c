/* One node: its greeting, what happens to units when the connection goes, what can be called back, what is no reply. */
#include "sink/node.h"
#include "sink_bench.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNITS 16

struct bench {
	struct sink_bench target; /* its sink is not used */
	struct credentials credentials;
	struct node *node;
	struct unit units[UNITS];
	unsigned ready, lost, answered;
	struct error error;
	char answers[512]; /* position of each unit answered, '-' and the text for errors */
	char greetings[1024];
	const char *greeting_reply, *greeting_at;
	int greeting_times;
};

static void on_ready(void *owner, struct node *node)
{
	(void)node;
	((struct bench *)owner)->ready++;
}

static void on_lost(void *owner, struct node *node, const struct error *error)
{
	struct bench *bench = owner;

	(void)node;
	bench->lost++;
	bench->error = *error;
}

static void on_answered(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer)
{
	struct bench *bench = owner;
	size_t used = strlen(bench->answers);

	(void)node;
	bench->answered++;
	snprintf(bench->answers + used, sizeof(bench->answers) - used, "%llu%s%.8s ", (unsigned long long)unit->start,
		 answer->error ? "-" : "", answer->error ? answer->error : "");
}

static const struct node_events callbacks = {on_ready, on_lost, on_answered, NULL};

static const char *greeting(void *owner, const struct fake_command *command)
{
	struct bench *bench = owner;
	size_t used = strlen(bench->greetings);

	snprintf(bench->greetings + used, sizeof(bench->greetings) - used, "%s|", command->text);
	if (bench->greeting_times == 0 || !bench->greeting_at || !strstr(command->text, bench->greeting_at))
		return NULL;
	bench->greeting_times--;
	return bench->greeting_reply;
}

static void open_bench(struct bench *bench)
{
	*bench = (struct bench){0};
	sink_bench_open(&bench->target, 0);
	bench->target.fakes[0].owner = bench;
	bench->target.fakes[0].greeting = greeting;
}

static void start(struct bench *bench)
{
	struct node_options options = {.loop = bench->target.loop,
				       .credentials = &bench->credentials,
				       .name = "keyferry:test",
				       .connect_timeout_ms = 2000};

	bench->node = node_new(&bench->target.fakes[0].endpoint, &options, &callbacks, bench);
	node_connect(bench->node);
}

static void close_bench(struct bench *bench)
{
	node_free(bench->node);
	sink_bench_close(&bench->target);
}

#define wait_for(bench, condition)                                                                                               \
	do {                                                                                                                     \
		uint64_t deadline_ = clock_monotonic_us() + 120000000;                                                           \
		while (!(condition)) {                                                                                           \
			bench_turn(&(bench)->target);                                                                            \
			if (clock_monotonic_us() > deadline_)                                                                    \
				fail_msg("waited in vain for: %s", #condition);                                                  \
		}                                                                                                                \
	} while (0)

static struct unit *unit_of(struct bench *bench, int at, struct slice bytes)
{
	struct unit *unit = &bench->units[at];

	*unit = (struct unit){.start = (uint64_t)at,
			      .end = (uint64_t)at + 1,
			      .pieces = unit->inline_pieces,
			      .piece_count = 1,
			      .size = bytes.len,
			      .replies = 1};
	unit->pieces[0] = bytes;
	return unit;
}

static void enqueue(struct bench *bench, int at, const char *words)
{
	node_enqueue(bench->node, unit_of(bench, at, bench_raw(&bench->target, words)));
}

static void test_greeting(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench);
	start(&bench);
	wait_for(&bench, bench.ready == 1);
	assert_string_equal(bench.greetings, "CLIENT SETNAME keyferry:test|CLIENT ID|");
	/* the connection before is killed: what it had sent must not run behind what comes now */
	bench.greetings[0] = '\0';
	fake_hang_up(&bench.target.fakes[0]);
	wait_for(&bench, bench.ready == 2);
	assert_string_equal(bench.greetings, "CLIENT SETNAME keyferry:test|CLIENT KILL ID 1001|CLIENT ID|");
	assert_int_equal(bench.lost, 1);
	close_bench(&bench);
}

static void test_login(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench);
	bench.credentials = (struct credentials){.username = (char *)"ferry", .password = (char *)"secret"};
	bench.greeting_at = "AUTH";
	bench.greeting_reply = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
	bench.greeting_times = 1;
	start(&bench);
	wait_for(&bench, bench.lost == 1);
	assert_int_equal(bench.error.kind, ERROR_TARGET);
	assert_non_null(strstr(bench.error.text, "WRONGPASS"));
	assert_null(strstr(bench.error.text, "secret"));
	wait_for(&bench, bench.ready == 1); /* tried again */
	assert_int_equal(strncmp(bench.greetings, "AUTH ferry secret|", 18), 0);
	close_bench(&bench);
}

/* Servers that answer everybody so are told by what they said, and tried again; odd ones that know no CLIENT are taken as
 * they are. */
static void test_servers_that_refuse(void **state)
{
	static const char *const texts[] = {"LOADING Redis is loading the dataset in memory",
					    "BUSY Redis is busy running a script",
					    "NOAUTH Authentication required.",
					    "DENIED Redis is running in protected mode",
					    "ERR max number of clients reached",
					    "MASTERDOWN Link with MASTER is down"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bench bench;
		char *reply = memory_printf("-%s\r\n", texts[i]);

		open_bench(&bench);
		bench.greeting_at = "CLIENT";
		bench.greeting_reply = reply;
		bench.greeting_times = 1;
		start(&bench);
		wait_for(&bench, bench.lost == 1);
		assert_int_equal(bench.ready, 0);
		assert_non_null(strstr(bench.error.text, texts[i]));
		bench.greeting_times = 0;
		wait_for(&bench, bench.ready == 1);
		close_bench(&bench);
		free(reply);
	}
	struct bench bench;

	open_bench(&bench);
	bench.greeting_at = "CLIENT";
	bench.greeting_reply = "-ERR unknown command 'CLIENT'\r\n";
	bench.greeting_times = 100;
	start(&bench);
	wait_for(&bench, bench.ready == 1);
	fake_hang_up(&bench.target.fakes[0]);
	wait_for(&bench, bench.ready == 2);
	assert_null(strstr(bench.greetings, "KILL"));
	close_bench(&bench);
}

static const char *swallow(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	(void)owner;
	(void)fake;
	return strcmp(command->text, "SET silent 1") == 0 ? FAKE_SILENT : NULL;
}

/* All come back, oldest first; those that may have arrived are marked. */
static void test_units_come_back(void **state)
{
	struct bench bench;
	struct unit_list list;
	struct unit *unit;
	uint32_t sent;

	(void)state;
	open_bench(&bench);
	bench.target.fakes[0].decide = swallow;
	start(&bench);
	wait_for(&bench, node_ready(bench.node));
	enqueue(&bench, 0, "SET a 1");
	enqueue(&bench, 1, "SET silent 1");
	enqueue(&bench, 2, "SET c 1");
	node_flush(bench.node);
	wait_for(&bench, bench.answered == 1);
	enqueue(&bench, 3, "SET d 1");
	assert_true(node_has_units(bench.node));
	fake_hang_up(&bench.target.fakes[0]);
	wait_for(&bench, bench.lost == 1);
	list = node_take_units(bench.node, &sent);
	for (int i = 1; i <= 3; i++) {
		unit = unit_list_take(&list);
		assert_ptr_equal(unit, &bench.units[i]);
		assert_int_equal(unit->flags & UNIT_RESENT, i < 3 ? UNIT_RESENT : 0);
	}
	assert_null(unit_list_take(&list));
	assert_false(node_has_units(bench.node));
	assert_string_equal(bench.answers, "0 ");
	close_bench(&bench);
}

static bool odd(void *owner, const struct unit *unit)
{
	(void)owner;
	return unit->start % 2 == 1;
}

static bool all(void *owner, const struct unit *unit)
{
	(void)owner;
	(void)unit;
	return true;
}

/* What is not written can be called back; what is half written cannot, and comes whole. */
static void test_divert(void **state)
{
	size_t len = 24 << 20;
	char *bytes = memory_alloc(len + 64);
	struct unit_list out = {0};
	struct bench bench;
	size_t at;

	(void)state;
	memset(bytes, 'v', len + 64);
	at = (size_t)sprintf(bytes, "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%zu\r\n", len);
	bytes[at] = 'v';
	memcpy(bytes + at + len, "\r\n", 2);
	open_bench(&bench);
	start(&bench);
	wait_for(&bench, node_ready(bench.node));
	fake_freeze(&bench.target.fakes[0], true);
	node_enqueue(bench.node, unit_of(&bench, 0, slice_make(bytes, at + len + 2)));
	for (int i = 1; i < 6; i++)
		enqueue(&bench, i, "SET k 1");
	node_flush(bench.node);
	bench_pass(&bench.target, 20);
	node_divert(bench.node, odd, NULL, &out);
	for (int i = 1; i < 6; i += 2)
		assert_ptr_equal(unit_list_take(&out), &bench.units[i]);
	assert_null(unit_list_take(&out));
	node_divert(bench.node, all, NULL, &out);
	assert_ptr_equal(unit_list_take(&out), &bench.units[2]);
	assert_ptr_equal(unit_list_take(&out), &bench.units[4]);
	assert_null(unit_list_take(&out));
	fake_freeze(&bench.target.fakes[0], false);
	wait_for(&bench, bench.answered == 1);
	enqueue(&bench, 7, "SET last 1");
	node_flush(bench.node);
	wait_for(&bench, bench.answered == 2);
	assert_string_equal(bench.answers, "0 7 ");
	assert_int_equal(bench.target.fakes[0].executed_count, 2);
	free(bytes);
	close_bench(&bench);
}

static const char *two_answers(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	(void)owner;
	(void)fake;
	return strcmp(command->text, "SET two 1") == 0   ? "+OK\r\n+AND\r\n"
	       : strcmp(command->text, "SET odd 1") == 0 ? "what?\r\n"
							 : NULL;
}

static void test_answers_that_are_none(void **state)
{
	struct bench bench;
	uint32_t sent;

	(void)state;
	open_bench(&bench);
	bench.target.fakes[0].decide = two_answers;
	start(&bench);
	wait_for(&bench, node_ready(bench.node));
	enqueue(&bench, 0, "SET two 1");
	node_flush(bench.node);
	wait_for(&bench, bench.lost == 1);
	assert_non_null(strstr(bench.error.text, "nothing was asked for: AND"));
	wait_for(&bench, node_ready(bench.node));
	enqueue(&bench, 1, "SET odd 1");
	node_flush(bench.node);
	wait_for(&bench, bench.lost == 2);
	assert_non_null(strstr(bench.error.text, "no reply"));
	node_take_units(bench.node, &sent);
	close_bench(&bench);
}

/* ASKING goes in front of its unit alone. */
static const char *record_asking(void *owner, struct fake_target *fake, const struct fake_command *command)
{
	struct bench *bench = owner;
	size_t used = strlen(bench->greetings);

	(void)fake;
	snprintf(bench->greetings + used, sizeof(bench->greetings) - used, "%s%s|", command->asking ? "!" : "", command->text);
	return NULL;
}

static void test_asking(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench);
	start(&bench);
	wait_for(&bench, node_ready(bench.node));
	bench.target.fakes[0].decide = record_asking;
	bench.greetings[0] = '\0';
	enqueue(&bench, 0, "SET a 1");
	enqueue(&bench, 1, "SET b 1");
	bench.units[1].flags = UNIT_ASKING;
	enqueue(&bench, 2, "SET c 1");
	node_flush(bench.node);
	wait_for(&bench, bench.answered == 3);
	assert_string_equal(bench.greetings, "SELECT 0|SET a 1|!SET b 1|SET c 1|");
	assert_string_equal(bench.answers, "0 1 2 ");
	close_bench(&bench);
}

/* Tried again and again while nobody listens, and at last there. */
static void test_nobody_listens(void **state)
{
	struct bench bench;

	(void)state;
	open_bench(&bench);
	fake_stop(&bench.target.fakes[0]);
	start(&bench);
	wait_for(&bench, bench.lost >= 3);
	assert_false(node_ready(bench.node));
	assert_non_null(strstr(bench.error.text, "refused"));
	fake_start(&bench.target.fakes[0], bench.target.loop);
	wait_for(&bench, bench.ready == 1);
	close_bench(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_servers_that_refuse),
		cmocka_unit_test(test_units_come_back),
		cmocka_unit_test(test_divert),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_asking),
		cmocka_unit_test(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
