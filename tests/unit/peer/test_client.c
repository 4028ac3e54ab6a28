/* The client against a listener in the same thread, which answers what each test says. */
#include "peer/client.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000ull

struct scene {
	struct loop *loop;
	struct client *client;
	struct client_options options;
	int listener;
	int peer;

	int replies, errors, deaths;
	bool done; /* set by each callback */
	bool free_in_callback;
	struct error error;
	struct error death;
	enum resp_type type;
	char text[4096]; /* the reply's values, one after the other */
};

static void on_reply(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct scene *scene = owner;

	scene->done = true;
	if (error) {
		scene->errors++;
		scene->error = *error;
	} else {
		size_t used = 0;

		scene->replies++;
		scene->type = reply->nodes[0].type;
		for (uint32_t i = 0; i < reply->count && used < sizeof(scene->text) - 1; i++)
			used += (size_t)snprintf(scene->text + used, sizeof(scene->text) - used, "%c%.*s ",
						 (char)reply->nodes[i].type, (int)reply->nodes[i].text.len,
						 (const char *)reply->nodes[i].text.data);
	}
	if (scene->free_in_callback) {
		client_free(scene->client);
		scene->client = NULL;
	}
}

static void on_dead(void *owner, const struct error *error)
{
	struct scene *scene = owner;

	scene->deaths++;
	scene->death = *error;
	scene->done = true;
}

static void scene_start(struct scene *scene, const struct credentials *credentials, const char *name, uint32_t timeout_ms)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	memset(scene, 0, sizeof(*scene));
	scene->loop = loop_new();
	scene->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(scene->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(scene->listener, 4), 0);
	assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&address, &len), 0);
	scene->options = (struct client_options){.endpoint = {"127.0.0.1", ntohs(address.sin_port)},
						 .credentials = credentials,
						 .name = name,
						 .timeout_ms = timeout_ms,
						 .blame = ERROR_TARGET};
	scene->client = client_new(scene->loop, &scene->options);
	client_on_dead(scene->client, on_dead, scene);
	/* The connection is there once the kernel has it, whether the loop has seen it or not. */
	loop_run_until(scene->loop, &scene->done, clock_monotonic_us() + 1000);
	scene->peer = accept(scene->listener, NULL, NULL);
	assert_true(scene->peer >= 0);
}

static void scene_end(struct scene *scene)
{
	client_free(scene->client);
	if (scene->peer >= 0)
		close(scene->peer);
	close(scene->listener);
	loop_free(scene->loop);
}

/* Runs the loop until the listener's side has received `expected`. */
static void expect_request(struct scene *scene, const char *expected)
{
	char got[8192];
	size_t len = strlen(expected), have = 0;
	uint64_t deadline = clock_monotonic_us() + 120 * SECOND;
	bool never = false;

	while (have < len && clock_monotonic_us() < deadline) {
		ssize_t n;

		loop_run_until(scene->loop, &never, clock_monotonic_us() + 500);
		n = recv(scene->peer, got + have, sizeof(got) - 1 - have, MSG_DONTWAIT);
		if (n > 0)
			have += (size_t)n;
	}
	got[have] = '\0';
	assert_string_equal(got, expected);
}

static void answer(struct scene *scene, const char *text)
{
	assert_int_equal(send(scene->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void run(struct scene *scene)
{
	scene->done = false;
	assert_true(loop_run_until(scene->loop, &scene->done, clock_monotonic_us() + 120 * SECOND));
}

static void hang_up(struct scene *scene)
{
	close(scene->peer);
	scene->peer = -1;
}

#define PING "*1\r\n$4\r\nPING\r\n"

static void test_pipeline_in_order(void **state)
{
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	client_send_strings(scene.client, on_reply, &scene, "GET", "k", NULL);
	client_send_strings(scene.client, NULL, NULL, "SET", "k", "", NULL);
	expect_request(&scene, PING "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
	answer(&scene, "+PONG\r\n");
	run(&scene);
	assert_string_equal(scene.text, "+PONG ");
	answer(&scene, "-WRONGTYPE no\r\n+OK\r\n");
	run(&scene);
	assert_string_equal(scene.text, "-WRONGTYPE no ");
	assert_int_equal(scene.replies, 2);
	assert_int_equal(scene.errors, 0);
	assert_false(client_is_dead(scene.client));
	scene_end(&scene);
}

static void test_reply_split_at_every_byte(void **state)
{
	static const char reply[] = "*3\r\n$5\r\nhello\r\n*2\r\n:42\r\n$-1\r\n-ERR inner\r\n";
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	client_send_strings(scene.client, on_reply, &scene, "X", NULL);
	expect_request(&scene, "*1\r\n$1\r\nX\r\n");
	for (size_t i = 0; i + 1 < sizeof(reply) - 1; i++) {
		assert_int_equal(send(scene.peer, reply + i, 1, 0), 1);
		loop_run_until(scene.loop, &scene.done, clock_monotonic_us() + 300);
		assert_int_equal(scene.replies, 0);
	}
	answer(&scene, "\n");
	run(&scene);
	assert_string_equal(scene.text, "* $hello * :42 _ -ERR inner ");
	scene_end(&scene);
}

static void count_reply(void *owner, const struct client_reply *reply, const struct error *error)
{
	uint32_t *count = owner;

	*count = error ? 0 : reply->count;
}

static void test_many_values(void **state)
{
	struct scene scene;
	uint32_t count = 0;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	client_send_strings(scene.client, count_reply, &count, "X", NULL);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	expect_request(&scene, "*1\r\n$1\r\nX\r\n" PING);
	answer(&scene, "*5000\r\n");
	for (int i = 0; i < 5000; i++)
		answer(&scene, ":1\r\n");
	answer(&scene, "+PONG\r\n");
	run(&scene);
	assert_int_equal(count, 5001);
	assert_string_equal(scene.text, "+PONG ");
	scene_end(&scene);
}

static void test_hello_goes_first(void **state)
{
	struct credentials credentials = {.username = (char *)"sync", .password = (char *)"sesame"};
	struct scene scene;

	(void)state;
	scene_start(&scene, &credentials, "keyferry:t", 0);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	/* Nothing of the user's is sent while the password is not accepted. */
	expect_request(&scene, "*3\r\n$4\r\nAUTH\r\n$4\r\nsync\r\n$6\r\nsesame\r\n"
			       "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$10\r\nkeyferry:t\r\n");
	answer(&scene, "+OK\r\n-ERR unknown command\r\n");
	expect_request(&scene, PING);
	answer(&scene, "+PONG\r\n");
	run(&scene);
	assert_string_equal(scene.text, "+PONG ");
	scene_end(&scene);
}

static void refuse_auth(const char *username, const char *refusal, const char *text, const char *hint)
{
	struct credentials credentials = {.username = (char *)username, .password = (char *)"sesame"};
	struct scene scene;

	scene_start(&scene, &credentials, NULL, 0);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	answer(&scene, refusal);
	run(&scene);
	assert_int_equal(scene.errors, 1);
	assert_int_equal(scene.deaths, 1);
	assert_true(client_is_dead(scene.client));
	assert_int_equal(scene.error.kind, ERROR_TARGET);
	if (!strstr(scene.error.text, text) || !strstr(scene.error.hint, hint) || strstr(scene.error.text, "sesame"))
		fail_msg("'%s' (%s) was expected to say '%s' (%s)", scene.error.text, scene.error.hint, text, hint);
	scene_end(&scene);
}

static void test_auth_refused(void **state)
{
	(void)state;
	refuse_auth(NULL, "-WRONGPASS invalid username-password pair or user is disabled.\r\n", "wrong user name or password",
		    "check target.password");
	refuse_auth("sync", "-WRONGPASS invalid username-password pair or user is disabled.\r\n", "wrong user name or password",
		    "target.username and target.password");
	refuse_auth(NULL, "-ERR invalid password\r\n", "wrong user name or password", "target.password");
	refuse_auth(NULL, "-ERR Client sent AUTH, but no password is set\r\n", "the server has none", "remove target.password");
	refuse_auth("sync", "-ERR wrong number of arguments for 'auth' command\r\n", "older than Redis 6", "target.username");
	refuse_auth(NULL, "-ERR unknown command `AUTH`, with args beginning with: `sesame`, \r\n", "refuses AUTH", "");
	refuse_auth(NULL, "-ERR max number of clients reached\r\n", "max number of clients reached", "");
	refuse_auth(NULL, "-DENIED Redis is running in protected mode because ...\r\n", "protected mode", "password");
}

static void expect_death(struct scene *scene, const char *text)
{
	while (scene->deaths == 0)
		run(scene);
	if (!strstr(scene->death.text, text))
		fail_msg("'%s' lacks '%s'", scene->death.text, text);
}

static void test_peer_closes_mid_reply(void **state)
{
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	client_send_strings(scene.client, on_reply, &scene, "CONFIG", "GET", "maxmemory", NULL);
	client_send_strings(scene.client, on_reply, &scene, "INFO", NULL);
	expect_request(&scene, PING "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$9\r\nmaxmemory\r\n*1\r\n$4\r\nINFO\r\n");
	/* What was read before the end is handed out. */
	answer(&scene, "+PONG\r\n*2\r\n$9\r\nmaxme");
	hang_up(&scene);
	expect_death(&scene, "instead of answering CONFIG GET");
	assert_int_equal(scene.replies, 1);
	assert_int_equal(scene.errors, 2);
	/* Later requests are answered as well, but not from within client_send(). */
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	assert_int_equal(scene.errors, 2);
	run(&scene);
	assert_int_equal(scene.errors, 3);
	assert_int_equal(scene.deaths, 1);
	scene_end(&scene);
}

static void test_silence(void **state)
{
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 60);
	client_send_strings(scene.client, on_reply, &scene, "SENTINEL", "MASTERS", NULL);
	expect_death(&scene, "no answer to SENTINEL MASTERS within 0.06 s");
	assert_int_equal(scene.errors, 1);
	scene_end(&scene);
}

static void garbage(const char *bytes, const char *text, const char *hint)
{
	struct scene scene;

	scene_start(&scene, NULL, NULL, 0);
	client_send_strings(scene.client, on_reply, &scene, "INFO", NULL);
	answer(&scene, bytes);
	expect_death(&scene, text);
	assert_non_null(strstr(scene.death.hint, hint));
	scene_end(&scene);
}

static void test_not_a_server(void **state)
{
	(void)state;
	garbage("HTTP/1.1 400 Bad Request\r\n\r\n", "not a Redis or Valkey server: it answers \"HTTP/1.1 400 Bad Request",
		"host and port");
	garbage("\x15\x03\x03\x02\x02\x46", "the server speaks TLS on this port", "target.tls");
	garbage("$-5\r\n", "not a Redis", "");
}

static void test_malformed_later(void **state)
{
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	client_send_strings(scene.client, on_reply, &scene, "GET", "secret-key", NULL);
	expect_request(&scene, PING "*2\r\n$3\r\nGET\r\n$10\r\nsecret-key\r\n");
	answer(&scene, "+PONG\r\n:12x\r\n");
	expect_death(&scene, "the answer to GET cannot be read: byte 1: integer expected");
	scene_end(&scene);
}

static void test_unasked(void **state)
{
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	answer(&scene, "-ERR max number of clients reached\r\n");
	expect_death(&scene, "max number of clients reached");
	scene_end(&scene);
	scene_start(&scene, NULL, NULL, 0);
	answer(&scene, "+OK\r\n");
	expect_death(&scene, "nothing was asked for");
	scene_end(&scene);
}

static void test_free_in_callback(void **state)
{
	struct scene scene;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	scene.free_in_callback = true;
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	answer(&scene, "+PONG\r\n+PONG\r\n");
	run(&scene);
	assert_int_equal(scene.replies, 1);
	scene_end(&scene);
	/* And while the connection dies. */
	scene_start(&scene, NULL, NULL, 0);
	scene.free_in_callback = true;
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	client_send_strings(scene.client, on_reply, &scene, "PING", NULL);
	hang_up(&scene);
	run(&scene);
	assert_int_equal(scene.errors, 1);
	assert_int_equal(scene.deaths, 0);
	scene_end(&scene);
}

/* Answers as many requests as there are replies. */
struct responder {
	int fd;
	const char *const *replies;
};

static void *respond(void *arg)
{
	struct responder *responder = arg;
	char request[4096];

	for (const char *const *reply = responder->replies; *reply; reply++) {
		if (recv(responder->fd, request, sizeof(request), 0) <= 0)
			break;
		send(responder->fd, *reply, strlen(*reply), MSG_NOSIGNAL);
	}
	shutdown(responder->fd, SHUT_WR);
	return NULL;
}

static void test_call(void **state)
{
	static const char *const replies[] = {"$5\r\nhello\r\n", "-NOAUTH Authentication required.\r\n",
					      "-NOPERM this user has no permissions\r\n", "-ERR kept\r\n", NULL};
	struct scene scene;
	struct responder responder;
	struct client_reply reply;
	struct error error;
	pthread_t thread;

	(void)state;
	scene_start(&scene, NULL, NULL, 0);
	responder = (struct responder){scene.peer, replies};
	pthread_create(&thread, NULL, respond, &responder);
	assert_true(client_call(scene.client, &reply, false, &error, "GET", "k", NULL));
	assert_true(slice_equal(reply.nodes[0].text, SLICE("hello")));
	assert_false(client_call(scene.client, &reply, false, &error, "GET", "k", NULL));
	assert_non_null(strstr(error.text, ": the server asks for a password"));
	assert_non_null(strstr(error.hint, "target.password"));
	assert_false(client_call(scene.client, &reply, false, &error, "CONFIG", "GET", "x", NULL));
	assert_non_null(strstr(error.hint, "right to run CONFIG GET"));
	assert_true(client_call(scene.client, &reply, true, &error, "GET", "k", NULL));
	assert_int_equal(reply.nodes[0].type, RESP_ERROR);
	assert_false(client_call(scene.client, &reply, true, &error, "GET", "k", NULL));
	assert_non_null(strstr(error.text, "closed the connection"));
	assert_true(client_is_dead(scene.client));
	assert_false(client_call(scene.client, &reply, true, &error, "GET", "k", NULL));
	pthread_join(thread, NULL);
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipeline_in_order), cmocka_unit_test(test_reply_split_at_every_byte),
		cmocka_unit_test(test_many_values),       cmocka_unit_test(test_hello_goes_first),
		cmocka_unit_test(test_auth_refused),      cmocka_unit_test(test_peer_closes_mid_reply),
		cmocka_unit_test(test_silence),           cmocka_unit_test(test_not_a_server),
		cmocka_unit_test(test_malformed_later),   cmocka_unit_test(test_unasked),
		cmocka_unit_test(test_free_in_callback),  cmocka_unit_test(test_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
