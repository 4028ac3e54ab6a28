#include "task/options.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool finish(struct task_options *options, const char *document, struct error *error)
{
	error_clear(error);
	task_options_init(options);
	if (!task_options_parse(options, slice_of_string(document), "t", error))
		fail_msg("%s", error->text);
	return task_options_finish(options, error);
}

#define SIDES "source: {address: a}\ntarget: {address: b}\n"

static void what_does_not_belong_together_is_refused(void **state)
{
	static const struct {
		const char *document, *says;
	} wrong[] = {
		{"target: {address: b}\n", "source.address is missing: where the source is"},
		{"source: {address: b}\n", "target.address is missing: where the target is"},
		{"source: {address: a:6379}\ntarget: {address: [b, a]}\n", "source and target are the same server: a:6379"},
		{"source: {address: [a, c], mode: standalone}\ntarget: {address: b}\n",
		 "source.mode is 'standalone', but source.address lists 2 addresses"},
		{"source: {address: a, mode: sentinel}\ntarget: {address: b}\n",
		 "source.master is missing: the name under which the Sentinels know the master"},
		{"source: {address: a, master: m}\ntarget: {address: b}\n",
		 "source.master is for Sentinels, but source.mode is not 'sentinel'"},
		{"source: {address: a}\ntarget: {address: b, sentinel: {password: x}}\n",
		 "target.sentinel is for Sentinels, but target.mode is not 'sentinel'"},
		{"source: {address: a, tls: {cert: /c}}\ntarget: {address: b}\n",
		 "source.tls.cert is given without source.tls.key"},
		{"source: {address: a}\ntarget: {address: b, tls: {key: /c}}\n",
		 "target.tls.key is given without target.tls.cert"},
		{"source: {address: a, password: s3cret, password_file: /x}\ntarget: {address: b}\n",
		 "source.password, source.password_file and source.password_env are ways to give one password: more than one is set"},
		{"source: {address: a, password_env: KEYFERRY_TEST_UNSET}\ntarget: {address: b}\n",
		 "option 'source.password_env': the environment variable 'KEYFERRY_TEST_UNSET' is not set"},
		{"source: {address: a, password_file: /nonexistent/pass}\ntarget: {address: b}\n",
		 "option 'source.password_file': password file '/nonexistent/pass' cannot be opened: No such file or directory"},
		{"source: {address: a, mode: cluster, databases: [1]}\ntarget: {address: b}\n",
		 "source.databases leaves out database 0, the only one that a cluster has"},
		{"source: {mode: rdb}\ntarget: {address: b}\n", "source.path is missing: source.mode 'rdb' reads files"},
		{"source: {mode: aof}\ntarget: {address: b}\n", "source.path is missing: source.mode 'aof' reads files"},
		{"source: {path: /x, address: a}\ntarget: {address: b}\n",
		 "source.path is for files, but source.mode is none of rdb, aof"},
		{"source: {mode: rdb, path: /x, address: a}\ntarget: {address: b}\n",
		 "source.address is for servers, but source.mode is 'rdb'"},
		{"source: {mode: rdb, path: /x, password: a}\ntarget: {address: b}\n",
		 "source.password is for servers, but source.mode is 'rdb'"},
		{"source: {mode: rdb, path: /x, tls: true}\ntarget: {address: b}\n",
		 "source.tls is for servers, but source.mode is 'rdb'"},
		{"source: {address: a}\ntarget: {mode: rdb}\n", "target.path is missing: target.mode 'rdb' writes files"},
		{"source: {address: a}\ntarget: {path: /x, address: b}\n",
		 "target.path is for files, but target.mode is none of rdb, aof, jsonl"},
		{"source: {address: a}\ntarget: {mode: aof, path: /x, address: b}\n",
		 "target.address is for servers, but target.mode is 'aof'"},
		{"source: {address: a}\ntarget: {mode: aof, path: /x, existing: merge}\n",
		 "target.existing is 'merge', but nothing can be added to a file of another task"},
		{"source: {address: a}\ntarget: {mode: rdb, path: /x}\nsnapshot: false\n",
		 "snapshot is false and the stream is not followed either: nothing would be written"},
		{"source: {address: a}\ntarget: {mode: jsonl, path: /x, follow: false}\nsnapshot: false\n",
		 "snapshot is false and the stream is not followed either: nothing would be written"},
		{"source: {mode: aof, path: /a}\ntarget: {mode: rdb, path: /x}\n",
		 "source.mode is 'aof' and target.mode 'rdb': the commands of an append-only file cannot be made a snapshot"},
		{"source: {mode: aof, path: /a}\ntarget: {mode: aof, path: /x, follow: false}\n",
		 "source.mode is 'aof' and target.follow false: the commands of an append-only file cannot be made a snapshot"},
		{"source: {mode: rdb, path: /x}\ntarget: {mode: rdb, path: /x}\n",
		 "source.path and target.path are the same: /x"},
		{"source: {mode: rdb, path: /x}\ntarget: {address: b}\nsnapshot: false\n",
		 "snapshot is false, but source.mode 'rdb' has nothing that would be written from now on"},
		{SIDES "spool: {max_size: 4MiB}\n", "spool.max_size is less than four times spool.segment_size"},
		{SIDES "spool: {segment_size: 1500KiB}\n", "spool.segment_size is 1536000 bytes: not whole MiB"},
		{SIDES "name: ../x\n", "\"../x\" cannot name a task"},
		{SIDES "name: a/b\n", "\"a/b\" cannot name a task"},
		{SIDES "name: -a\n", "\"-a\" cannot name a task"},
		{SIDES "name: a b\n", "\"a b\" cannot name a task"},
	};

	(void)state;
	unsetenv("KEYFERRY_TEST_UNSET");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct task_options options;
		struct error error;

		if (finish(&options, wrong[i].document, &error))
			fail_msg("accepted: %s", wrong[i].document);
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_string_equal(error.text, wrong[i].says);
		task_options_free(&options);
	}
}

static void ports_follow_the_mode(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	assert_true(finish(&options,
			   "source: {mode: sentinel, master: m, address: [a, 'a:7']}\ntarget: {address: [b, '::1', /run/x]}\n",
			   &error));
	assert_int_equal(options.source.addresses[0].port, 26379);
	assert_int_equal(options.source.addresses[1].port, 7);
	assert_int_equal(options.target.addresses[0].port, 6379);
	assert_int_equal(options.target.addresses[1].port, 6379);
	assert_int_equal(options.target.addresses[2].port, 0);
	task_options_free(&options);
}

static void names_come_from_addresses(void **state)
{
	static const struct {
		const char *document, *name;
	} cases[] = {
		{"source: {address: '10.0.0.1:7000'}\ntarget: {address: redis.example.net}\n",
		 "10.0.0.1-7000-to-redis.example.net-6379"},
		{"source: {mode: rdb, path: '/backup/my dump.rdb'}\ntarget: {address: b}\n", "my_dump.rdb-to-b-6379"},
		{"source: {mode: aof, path: ../.hidden/}\ntarget: {address: b}\n", "_hidden-to-b-6379"},
		{"source: {address: a}\ntarget: {mode: rdb, path: '/backup/o-{shard}.rdb'}\n", "a-6379-to-o-_shard_.rdb"},
		{"source: {mode: rdb, path: /a/b}\ntarget: {mode: jsonl, path: c}\n", "b-to-c"},
		{"source: {mode: rdb, path: /}\ntarget: {address: b}\n", "_-to-b-6379"},
		{"source: {mode: rdb, path: '-\xc3\xa9'}\ntarget: {address: b}\n", "___-to-b-6379"},
		{"source: {address: '[::1]:7000'}\ntarget: {address: /run/redis.sock}\n", "__1-7000-to-_run_redis.sock"},
		{SIDES "name: \xe8\xae\xa2\xe5\x8d\x95-1\n", "\xe8\xae\xa2\xe5\x8d\x95-1"},
	};
	char document[512], host[120];
	struct task_options options;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!finish(&options, cases[i].document, &error))
			fail_msg("%s", error.text);
		assert_string_equal(options.name, cases[i].name);
		task_options_free(&options);
	}
	memset(host, 'h', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	snprintf(document, sizeof(document), "source: {address: %s}\ntarget: {address: b}\n", host);
	assert_false(finish(&options, document, &error));
	assert_string_equal(error.text, "no name can be made of the addresses: they are too long");
	task_options_free(&options);
}

static void the_work_directory_follows_the_name(void **state)
{
	struct task_options options;
	/* Root's, and the service's user's. */
	bool machine = geteuid() == 0 || euidaccess("/var/lib/keyferry", W_OK | X_OK) == 0;
	struct error error;
	char expected[300];

	(void)state;
	setenv("XDG_STATE_HOME", "/state", 1);
	setenv("HOME", "/home/somebody", 1);
	assert_true(finish(&options, SIDES "name: n\n", &error));
	assert_string_equal(options.data_dir, machine ? "/var/lib/keyferry/n" : "/state/keyferry/n");
	task_options_free(&options);
	setenv("XDG_STATE_HOME", "relative", 1);
	assert_true(finish(&options, SIDES "name: n\n", &error));
	snprintf(expected, sizeof(expected), "%s/keyferry/n", machine ? "/var/lib" : "/home/somebody/.local/state");
	assert_string_equal(options.data_dir, expected);
	task_options_free(&options);
}

static void listeners_are_checked(void **state)
{
	static const struct {
		const char *listen;
		bool valid;
	} cases[] = {
		{"127.0.0.1:9121", true}, {"[::1]:9121", true}, {"9121", false},
		{"127.0.0.1", false},     {"/run/x", false},    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct task_options options;
		struct error error;

		task_options_init(&options);
		assert_true(task_options_parse(&options, SLICE(SIDES), "t", &error));
		options.listen = strdup(cases[i].listen);
		assert_int_equal(task_options_finish(&options, &error), cases[i].valid);
		task_options_free(&options);
	}
}

/* The password that a file of these bytes gives; NULL: refused, with the error in *error. */
static char *password_of(const char *bytes, size_t len, struct error *error)
{
	char path[] = "/tmp/keyferry-test-XXXXXX";
	char document[200];
	struct task_options options;
	char *password = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	assert_int_equal(chmod(path, 0644), 0);
	snprintf(document, sizeof(document), "source: {address: a, password_file: %s}\ntarget: {address: b}\n", path);
	if (finish(&options, document, error)) {
		password = strdup(options.source.credentials.password);
		assert_true(task_options_finish(&options, error)); /* twice does no harm */
		assert_string_equal(options.source.credentials.password, password);
	}
	task_options_free(&options);
	unlink(path);
	return password;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void assert_password(const struct credentials *credentials, const char *expected)
{
	char *password = credentials_password(credentials);

	assert_string_equal(password, expected);
	credentials_forget(password);
}

/* Each new connection has what the file says then. */
static void password_files_are_read_again(void **state)
{
	char path[] = "/tmp/keyferry-test-XXXXXX";
	char document[200];
	struct task_options options;
	struct error error;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_file(path, "first\n");
	snprintf(document, sizeof(document), "source: {address: a, password_file: %s}\ntarget: {address: b}\n", path);
	assert_true(finish(&options, document, &error));
	assert_password(&options.source.credentials, "first");
	write_file(path, "second\n");
	assert_password(&options.source.credentials, "second");
	/* Half written, or gone for a moment. */
	write_file(path, "");
	assert_password(&options.source.credentials, "first");
	unlink(path);
	assert_password(&options.source.credentials, "first");
	assert_null(credentials_password(&options.target.credentials));
	task_options_free(&options);
}

static void password_files_are_read(void **state)
{
	static const struct {
		struct slice bytes;
		const char *password, *says;
	} cases[] = {
		{{(const uint8_t *)"s3cret", 6}, "s3cret", NULL},
		{{(const uint8_t *)"s3cret\n", 7}, "s3cret", NULL},
		{{(const uint8_t *)"s3cret\r\n", 8}, "s3cret", NULL},
		{{(const uint8_t *)" s3 cret \n", 10}, " s3 cret ", NULL},
		{{(const uint8_t *)"", 0}, NULL, "is empty"},
		{{(const uint8_t *)"\n", 1}, NULL, "is empty"},
		{{(const uint8_t *)"s3cret\n\n", 8}, NULL, "holds more than one line, or a NUL byte"},
		{{(const uint8_t *)"s3\0cret", 7}, NULL, "holds more than one line, or a NUL byte"},
	};
	static char longest[4097];
	struct error error;
	char *password;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		password = password_of((const char *)cases[i].bytes.data, cases[i].bytes.len, &error);
		if (cases[i].password) {
			assert_non_null(password);
			assert_string_equal(password, cases[i].password);
		} else {
			assert_null(password);
			assert_non_null(strstr(error.text, cases[i].says));
			assert_null(strstr(error.text, "s3cret"));
		}
		free(password);
	}
	memset(longest, 'x', sizeof(longest));
	assert_null(password_of(longest, 4097, &error));
	assert_non_null(strstr(error.text, "is longer than 4096 bytes"));
	password = password_of(longest, 4096, &error);
	assert_non_null(password);
	free(password);
}

static void passwords_come_from_the_environment(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	setenv("KEYFERRY_TEST_PASSWORD", "s3cret", 1);
	assert_true(finish(&options,
			   "source: {address: a, mode: sentinel, master: m, sentinel: {password_env: KEYFERRY_TEST_PASSWORD}}\n"
			   "target: {address: b}\n",
			   &error));
	assert_string_equal(options.source.sentinel_credentials.password, "s3cret");
	assert_null(options.source.credentials.password);
	task_options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_belong_together_is_refused),
		cmocka_unit_test(ports_follow_the_mode),
		cmocka_unit_test(names_come_from_addresses),
		cmocka_unit_test(the_work_directory_follows_the_name),
		cmocka_unit_test(listeners_are_checked),
		cmocka_unit_test(password_files_are_read),
		cmocka_unit_test(password_files_are_read_again),
		cmocka_unit_test(passwords_come_from_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
