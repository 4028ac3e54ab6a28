/* Receiver and heartbeat against a real redis-server. */
#include "receiver_bench.h"
#include "redis_server.h"

#include "base/clock.h"
#include "base/memory.h"
#include "source/heartbeat.h"
#include "wire/resp.h"
#include "wire/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WRITES 3000

struct writer {
	struct client *client;
	int written;
	int answered;
	int refused;
	uint64_t cuts; /* of the replica's connection */
};

static void write_answered(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct writer *writer = owner;

	writer->answered++;
	writer->refused += error != NULL || reply->nodes[0].type == RESP_ERROR;
}

/* SET counter <n>, n counting on. */
static void write_some(struct writer *writer, int count)
{
	for (int i = 0; i < count; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", writer->written++);
		client_send_strings(writer->client, write_answered, writer, "SET", "counter", number, NULL);
	}
}

static struct writer *writer_of(struct bench *bench)
{
	return bench->master;
}

/* The offset that the source itself shows; and that the receiver has it all. */
static int64_t source_offset(struct redis_server *server)
{
	const char *info = redis_server_ask(server, "INFO", "replication", NULL, NULL);
	const char *found = strstr(info, "\nmaster_repl_offset:");

	assert_non_null(found);
	return strtoll(found + 20, NULL, 10);
}

static bool writes_are_held(struct bench *bench)
{
	struct writer *writer = writer_of(bench);

	if (writer->answered < writer->written)
		return false;
	/* Without the number of cuts, a connection that is dead and not known to be would do. */
	return receiver_status(bench->receiver).state == RECEIVER_STREAMING &&
	       receiver_status(bench->receiver).reconnects == writer->cuts && spool_snapshot_end(bench->spool) != SPOOL_UNKNOWN &&
	       spool_offset_of(bench->spool, spool_end(bench->spool)) - 1 >= (int64_t)bench->number;
}

/* Reads the held stream: each SET of the counter is there once and in order. */
static void check_stream(struct bench *bench, int first, int last)
{
	uint64_t position = spool_snapshot_end(bench->spool), end = spool_end(bench->spool);
	struct resp_command_parser parser;
	struct parse_fault fault;
	struct error error;
	const uint8_t *view = spool_view(bench->spool, 0, end, &error);
	int expected = first;

	assert_non_null(view);
	resp_command_parser_init(&parser);
	while (position < end) {
		uint64_t taken, need;
		struct slice *argv;
		uint32_t argc;
		int64_t number;

		assert_int_equal(resp_command_parse(&parser, slice_make(view + position, end - position), &argc, &argv, &taken,
						    &need, &fault),
				 PARSE_OK);
		position += taken;
		if (argc != 3 || !slice_equal_nocase(argv[0], SLICE("SET")))
			continue;
		assert_true(slice_to_int64(argv[2], &number));
		assert_int_equal(number, expected++);
	}
	resp_command_parser_free(&parser);
	assert_int_equal(expected, last);
}

static void check_rdb(struct bench *bench, const char *part)
{
	uint64_t len = spool_snapshot_end(bench->spool);
	struct error error;
	const uint8_t *view = spool_view(bench->spool, 0, len, &error);

	assert_non_null(view);
	assert_memory_equal(view, "REDIS0010", 9);
	assert_non_null(memmem(view, len, part, strlen(part)));
}

static void check_master(const char *const *options)
{
	struct redis_server server;
	struct writer writer = {0};
	struct bench bench;

	redis_server_start(&server, options);
	assert_string_equal(redis_server_ask(&server, "SET", "before", "the-snapshot-holds-this", NULL), "OK");
	bench_open(&bench);
	bench.master = &writer;
	bench.options.name = "keyferry:test";
	bench_start(&bench, &server.endpoint);
	writer.client = client_new(bench.loop, &(struct client_options){.endpoint = server.endpoint, .blame = ERROR_SOURCE});

	assert_true(bench_run(&bench, writes_are_held));
	check_rdb(&bench, "the-snapshot-holds-this");
	/* Cut twenty times while it is being written to. */
	for (int i = 0; i < 20; i++) {
		write_some(&writer, WRITES / 20);
		assert_string_equal(redis_server_ask(&server, "CLIENT", "KILL", "TYPE", "replica"), "1");
		writer.cuts++;
		bench.number = (uint64_t)source_offset(&server);
		assert_true(bench_run(&bench, writes_are_held));
	}
	bench.number = (uint64_t)source_offset(&server);
	assert_true(bench_run(&bench, writes_are_held));
	assert_int_equal(writer.refused, 0);
	check_stream(&bench, 0, WRITES);
	assert_int_equal(bench.resyncs, 0);
	assert_int_equal(receiver_status(bench.receiver).reconnects, 20);

	client_free(writer.client);
	bench_close(&bench);
	redis_server_stop(&server);
}

static void test_diskless(void **state)
{
	const char *const options[] = {"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", NULL};

	(void)state;
	check_master(options);
}

static void test_from_disk(void **state)
{
	const char *const options[] = {"--repl-diskless-sync", "no", NULL};

	(void)state;
	check_master(options);
}

static void test_without_checksum(void **state)
{
	const char *const options[] = {"--rdbchecksum", "no", "--repl-diskless-sync-delay", "0", NULL};

	(void)state;
	check_master(options);
}

static bool has_resynced(struct bench *bench)
{
	return bench->resyncs > 0 && writes_are_held(bench);
}

/* The backlog has gone past what is held: the master insists on a full resync, and the new generation has it all. */
static void test_backlog_passed(void **state)
{
	const char *const options[] = {"--repl-backlog-size", "16384", "--repl-diskless-sync-delay", "0", NULL};
	struct redis_server server;
	struct writer writer = {0};
	struct bench bench;
	char value[40001];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	redis_server_start(&server, options);
	bench_open(&bench);
	bench.master = &writer;
	bench_start(&bench, &server.endpoint);
	assert_true(bench_run(&bench, writes_are_held));
	receiver_stop(bench.receiver);
	assert_string_equal(redis_server_ask(&server, "SET", "long", value, NULL), "OK");
	assert_string_equal(redis_server_ask(&server, "SET", "last", "only-in-the-new-snapshot", NULL), "OK");
	bench.number = (uint64_t)source_offset(&server);
	bench_restart(&bench);
	assert_true(bench_run(&bench, has_resynced));
	check_rdb(&bench, "only-in-the-new-snapshot");
	assert_int_equal(spool_origin(bench.spool).generation, 2);
	assert_int_equal(bench_count_notes(&bench, "its backlog does not hold offset"), 1);
	bench_close(&bench);
	redis_server_stop(&server);
}

static bool has_given_up(struct bench *bench)
{
	return bench->gave_up;
}

static void test_least_rights(void **state)
{
	const char *const options[] = {
		"--user",  "sync", "on",      ">secret", "+ping", "+info",  "+psync",  "+replconf", "--user",
		"watcher", "on",   ">secret", "+ping",   "+info", "--user", "default", "off",       "--repl-diskless-sync-delay",
		"0",       NULL,
	};
	char sync[] = "sync", watcher[] = "watcher", secret[] = "secret";
	struct credentials credentials = {.username = watcher, .password = secret};
	struct redis_server server;
	struct writer writer = {0};
	struct bench bench;

	(void)state;
	redis_server_start(&server, options);
	bench_open(&bench);
	bench.master = &writer;
	bench.options.credentials = &credentials;
	bench_start(&bench, &server.endpoint);
	assert_true(bench_run(&bench, has_given_up));
	assert_non_null(strstr(bench.error.text, "NOPERM"));
	assert_non_null(strstr(bench.error.hint, "+replconf"));
	bench_close(&bench);

	bench_open(&bench);
	bench.master = &writer;
	credentials.username = sync;
	bench.options.credentials = &credentials;
	bench.options.name = "keyferry:test";
	bench_start(&bench, &server.endpoint);
	assert_true(bench_run(&bench, writes_are_held));
	bench_close(&bench);
	redis_server_stop(&server);
}

/* ---- heartbeat ---- */

struct pulse {
	struct loop *loop;
	struct heartbeat *heartbeat;
	struct buffer notes;
	char replid[41];
	uint64_t ticket;
	int64_t offset;
	bool done;
};

static void pulse_note(void *owner, int level, const char *text)
{
	struct pulse *pulse = owner;

	assert_true(buffer_printf(&pulse->notes, "%d %s\n", level, text));
}

static void pulse_check(void *owner)
{
	struct pulse *pulse = owner;

	pulse->done = heartbeat_sampled_since(pulse->heartbeat, pulse->ticket, &pulse->offset);
}

static void pulse_wait_for_sample(struct pulse *pulse)
{
	struct timer *timer = timer_new(pulse->loop, pulse_check, pulse);

	timer_repeat(timer, 0, 2);
	pulse->ticket = heartbeat_ticket(pulse->heartbeat);
	pulse->done = false;
	assert_true(loop_run_until(pulse->loop, &pulse->done, clock_monotonic_us() + 120000000));
	timer_free(timer);
}

static void pulse_check_end(void *owner)
{
	struct pulse *pulse = owner;

	pulse->done = heartbeat_ended(pulse->heartbeat, pulse->replid, &pulse->offset);
}

/* A master of a cluster that has become a replica tells where its own history has ended. */
static void test_end_of_a_master(void **state)
{
	static const char name[] = "\nmaster_replid:";
	const char *const options[] = {NULL};
	struct redis_server server;
	struct pulse pulse = {.loop = loop_new()};
	struct heartbeat_options settings = {.cluster = true, .slot = 1, .interval_ms = 60000, .sample_ms = 20};
	struct timer *timer = timer_new(pulse.loop, pulse_check_end, &pulse);
	int64_t offset;

	(void)state;
	redis_server_start(&server, options);
	settings.client = (struct client_options){.endpoint = server.endpoint, .blame = ERROR_SOURCE};
	snprintf(pulse.replid, sizeof(pulse.replid), "%.40s",
		 strstr(redis_server_ask(&server, "INFO", "replication", NULL, NULL), name) + sizeof(name) - 1);
	buffer_init(&pulse.notes, 1 << 16);
	pulse.heartbeat = heartbeat_new(pulse.loop, &settings, pulse_note, &pulse);
	pulse_wait_for_sample(&pulse);
	pulse_check_end(&pulse);
	assert_false(pulse.done);
	assert_string_equal(redis_server_ask(&server, "REPLICAOF", "127.0.0.1", "1", NULL), "OK"); /* where nobody is */
	offset = source_offset(&server);
	timer_repeat(timer, 0, 2);
	assert_true(loop_run_until(pulse.loop, &pulse.done, clock_monotonic_us() + 120000000));
	assert_int_equal(pulse.offset, offset);
	assert_false(heartbeat_ended(pulse.heartbeat, "", &offset));
	timer_free(timer);
	heartbeat_free(pulse.heartbeat);
	loop_free(pulse.loop);
	buffer_free(&pulse.notes);
	redis_server_stop(&server);
}

static void test_heartbeat(void **state)
{
	const char *const options[] = {"--user", "watcher", "on", "nopass", "+info", NULL};
	char watcher[] = "watcher", nothing[] = "nothing";
	const struct credentials credentials = {.username = watcher, .password = nothing};
	struct redis_server server;
	struct pulse pulse = {0};
	struct heartbeat_options settings = {.write = true, .cluster = true, .slot = 12345, .interval_ms = 60000};
	int64_t before, written, now, offset;
	uint64_t at_us;
	char key[80];

	(void)state;
	redis_server_start(&server, options);
	buffer_init(&pulse.notes, 1 << 16);
	pulse.loop = loop_new();
	settings.client = (struct client_options){.endpoint = server.endpoint, .blame = ERROR_SOURCE};
	before = clock_wall_ms();
	pulse.heartbeat = heartbeat_new(pulse.loop, &settings, pulse_note, &pulse);
	assert_false(heartbeat_source_offset(pulse.heartbeat, &offset, &at_us));
	assert_int_equal(heartbeat_time_of_offset(pulse.heartbeat, INT64_MAX), 0);
	pulse_wait_for_sample(&pulse);
	snprintf(key, sizeof(key), "%s:{%s}", HEARTBEAT_KEY, slot_tag(12345));
	assert_true(heartbeat_is_key(slice_of_string(key)));
	/* Written on connecting, before the second sample. */
	pulse_wait_for_sample(&pulse);
	written = strtoll(redis_server_ask(&server, "GET", key, NULL, NULL), NULL, 10);
	now = clock_wall_ms();
	assert_in_range(written, before, now);
	assert_in_range(strtoll(redis_server_ask(&server, "TTL", key, NULL, NULL), NULL, 10), 590, 600);
	assert_int_equal(slot_of_key(slice_of_string(key)), 12345);
	assert_true(heartbeat_source_offset(pulse.heartbeat, &offset, &at_us));
	assert_in_range(heartbeat_time_of_offset(pulse.heartbeat, offset), before, now);
	assert_int_equal(pulse.notes.end, 0);
	heartbeat_free(pulse.heartbeat);

	/* Without the right to write: one warning, and samples all the same. */
	settings.client.credentials = &credentials;
	settings.interval_ms = 5;
	pulse.heartbeat = heartbeat_new(pulse.loop, &settings, pulse_note, &pulse);
	for (int i = 0; i < 10; i++)
		pulse_wait_for_sample(&pulse);
	assert_true(buffer_append(&pulse.notes, "", 1));
	assert_non_null(strstr((char *)pulse.notes.data, "the heartbeat cannot be written"));
	assert_null(strstr(strchr((char *)pulse.notes.data, '\n') + 1, "heartbeat"));
	heartbeat_free(pulse.heartbeat);
	loop_free(pulse.loop);
	buffer_free(&pulse.notes);
	redis_server_stop(&server);
}

static void test_heartbeat_key(void **state)
{
	(void)state;
	assert_true(heartbeat_is_key(SLICE("DTS_REDIS_TIMESTAMP_HEARTBEAT")));
	assert_true(heartbeat_is_key(SLICE("DTS_REDIS_TIMESTAMP_HEARTBEAT:{abc}")));
	assert_false(heartbeat_is_key(SLICE("DTS_REDIS_TIMESTAMP_HEARTBEAT:{}")));
	assert_false(heartbeat_is_key(SLICE("DTS_REDIS_TIMESTAMP_HEARTBEAT:{abc}x")));
	assert_false(heartbeat_is_key(SLICE("DTS_REDIS_TIMESTAMP_HEARTBEATS")));
	assert_false(heartbeat_is_key(SLICE("DTS_REDIS_TIMESTAMP_HEARTBEA")));
	assert_false(heartbeat_is_key(SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diskless),         cmocka_unit_test(test_from_disk),
		cmocka_unit_test(test_without_checksum), cmocka_unit_test(test_backlog_passed),
		cmocka_unit_test(test_least_rights),     cmocka_unit_test(test_end_of_a_master),
		cmocka_unit_test(test_heartbeat),        cmocka_unit_test(test_heartbeat_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
