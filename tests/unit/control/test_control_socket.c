/* The control socket: what it answers, and that nobody who asks badly keeps others from asking. */
#include "control/control_socket.h"
#include "control/json_server.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 120000

static char folder[300];
static char base[64];
static struct control_socket *server;
static uint64_t limits[2];
static int ends;

static char *on_status(void *owner)
{
	(void)owner;
	return memory_strdup("{\n \"task\": \"orders\",\n \"links\": []\n}");
}

static json_t *on_metrics(void *owner)
{
	(void)owner;
	return json_pack("{s:{s:s}}", "keyferry_link_up", "type", "gauge");
}

static void on_limit(void *owner, uint64_t records, uint64_t bytes)
{
	(void)owner;
	limits[0] = records;
	limits[1] = bytes;
}

static void on_end(void *owner)
{
	(void)owner;
	ends++;
}

static const struct control_socket_calls calls = {on_status, on_metrics, on_limit, on_end};

static int set_up(void **state)
{
	struct error error;
	const struct control_socket_options options = {
		.data_dir = folder, .task = "orders", .version = "1.2.3", .run = "r1", .revision = 7};

	(void)state;
	snprintf(base, sizeof(base), "/tmp/keyferry-control-XXXXXX");
	assert_non_null(mkdtemp(base));
	/* Longer than the path of a socket may be. */
	snprintf(folder, sizeof(folder), "%s/%0150d", base, 7);
	assert_int_equal(mkdir(folder, 0700), 0);
	ends = 0;
	server = control_socket_start(&options, &calls, NULL, &error);
	if (!server)
		fail_msg("%s", error.text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	control_socket_stop(server);
	return rmdir(folder) || rmdir(base);
}

static int dial(void)
{
	int pid, fd = json_server_connect(folder, CONTROL_NAME, &pid);

	assert_true(fd >= 0);
	assert_int_equal(pid, getpid());
	return fd;
}

static bool readable(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, WAIT_MS) == 1;
}

/* The next line; NULL: hung up. */
static json_t *receive(int fd)
{
	char text[4096];
	size_t len = 0;

	while (len < sizeof(text)) {
		ssize_t got;

		assert_true(readable(fd));
		got = recv(fd, text + len, 1, 0);
		if (got <= 0)
			return NULL;
		if (text[len++] == '\n')
			return json_loadb(text, len, 0, NULL);
	}
	return NULL;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static json_t *ask(int fd, const char *request)
{
	json_t *answer;

	put(fd, request);
	put(fd, "\n");
	answer = receive(fd);
	assert_non_null(answer);
	return answer;
}

static void expect(int fd, const char *request, bool ok)
{
	json_t *answer = ask(fd, request);

	if (json_is_true(json_object_get(answer, "ok")) != ok)
		fail_msg("%s", request);
	json_decref(answer);
}

static void test_answers(void **state)
{
	int fd = dial();
	json_t *answer = ask(fd, "{\"do\": \"hello\"}");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(answer, "task")), "orders");
	assert_string_equal(json_string_value(json_object_get(answer, "run")), "r1");
	assert_int_equal(json_integer_value(json_object_get(answer, "revision")), 7);
	json_decref(answer);
	answer = ask(fd, "{\"do\": \"status\"}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "status"), "task")), "orders");
	json_decref(answer);
	answer = ask(fd, "{\"do\": \"metrics\"}");
	assert_non_null(json_object_get(json_object_get(answer, "metrics"), "keyferry_link_up"));
	json_decref(answer);
	expect(fd, "{\"do\": \"limit\", \"records_per_second\": 5, \"bytes_per_second\": 0}", true);
	assert_int_equal(limits[0], 5);
	expect(fd, "{\"do\": \"limit\", \"records_per_second\": -1, \"bytes_per_second\": 0}", false);
	expect(fd, "{\"do\": \"limit\"}", false);
	expect(fd, "{\"do\": \"log_level\", \"level\": \"warning\"}", true);
	expect(fd, "{\"do\": \"log_level\", \"level\": \"loud\"}", false);
	expect(fd, "{\"do\": \"end\"}", true);
	assert_int_equal(ends, 1);
	log_set_level(LOG_INFO);
	close(fd);
}

static void test_bad_requests(void **state)
{
	static const char *const requests[] = {"",
					       "{",
					       "null",
					       "1",
					       "\"do\"",
					       "[]",
					       "{}",
					       "{\"do\": 1}",
					       "{\"do\": \"nothing\"}",
					       "{\"do\": \"hello\", \"do\": \"end\"}",
					       "\x80\xff"};
	int fd = dial();

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		expect(fd, requests[i], false);
	assert_int_equal(ends, 0);
	close(fd);
}

static void test_in_pieces_and_in_one(void **state)
{
	static const char request[] = "{\"do\": \"hello\"}\n{\"do\": \"status\"}\n{\"do\": \"none\"}\n";
	int fd = dial();
	json_t *answer;

	(void)state;
	for (size_t i = 0; request[i]; i++)
		assert_int_equal(send(fd, &request[i], 1, MSG_NOSIGNAL), 1);
	put(fd, request);
	for (int i = 0; i < 6; i++) {
		answer = receive(fd);
		assert_int_equal(json_is_true(json_object_get(answer, "ok")), i % 3 != 2);
		json_decref(answer);
	}
	close(fd);
}

static void test_line_too_long(void **state)
{
	char text[CONTROL_REQUEST_MAX + 2];
	int fd = dial(), other = dial();

	(void)state;
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	/* It may hang up before all of it is sent. */
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
	assert_null(receive(fd));
	expect(other, "{\"do\": \"hello\"}", true);
	close(fd);
	close(other);
}

static void test_too_many_clients(void **state)
{
	int all[JSON_CLIENTS_MAX], one;

	(void)state;
	for (int i = 0; i < JSON_CLIENTS_MAX; i++) {
		all[i] = dial();
		expect(all[i], "{\"do\": \"hello\"}", true);
	}
	one = dial();
	assert_null(receive(one));
	close(one);
	expect(all[3], "{\"do\": \"hello\"}", true);
	for (int i = 0; i < JSON_CLIENTS_MAX; i++)
		close(all[i]);
	/* Their places are free again, as soon as that is noticed. */
	for (int i = 0; i < WAIT_MS; i++) {
		json_t *answer;

		one = dial();
		if (send(one, "{\"do\": \"hello\"}\n", 16, MSG_NOSIGNAL) == 16 && (answer = receive(one))) {
			json_decref(answer);
			close(one);
			return;
		}
		close(one);
	}
	fail_msg("no place is free");
}

/* Who asks and reads nothing gets no more than fits, and holds nobody up. */
static void test_one_that_does_not_read(void **state)
{
	int fd = dial(), other = dial();

	(void)state;
	for (int i = 0; i < 100000; i++)
		if (send(fd, "{\"do\": \"status\"}\n", 17, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	expect(other, "{\"do\": \"hello\"}", true);
	close(fd);
	expect(other, "{\"do\": \"hello\"}", true);
	close(other);
}

static void test_left_socket_is_replaced(void **state)
{
	const struct control_socket_options options = {
		.data_dir = folder, .task = "orders", .version = "1", .run = "r2", .revision = 8};
	struct error error;
	struct stat file;
	char *path = memory_printf("%s/" CONTROL_NAME, folder);
	int fd, pid;

	(void)state;
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	control_socket_stop(server);
	assert_int_equal(stat(path, &file), -1);
	/* As a killed process leaves it. */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(json_server_connect(folder, CONTROL_NAME, &pid), -1);
	server = control_socket_start(&options, &calls, NULL, &error);
	assert_non_null(server);
	fd = dial();
	expect(fd, "{\"do\": \"hello\"}", true);
	close(fd);
	free(path);
}

static uint64_t cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* Who cannot be accepted for want of a descriptor waits, and costs nothing meanwhile. */
static void test_no_descriptors(void **state)
{
	int dir = open(folder, O_PATH | O_DIRECTORY), fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rlimit before, none;
	uint64_t used_ms;

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" CONTROL_NAME, dir);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	used_ms = cpu_ms();
	poll(NULL, 0, 500);
	used_ms = cpu_ms() - used_ms;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(used_ms < 40);
	expect(fd, "{\"do\": \"hello\"}", true);
	close(fd);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_pieces_and_in_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_line_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_does_not_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_left_socket_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_descriptors, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
