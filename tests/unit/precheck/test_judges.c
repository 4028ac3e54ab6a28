/* Items that judge what is hard to have on a real server in a test: clocks, full machines, floods of writes. */
#include "base/memory.h"
#include "precheck/precheck_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)

struct case_of {
	struct task_options task;
	struct precheck_options options;
	struct precheck precheck;
	struct node nodes[2]; /* a source, a target */
};

static int set_up(void **state)
{
	struct case_of *given = memory_alloc_zero(1, sizeof(*given));

	task_options_init(&given->task);
	given->task.name = memory_strdup("orders");
	given->task.data_dir = memory_strdup("/");
	given->options.task = &given->task;
	given->precheck.options = &given->options;
	given->precheck.nodes = given->nodes;
	given->precheck.node_count = 2;
	for (int i = 0; i < 2; i++)
		given->nodes[i] = (struct node){.side = i ? PRECHECK_TARGET : PRECHECK_SOURCE,
						.master = true,
						.answered = true,
						.name = "10.0.0.1:6379",
						.sampled_offset = -1};
	*state = given;
	return 0;
}

static int tear_down(void **state)
{
	struct case_of *given = *state;

	precheck_report_free(&given->precheck.report);
	task_options_free(&given->task);
	free(given);
	return 0;
}

/* The result of the item at the source or target, the last one found; its cause has to hold `words`. */
static enum precheck_result judged(struct case_of *given, const char *item, enum precheck_side side, const char *words)
{
	const struct precheck_item *row = precheck_item_find(item);
	struct subject subject = {&given->precheck, row, side, &given->nodes[side]};
	const struct finding *finding;
	char *cause;

	row->judge(&subject);
	finding = &given->precheck.report.findings[given->precheck.report.count - 1];
	cause = finding->text != TEXT_NONE ? finding_cause(&given->precheck.report, finding, LANGUAGE_EN) : NULL;
	if (words && (!cause || !strstr(cause, words)))
		fail_msg("%s: %s", item, cause ? cause : "passed");
	free(cause);
	return finding->result;
}

static void clocks(void **state)
{
	struct case_of *given = *state;
	struct node *node = &given->nodes[0];

	assert_int_equal(judged(given, "clock", PRECHECK_SOURCE, "does not tell TIME"), PRECHECK_SKIPPED);
	node->clock_known = true;
	node->clock_ahead_ms = -900;
	assert_int_equal(judged(given, "clock", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
	node->clock_ahead_ms = -3500;
	assert_int_equal(judged(given, "clock", PRECHECK_SOURCE, "differs from this machine's by 3.50 s"), PRECHECK_WARNING);
	/* A round trip of so long leaves it open. */
	node->clock_doubt_ms = 4000;
	assert_int_equal(judged(given, "clock", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
}

static void memory_for_the_fork(void **state)
{
	struct case_of *given = *state;
	struct node *node = &given->nodes[0];
	char tight[] = "used_memory_rss:6442450944\r\ntotal_system_memory:8589934592\r\n",
	     roomy[] = "used_memory_rss:1048576\r\ntotal_system_memory:8589934592\r\n";

	assert_int_equal(judged(given, "fork-memory", PRECHECK_SOURCE, "total_system_memory"), PRECHECK_SKIPPED);
	node->texts[NODE_INFO] = tight;
	assert_int_equal(judged(given, "fork-memory", PRECHECK_SOURCE, "uses 6.0 GiB of the 8.0 GiB"), PRECHECK_WARNING);
	node->texts[NODE_INFO] = roomy;
	assert_int_equal(judged(given, "fork-memory", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
}

static void backlog_against_the_rate_of_writes(void **state)
{
	struct case_of *given = *state;
	struct node *node = &given->nodes[0];
	char info[] = "repl_backlog_active:1\r\n", size[] = "1048576", large[] = "1073741824";
	const struct finding *finding;

	node->texts[NODE_INFO] = info;
	node->sampled_offset = 12 * MIB;
	node->sampled_us = 1000000;
	node->settings[SETTING_BACKLOG_SIZE] = size;
	assert_int_equal(judged(given, "repl-backlog-size", PRECHECK_SOURCE,
				"at 12.0 MiB/s the backlog of 1.0 MiB of source 10.0.0.1:6379 covers 0.08 s"),
			 PRECHECK_WARNING);
	finding = &given->precheck.report.findings[given->precheck.report.count - 1];
	assert_string_equal(finding->arguments[3], "4294967296"); /* five minutes */
	node->settings[SETTING_BACKLOG_SIZE] = large;
	assert_int_equal(judged(given, "repl-backlog-size", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
	/* CONFIG is denied, and INFO has it. */
	node->settings[SETTING_BACKLOG_SIZE] = NULL;
	assert_int_equal(judged(given, "repl-backlog-size", PRECHECK_SOURCE, "does not let repl-backlog-size be read"),
			 PRECHECK_SKIPPED);
}

static void output_buffer_against_the_snapshot(void **state)
{
	struct case_of *given = *state;
	struct node *node = &given->nodes[0];
	char info[] = "repl_backlog_active:1\r\nrdb_last_bgsave_time_sec:100\r\n",
	     usual[] = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
	     none[] = "normal 0 0 0 replica 0 0 0 pubsub 33554432 8388608 60", short_soft[] = "slave 0 67108864 60";
	const struct finding *finding;

	node->texts[NODE_INFO] = info;
	node->sampled_offset = 10 * MIB;
	node->sampled_us = 1000000;
	node->settings[SETTING_OUTPUT_BUFFER] = usual;
	assert_int_equal(judged(given, "output-buffer", PRECHECK_SOURCE, "more than 256.0 MiB wait"), PRECHECK_WARNING);
	finding = &given->precheck.report.findings[given->precheck.report.count - 1];
	assert_string_equal(finding->arguments[4], "2147483648");
	node->settings[SETTING_OUTPUT_BUFFER] = short_soft;
	assert_int_equal(judged(given, "output-buffer", PRECHECK_SOURCE, "more than 64.0 MiB wait"), PRECHECK_WARNING);
	node->settings[SETTING_OUTPUT_BUFFER] = none;
	assert_int_equal(judged(given, "output-buffer", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
	node->settings[SETTING_OUTPUT_BUFFER] = NULL;
	assert_int_equal(judged(given, "output-buffer", PRECHECK_SOURCE, "client-output-buffer-limit"), PRECHECK_SKIPPED);
}

static void snapshot_under_a_limit(void **state)
{
	struct case_of *given = *state;
	struct node *node = &given->nodes[0];

	node->info.used_memory = 100 * MIB;
	node->info.keys = 100000000;
	assert_int_equal(judged(given, "snapshot", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
	given->task.limit_records_per_second = 200;
	assert_int_equal(
		judged(given, "snapshot", PRECHECK_SOURCE, "takes about 138.9 h, most of it for limit.records_per_second"),
		PRECHECK_WARNING);
	given->task.limit_records_per_second = 0;
	given->task.limit_bytes_per_second = 1024;
	assert_int_equal(judged(given, "snapshot", PRECHECK_SOURCE, "limit.bytes_per_second"), PRECHECK_WARNING);
}

static void memory_of_the_target(void **state)
{
	struct case_of *given = *state;
	struct node *target = &given->nodes[1];
	char noeviction[] = "noeviction", lru[] = "allkeys-lru";

	given->nodes[0].info.used_memory = 100 * MIB;
	target->info.maxmemory = 50 * MIB;
	target->info.used_memory = 10 * MIB;
	target->settings[SETTING_EVICTION] = noeviction;
	assert_int_equal(
		judged(given, "target-memory", PRECHECK_TARGET, "takes about 100.0 MiB, and the target has room for 40.0 MiB"),
		PRECHECK_WARNING);
	assert_int_equal(judged(given, "eviction", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
	target->info.used_memory = 50 * MIB;
	assert_int_equal(judged(given, "target-memory", PRECHECK_TARGET, "is full"), PRECHECK_FAILED);
	/* It waits out, as one that runs. */
	given->options.own_data = true;
	assert_int_equal(judged(given, "target-memory", PRECHECK_TARGET, "is full"), PRECHECK_WARNING);
	given->options.own_data = false;
	target->settings[SETTING_EVICTION] = lru;
	assert_int_equal(judged(given, "target-memory", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
	assert_int_equal(judged(given, "eviction", PRECHECK_TARGET, "evicts keys"), PRECHECK_WARNING);
	target->settings[SETTING_EVICTION] = NULL;
	strcpy(target->write_refusal, "\"OOM command not allowed\"");
	target->info.used_memory = 49 * MIB;
	assert_int_equal(judged(given, "target-memory", PRECHECK_TARGET, "refuses writes for want of memory"), PRECHECK_FAILED);
}

static void modules_of_the_source(void **state)
{
	struct case_of *given = *state;

	given->nodes[0].info =
		(struct server_info){.version = VERSION(7, 0, 0), .rdb_version = 10, .modules = "ReJSON search vectorset "};
	strcpy(given->nodes[1].info.modules, "search ");
	assert_int_equal(
		judged(given, "modules", PRECHECK_TARGET,
		       "the source has modules loaded that the target has not: ReJSON; their first value or command stops"),
		PRECHECK_WARNING);
	given->precheck.abilities.skip_unsupported = true;
	assert_int_equal(judged(given, "modules", PRECHECK_TARGET, "are left out, told and counted"), PRECHECK_WARNING);
	strcpy(given->nodes[1].info.modules, "research ReJSON ");
	assert_int_equal(judged(given, "modules", PRECHECK_TARGET, "the target has not: search;"), PRECHECK_WARNING);
	strcpy(given->nodes[1].info.modules, "search ReJSON ");
	assert_int_equal(judged(given, "modules", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
}

static void time_outs_and_delays(void **state)
{
	struct case_of *given = *state;
	struct node *node = &given->nodes[0];
	char five[] = "5", sixty[] = "60", ninety[] = "90", yes[] = "yes";

	node->settings[SETTING_REPL_TIMEOUT] = five;
	assert_int_equal(judged(given, "repl-timeout", PRECHECK_SOURCE, "has not heard of for 5 s"), PRECHECK_WARNING);
	node->settings[SETTING_REPL_TIMEOUT] = ninety;
	node->settings[SETTING_PING_PERIOD_OLD] = sixty;
	assert_int_equal(judged(given, "repl-timeout", PRECHECK_SOURCE, "every 60 s at least (repl-ping-slave-period)"),
			 PRECHECK_WARNING);
	node->settings[SETTING_PING_PERIOD] = five;
	assert_int_equal(judged(given, "repl-timeout", PRECHECK_SOURCE, NULL), PRECHECK_PASSED);
	assert_int_equal(judged(given, "repl-diskless-sync", PRECHECK_SOURCE, "repl-diskless-sync"), PRECHECK_SKIPPED);
	node->settings[SETTING_DISKLESS_SYNC] = yes;
	node->settings[SETTING_DISKLESS_DELAY] = ninety;
	assert_int_equal(judged(given, "repl-diskless-sync", PRECHECK_SOURCE, "waits 90 s"), PRECHECK_WARNING);
}

static void who_else_is_connected(void **state)
{
	struct case_of *given = *state;
	char reader
		[] = "id=3 addr=127.0.0.1:5 name=keyferry:back:127.0.0.1:6379 age=1 flags=S db=0\n",
	  writer[] =
		  "id=3 addr=127.0.0.1:5 name= age=1 flags=N\nid=4 addr=127.0.0.1:6 laddr=x name=keyferry:back:127.0.0.1:6379:link:token:1 flags=N db=0\n",
	  own[] = "id=4 name=keyferry:orders:127.0.0.1:6379:link:token:1 flags=N db=0\nid=5 name=keyferry:other:precheck flags=N\nid=6 name=keyferry: flags=N\n";

	assert_int_equal(judged(given, "loop", PRECHECK_TARGET, "does not tell who is connected"), PRECHECK_SKIPPED);
	given->nodes[0].texts[NODE_CLIENTS] = own;
	given->nodes[1].texts[NODE_CLIENTS] = own;
	assert_int_equal(judged(given, "loop", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
	assert_int_equal(judged(given, "other-task", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
	given->nodes[1].texts[NODE_CLIENTS] = writer;
	assert_int_equal(judged(given, "loop", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
	assert_int_equal(
		judged(given, "other-task", PRECHECK_TARGET, "another keyferry task writes to target 10.0.0.1:6379: back"),
		PRECHECK_WARNING);
	given->nodes[0].texts[NODE_CLIENTS] = writer;
	given->nodes[1].texts[NODE_CLIENTS] = reader;
	assert_int_equal(judged(given, "loop", PRECHECK_TARGET, "the keyferry task 'back' copies from target"), PRECHECK_FAILED);
	assert_int_equal(judged(given, "other-task", PRECHECK_TARGET, NULL), PRECHECK_PASSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(clocks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(memory_for_the_fork, set_up, tear_down),
		cmocka_unit_test_setup_teardown(backlog_against_the_rate_of_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(output_buffer_against_the_snapshot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(snapshot_under_a_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(memory_of_the_target, set_up, tear_down),
		cmocka_unit_test_setup_teardown(modules_of_the_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_outs_and_delays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_else_is_connected, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
