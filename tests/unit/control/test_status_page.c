/* The status document and the metrics page of a made-up task. */
#include "control/metrics_page.h"
#include "control/status_page.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct link_status link_at(const char *source)
{
	struct link_status link = {
		.phase = LINK_STREAMING,
		.connected = true,
		.received_offset = 900,
		.source_offset = 1000,
		.snapshot_bytes_total = 5000,
		.origin = {.generation = 2, .replid = "8cb37055bb2018703850f3ee6ef31b566d88f6ca"},
		.applier = {.streaming = true, .applied_offset = 800, .lag_ms = 1500, .snapshot_bytes_done = 5000},
		.spool_bytes = 77,
		.commands_per_second = 12.5,
	};

	snprintf(link.source, sizeof(link.source), "%s", source);
	link.applier.sink.keys = 10;
	link.applier.sink.commands = 20;
	link.applier.sink.reconnects = 3;
	link.receiver.reconnects = 4;
	return link;
}

static json_t *document(const struct task_status *status)
{
	char *text = status_page_json(status);
	json_error_t fault;
	json_t *root = json_loads(text, 0, &fault);

	if (!root)
		fail_msg("%s in: %s", fault.text, text);
	free(text);
	return root;
}

static json_t *at(json_t *root, const char *a, const char *b)
{
	json_t *value = json_object_get(root, a);

	if (b)
		value = json_object_get(value, b);
	if (!value)
		fail_msg("no %s.%s", a, b ? b : "");
	return value;
}

static void test_document(void **state)
{
	struct link_status link = link_at("10.0.0.1:6379");
	struct task_status status = {.name = "copy", .state = TASK_STREAMING, .since_ms = 1000, .link_count = 1, .links = &link};
	json_t *root = document(&status), *shown = json_array_get(json_object_get(root, "links"), 0);

	(void)state;
	assert_string_equal(json_string_value(at(root, "task", NULL)), "copy");
	assert_string_equal(json_string_value(at(root, "state", NULL)), "streaming");
	assert_string_equal(json_string_value(at(root, "since", NULL)), "1970-01-01T00:00:01.000Z");
	assert_true(json_is_null(at(root, "error", NULL)));
	assert_string_equal(json_string_value(at(shown, "source", NULL)), "10.0.0.1:6379");
	assert_true(json_is_null(at(shown, "waiting_for", NULL)));
	assert_int_equal(json_integer_value(at(shown, "position", "received")), 900);
	assert_int_equal(json_integer_value(at(shown, "position", "applied")), 800);
	assert_int_equal(json_integer_value(at(shown, "position", "generation")), 2);
	assert_true(json_real_value(at(shown, "lag", "seconds")) == 1.5);
	assert_int_equal(json_integer_value(at(shown, "lag", "bytes")), 200);
	assert_int_equal(json_integer_value(at(shown, "counters", "commands_applied")), 20);
	assert_int_equal(json_integer_value(at(shown, "snapshot", "keys_done")), 10);
	assert_true(json_is_true(at(shown, "connected", NULL)));
	json_decref(root);
}

static void test_events(void **state)
{
	struct link_status link = link_at("h:1");
	struct task_status status = {
		.name = "copy", .state = TASK_STREAMING, .incidents = incidents_new(2), .link_count = 1, .links = &link};
	struct incident incident = incident_make(INCIDENT_SOURCE_RECONNECTED, 77, "h:1: back \xff");
	json_t *root, *first, *second;
	char *page;

	(void)state;
	incident.cause = "silence";
	incident_add_cost(&incident, "seconds", 1.5);
	incident_add_cost(&incident, "in_flight", 12);
	incidents_add(status.incidents, "h:1", &incident);
	incident = incident_make(INCIDENT_SNAPSHOT_BEGUN, -1, "it begins");
	incidents_add(status.incidents, "h:1", &incident);
	root = document(&status);
	first = json_array_get(json_object_get(root, "events"), 0);
	second = json_array_get(json_object_get(root, "events"), 1);
	assert_string_equal(json_string_value(at(first, "kind", NULL)), "source_reconnected");
	assert_string_equal(json_string_value(at(first, "cause", NULL)), "silence");
	assert_string_equal(json_string_value(at(first, "link", NULL)), "h:1");
	assert_string_equal(json_string_value(at(first, "text", NULL)), "h:1: back ?");
	assert_int_equal(json_integer_value(at(first, "offset", NULL)), 77);
	assert_true(json_real_value(at(first, "cost", "seconds")) == 1.5);
	assert_int_equal(json_integer_value(at(first, "cost", "in_flight")), 12);
	assert_true(json_is_null(at(second, "cause", NULL)));
	assert_true(json_is_null(at(second, "offset", NULL)));
	assert_int_equal(json_object_size(at(second, "cost", NULL)), 0);
	json_decref(root);
	link.incidents[INCIDENT_FULL_RESYNC] = 3;
	page = metrics_page_text(&status, false);
	assert_non_null(strstr(page, "keyferry_link_events_total{task=\"copy\",link=\"h:1\",kind=\"full_resync\"} 3\n"));
	assert_non_null(strstr(page, "kind=\"disk_full\"} 0\n"));
	free(page);
	incidents_free(status.incidents);
}

static void test_targets(void **state)
{
	struct task_status status = {.name = "copy", .state = TASK_STREAMING, .targets = target_masters_new()};
	struct endpoint list[2];
	json_t *root = document(&status);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(root, "targets")), 0);
	json_decref(root);
	for (unsigned i = 0; i < 2; i++)
		assert_true(endpoint_parse(slice_of_string(i ? "[::1]:7001" : "10.0.0.1:7000"), 0, &list[i]));
	target_masters_tell(status.targets, list, 2);
	target_masters_tell(status.targets, &list[1], 1);
	root = document(&status);
	assert_int_equal(json_array_size(json_object_get(root, "targets")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(root, "targets"), 0)), "[::1]:7001");
	json_decref(root);
	target_masters_free(status.targets);
}

static void test_unknowns(void **state)
{
	struct link_status link = link_at("h:1");
	struct task_status status = {.name = "copy", .state = TASK_SNAPSHOT, .link_count = 1, .links = &link};
	json_t *root, *shown;
	char *page;

	(void)state;
	link.applier.applied_offset = link.received_offset = link.source_offset = link.applier.lag_ms = -1;
	root = document(&status);
	shown = json_array_get(json_object_get(root, "links"), 0);
	assert_true(json_is_null(at(shown, "lag", "seconds")));
	assert_true(json_is_null(at(shown, "lag", "bytes")));
	assert_true(json_is_null(at(shown, "position", "applied")));
	json_decref(root);
	page = metrics_page_text(&status, false);
	assert_null(strstr(page, "keyferry_link_lag_seconds{"));
	assert_non_null(strstr(page, "# TYPE keyferry_link_lag_seconds gauge\n"));
	free(page);
}

static void test_source_away(void **state)
{
	struct link_status link = link_at("h:1");
	struct task_status status = {.name = "copy", .state = TASK_STREAMING, .link_count = 1, .links = &link};
	json_t *root = document(&status), *shown = json_array_get(json_object_get(root, "links"), 0);
	char *page;

	(void)state;
	assert_true(json_is_null(at(shown, "source_away", NULL)));
	json_decref(root);
	link.connected = false;
	link.away = true;
	link.applier.lag_ms = -1;
	link.receiver.away.since_ms = 1000;
	strcpy(link.receiver.away.text, "h:1: wrong user name or password \xff");
	strcpy(link.receiver.away.hint, "set source.password");
	root = document(&status);
	shown = json_array_get(json_object_get(root, "links"), 0);
	assert_string_equal(json_string_value(at(shown, "source_away", "since")), "1970-01-01T00:00:01.000Z");
	assert_string_equal(json_string_value(at(shown, "source_away", "text")), "h:1: wrong user name or password ?");
	assert_string_equal(json_string_value(at(shown, "source_away", "hint")), "set source.password");
	/* How far the source has gone on, nobody knows. */
	assert_true(json_is_null(at(shown, "lag", "seconds")));
	assert_true(json_is_null(at(shown, "lag", "bytes")));
	assert_int_equal(json_integer_value(at(shown, "position", "received")), 900);
	json_decref(root);
	page = metrics_page_text(&status, false);
	assert_null(strstr(page, "keyferry_link_lag_seconds{"));
	assert_null(strstr(page, "keyferry_link_lag_bytes{"));
	assert_non_null(strstr(page, "keyferry_link_up{task=\"copy\",link=\"h:1\"} 0\n"));
	free(page);
}

/* A server's error text may hold any bytes, and be cut anywhere: the document stays whole, and valid. */
static void test_texts_of_any_bytes(void **state)
{
	struct link_status link = link_at("h:1");
	struct task_status status = {.name = "t\xc3\xa4sk", .state = TASK_FAILED, .link_count = 1, .links = &link};
	json_t *root, *shown;

	(void)state;
	error_set(&link.error, ERROR_CONFLICT, "unknown command '\xff\xfe\"\\\n\x01'");
	error_hint(&link.error, "cut here: \xc3");
	strcpy(link.applier.waiting_for, "target: \xe2\x82");
	status.error = link.error;
	root = document(&status);
	assert_string_equal(json_string_value(at(root, "task", NULL)), "t\xc3\xa4sk");
	assert_string_equal(json_string_value(at(root, "error", "text")), "unknown command '??\"\\\n\x01'");
	assert_string_equal(json_string_value(at(root, "error", "kind")), "conflict");
	assert_int_equal(json_integer_value(at(root, "error", "exit_code")), ERROR_CONFLICT);
	shown = json_array_get(json_object_get(root, "links"), 0);
	assert_string_equal(json_string_value(at(shown, "waiting_for", NULL)), "target: ??");
	assert_string_equal(json_string_value(at(shown, "error", "hint")), "cut here: ?");
	json_decref(root);
}

/* Each line is a comment or a sample, each name has its HELP and TYPE before, label values are escaped. */
static void test_metrics(void **state)
{
	struct link_status links[2] = {link_at("10.0.0.1:6379"), link_at("[::1]:\"6380\\")};
	struct task_status status = {.name = "two\nlines", .state = TASK_STREAMING, .link_count = 2, .links = links};
	char *page = metrics_page_text(&status, false), *rest = page, *line;
	unsigned samples = 0;

	(void)state;
	assert_non_null(strstr(page, "keyferry_link_received_bytes_total{task=\"two lines\",link=\"10.0.0.1:6379\"} 0\n"));
	assert_non_null(strstr(page, "link=\"[::1]:\\\"6380\\\\\"}"));
	assert_non_null(
		strstr(page, "keyferry_link_reconnects_total{task=\"two lines\",link=\"10.0.0.1:6379\",side=\"target\"} 3\n"));
	assert_non_null(strstr(page, "keyferry_link_lag_seconds{task=\"two lines\",link=\"10.0.0.1:6379\"} 1.5\n"));
	while ((line = strsep(&rest, "\n")) && *line) {
		if (strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0)
			continue;
		assert_true(strncmp(line, "keyferry_", 9) == 0 || strncmp(line, "process_", 8) == 0);
		assert_non_null(strchr(line, ' '));
		samples++;
	}
	assert_null(rest); /* ends in exactly one newline */
	assert_true(samples >= 26);
	free(page);
}

/* Of commands those that came, and "other"; the histogram's buckets add up. */
static void test_counted(void **state)
{
	static struct tally tally;
	static struct delays delays;
	struct link_status link = link_at("h:1");
	struct task_status status = {.name = "t", .state = TASK_STREAMING, .link_count = 1, .links = &link};
	struct slice set = SLICE("SET"), group[] = {SLICE("xgroup"), SLICE("CREATE")};
	char *page;

	(void)state;
	tally_add(&tally, command_number(command_lookup(1, &set)));
	tally_add(&tally, command_number(command_lookup(1, &set)));
	tally_add(&tally, command_number(command_lookup(2, group)));
	tally_add(&tally, command_number(NULL));
	delays_add(&delays, 1);
	delays_add(&delays, 40);
	delays_add(&delays, -5);
	delays_add(&delays, 100000000);
	link.applied = &tally;
	link.delays = &delays;
	link.receiver.resyncs = 2;
	link.incidents[INCIDENT_SOURCE_RECONNECTED] = 3;
	link.incidents[INCIDENT_SOURCE_FAILOVER] = 1;
	page = metrics_page_text(&status, false);
	assert_non_null(strstr(page,
			       "# TYPE keyferry_link_applied_commands_total counter\n"
			       "keyferry_link_applied_commands_total{task=\"t\",link=\"h:1\",command=\"other\"} 1\n"
			       "keyferry_link_applied_commands_total{task=\"t\",link=\"h:1\",command=\"set\"} 2\n"
			       "keyferry_link_applied_commands_total{task=\"t\",link=\"h:1\",command=\"xgroup create\"} 1\n#"));
	assert_non_null(strstr(page, "keyferry_link_delay_seconds_bucket{task=\"t\",link=\"h:1\",le=\"0.001\"} 2\n"));
	assert_non_null(strstr(page, "keyferry_link_delay_seconds_bucket{task=\"t\",link=\"h:1\",le=\"0.05\"} 3\n"));
	assert_non_null(strstr(page, "keyferry_link_delay_seconds_bucket{task=\"t\",link=\"h:1\",le=\"7200.0\"} 3\n"));
	assert_non_null(strstr(page, "keyferry_link_delay_seconds_bucket{task=\"t\",link=\"h:1\",le=\"+Inf\"} 4\n"));
	assert_non_null(strstr(page, "keyferry_link_delay_seconds_count{task=\"t\",link=\"h:1\"} 4\n"));
	assert_non_null(strstr(page, "keyferry_link_delay_seconds_sum{task=\"t\",link=\"h:1\"} 100000.041"));
	assert_non_null(strstr(page, "keyferry_link_resyncs_total{task=\"t\",link=\"h:1\",kind=\"full\"} 2\n"));
	assert_non_null(strstr(page, "keyferry_link_resyncs_total{task=\"t\",link=\"h:1\",kind=\"partial\"} 4\n"));
	assert_non_null(strstr(page, "keyferry_task_state{task=\"t\",state=\"streaming\"} 1\n"));
	assert_non_null(strstr(page, "keyferry_task_state{task=\"t\",state=\"failed\"} 0\n"));
	assert_non_null(strstr(page, "# TYPE keyferry_build_info gauge\nkeyferry_build_info{version="));
	free(page);
}

/* In OpenMetrics a counter's family has no _total, and the page has an end. */
static void test_open_metrics(void **state)
{
	struct link_status link = link_at("h:\xff");
	struct task_status status = {.name = "t", .state = TASK_STREAMING, .link_count = 1, .links = &link};
	char *page = metrics_page_text(&status, true);

	(void)state;
	assert_non_null(strstr(
		page,
		"# TYPE keyferry_link_received_bytes counter\nkeyferry_link_received_bytes_total{task=\"t\",link=\"h:?\"} 0\n"));
	assert_non_null(strstr(page, "# TYPE keyferry_build info\nkeyferry_build_info{version="));
	assert_string_equal(page + strlen(page) - 6, "# EOF\n");
	assert_null(strstr(page, "# TYPE keyferry_link_received_bytes_total"));
	free(page);
}

static void test_no_links(void **state)
{
	struct task_status status = {.name = "none", .state = TASK_CREATED};
	json_t *root = document(&status);
	char *page = metrics_page_text(&status, false);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(root, "links")), 0);
	assert_non_null(strstr(page, "# HELP"));
	json_decref(root);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),    cmocka_unit_test(test_events),
		cmocka_unit_test(test_targets),     cmocka_unit_test(test_unknowns),
		cmocka_unit_test(test_source_away), cmocka_unit_test(test_texts_of_any_bytes),
		cmocka_unit_test(test_metrics),     cmocka_unit_test(test_no_links),
		cmocka_unit_test(test_counted),     cmocka_unit_test(test_open_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
