/* What a line of the log looks like: text, JSON, for the journal. Standard error is a file meanwhile. */
#include "base/clock.h"
#include "base/incident.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int real_stderr, capture;
static char text[4 * LOG_LINE_MAX];

static uint64_t zero_us(void)
{
	return 0;
}

static int64_t zero_ms(void)
{
	return 0;
}

static const struct clock_source stopped = {zero_us, zero_ms};

static void begin(bool json)
{
	char path[] = "/tmp/keyferry-log-XXXXXX";

	capture = mkstemp(path);
	assert_true(capture >= 0);
	unlink(path);
	real_stderr = dup(STDERR_FILENO);
	dup2(capture, STDERR_FILENO);
	log_set_json(json);
}

/* What was written since begin(). */
static const char *end(void)
{
	ssize_t len;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	len = pread(capture, text, sizeof(text) - 1, 0);
	close(capture);
	assert_true(len >= 0);
	text[len] = '\0';
	log_set_json(false);
	log_set_label("");
	log_set_task("");
	log_set_level(LOG_INFO);
	return text;
}

static void test_text(void **state)
{
	(void)state;
	begin(false);
	log_set_label("link 10.0.0.1:6379");
	log_warning("one\ntwo %d\x7f", 3);
	log_debug("not said");
	log_set_level(LOG_DEBUG);
	log_debug("said");
	assert_string_equal(end(), "1970-01-01T00:00:00.000Z warning link 10.0.0.1:6379: one two 3 \n"
				   "1970-01-01T00:00:00.000Z debug   link 10.0.0.1:6379: said\n");
}

static void test_json(void **state)
{
	struct incident incident = incident_make(INCIDENT_SOURCE_RECONNECTED, 77, "back \"\xff\" \xe4\xb8\xad\n");

	(void)state;
	incident.cause = "silence";
	incident_add_cost(&incident, "seconds", 1.5);
	begin(true);
	log_set_task("orders");
	log_set_label("source");
	incident_log(&incident, "10.0.0.1:6379");
	log_set_label("link h:1");
	log_info("plain");
	assert_string_equal(
		end(),
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warning\",\"task\":\"orders\",\"link\":\"10.0.0.1:6379\",\"part\":\"source\","
		"\"kind\":\"source_reconnected\",\"message\":\"back \\\"?\\\" \xe4\xb8\xad\\u000a\",\"fields\":{\"cause\":\"silence\",\"offset\":77,\"seconds\":1.5}}\n"
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"task\":\"orders\",\"link\":\"h:1\",\"message\":\"plain\"}\n");
}

/* A line that is too long is cut, and can be parsed all the same. */
static void test_json_cut(void **state)
{
	static char many[2 * LOG_LINE_MAX];
	const struct log_field field = {.name = "count", .number = 3};
	const struct log_line line = {.level = LOG_INFO, .fields = &field, .field_count = 1};
	size_t len;

	(void)state;
	memset(many, '"', sizeof(many) - 1);
	begin(true);
	log_line_write(&line, "%s", many);
	len = strlen(end());
	assert_true(len < LOG_LINE_MAX);
	assert_string_equal(text + len - strlen("\\\"\",\"fields\":{\"count\":3}}\n"), "\\\"\",\"fields\":{\"count\":3}}\n");
}

static void test_limited(void **state)
{
	(void)state;
	begin(false);
	log_set_limited(true);
	log_info("same");
	log_info("same");
	log_info("same");
	assert_int_equal(log_left_out(), 2);
	log_tick(false);
	log_tick(true);
	log_set_limited(false);
	log_info("same");
	log_info("same");
	assert_string_equal(end(),
			    "1970-01-01T00:00:00.000Z info    same\n1970-01-01T00:00:00.000Z info    same (2 times more in 0 s)\n"
			    "1970-01-01T00:00:00.000Z info    same\n1970-01-01T00:00:00.000Z info    same\n");
}

/* The journal is the file that standard error is. */
static void test_journal(void **state)
{
	struct stat file;
	char stream[64];

	(void)state;
	begin(false);
	fstat(STDERR_FILENO, &file);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)file.st_dev, (unsigned long long)file.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_set_label("link h:1");
	log_look_for_journal();
	assert_true(log_is_journal());
	log_warning("away");
	log_set_json(true);
	log_failure("gone");
	assert_string_equal(
		end(),
		"<4>link h:1: away\n<3>{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"error\",\"link\":\"h:1\",\"message\":\"gone\"}\n");
	unsetenv("JOURNAL_STREAM");
	log_look_for_journal();
	assert_false(log_is_journal());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),    cmocka_unit_test(test_json),    cmocka_unit_test(test_json_cut),
		cmocka_unit_test(test_limited), cmocka_unit_test(test_journal),
	};

	clock_use(&stopped);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
