/* The daemon's configuration: what it takes, and how it refuses. */
#include "service/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static struct service_config config;
static struct error error;

static int set_up(void **state)
{
	(void)state;
	strcpy(path, "/tmp/keyferry-config-XXXXXX");
	close(mkstemp(path));
	service_config_init(&config);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	service_config_free(&config);
	return 0;
}

static bool read_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return service_config_read(&config, path, &error);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_true(read_text("# listen: 0.0.0.0:7280\n"));
	assert_true(read_text(""));
	setenv("XDG_STATE_HOME", "/state", 1);
	assert_true(service_config_finish(&config, &error));
	assert_string_equal(config.listen, "127.0.0.1:7280");
	assert_string_equal(config.data_dir, geteuid() == 0 ? "/var/lib/keyferry/serve" : "/state/keyferry/serve");
	assert_non_null(strstr(config.key_file, "/keyferry/serve/key"));
	assert_int_equal(config.log_level, LOG_INFO);
	assert_int_equal(config.worker_memory, 0);
	assert_int_equal(config.stop_timeout_ms, 30000);
	assert_false(config.open_probes);
}

static void test_values(void **state)
{
	(void)state;
	if (!read_text(
		    "data: /d\nlisten: 127.0.0.1:80\nlog: {level: debug, format: json}\nprobes: open\nworker:\n  memory: 1GiB\n  open_files: 1000\n  nice: 5\n  stop_timeout: 2s\n"))
		fail_msg("%s", error.text);
	assert_true(service_config_finish(&config, &error));
	assert_string_equal(config.data_dir, "/d");
	assert_string_equal(config.key_file, "/d/key");
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_true(config.log_json);
	assert_true(config.open_probes);
	assert_int_equal(config.worker_memory, 1u << 30);
	assert_int_equal(config.worker_open_files, 1000);
	assert_int_equal(config.worker_nice, 5);
	assert_int_equal(config.stop_timeout_ms, 2000);
}

static void refused(const char *text, const char *part)
{
	assert_false(read_text(text));
	assert_int_equal(error.kind, ERROR_USAGE);
	if (!strstr(error.text, part))
		fail_msg("'%s' is not in '%s'", part, error.text);
}

static void test_mistakes(void **state)
{
	(void)state;
	refused("listen: 127.0.0.1:7280\nworker: {memroy: 1GiB}\n",
		":2: unknown option 'worker.memroy': did you mean 'worker.memory'?");
	refused("worker: {nice: 20}\n", "'worker.nice'");
	refused("log: {format: xml}\n", "text or json");
	refused("probes: [open]\n", "token or open");
	refused("probes: true\n", "token or open");
	refused("worker: {memory: 1MiB}\n", "out of bounds");
	refused("- a\n", "mapping");
	refused("data: [a, b]\n", "'data'");
	assert_false(service_config_read(&config, "/nowhere/serve.yaml", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
