/* Streams over plain sockets, against a listener in the same thread: the kernel takes connections and bytes for it. */
#include "net/stream.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000ull

struct scene {
	struct loop *loop;
	struct stream *stream;
	int listener;
	uint16_t port;
	int peer; /* the accepted side */

	bool connected, failed, closed;
	struct error error;
	uint8_t *received;
	size_t received_len, received_cap;
	size_t chunk;  /* bytes a readable() takes */
	bool read_all; /* a readable() goes on until nothing is left */
	size_t expect; /* `done` once so many bytes are in */
	int readable, writable;
	const uint8_t *to_send;
	size_t to_send_len, sent;
	const char *free_in; /* callback in which the stream is freed */
	bool done;
};

static bool free_here(struct scene *scene, const char *where)
{
	if (!scene->free_in || strcmp(scene->free_in, where) != 0)
		return false;
	stream_free(scene->stream);
	scene->stream = NULL;
	scene->done = true;
	return true;
}

static void on_connected(void *owner)
{
	struct scene *scene = owner;

	scene->connected = true;
	if (free_here(scene, "connected"))
		return;
	if (scene->to_send_len > 0)
		stream_want_write(scene->stream, true);
	if (scene->expect == 0 && scene->to_send_len == 0)
		scene->done = true;
}

static void on_readable(void *owner)
{
	struct scene *scene = owner;
	ssize_t n;

	scene->readable++;
	if (free_here(scene, "readable"))
		return;
	do {
		size_t room = scene->chunk ? scene->chunk : 65536;

		if (scene->received_cap - scene->received_len < room) {
			scene->received_cap = scene->received_cap * 2 + room;
			scene->received = memory_realloc(scene->received, scene->received_cap);
		}
		n = stream_read(scene->stream, scene->received + scene->received_len, room, &scene->error);
		if (n < 0) {
			scene->closed = scene->done = true;
			free_here(scene, "closed");
			return;
		}
		scene->received_len += (size_t)n;
	} while (n > 0 && scene->read_all);
	if (scene->expect > 0 && scene->received_len >= scene->expect)
		scene->done = true;
}

static void on_writable(void *owner)
{
	struct scene *scene = owner;
	/* Three pieces, one of them empty, so that a write ends in the middle of any. */
	size_t left = scene->to_send_len - scene->sent;
	const uint8_t *at = scene->to_send + scene->sent;
	struct iovec pieces[3] = {{(void *)at, left / 3}, {NULL, 0}, {(void *)(at + left / 3), left - left / 3}};
	ssize_t n;

	scene->writable++;
	if (free_here(scene, "writable"))
		return;
	n = stream_write(scene->stream, pieces, 3, &scene->error);
	if (n < 0) {
		scene->closed = scene->done = true;
		return;
	}
	scene->sent += (size_t)n;
	if (scene->sent == scene->to_send_len) {
		stream_want_write(scene->stream, false);
		if (scene->expect == 0)
			scene->done = true;
	}
}

static void on_failed(void *owner, const struct error *error)
{
	struct scene *scene = owner;

	scene->failed = scene->done = true;
	scene->error = *error;
	free_here(scene, "failed");
}

static const struct stream_events events = {on_connected, on_readable, on_writable, on_failed};

static void scene_listen(struct scene *scene)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	memset(scene, 0, sizeof(*scene));
	scene->loop = loop_new();
	scene->peer = -1;
	scene->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(scene->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(scene->listener, 8), 0);
	assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&address, &len), 0);
	scene->port = ntohs(address.sin_port);
}

static void scene_connect_to(struct scene *scene, const char *host, uint16_t port, uint32_t timeout_ms)
{
	struct stream_options options = {.connect_timeout_ms = timeout_ms, .blame = ERROR_TARGET};

	snprintf(options.endpoint.host, sizeof(options.endpoint.host), "%s", host);
	options.endpoint.port = port;
	scene->stream = stream_connect(scene->loop, &options, &events, scene);
	assert_false(scene->done); /* the outcome comes by callback */
}

static void scene_run(struct scene *scene)
{
	assert_true(loop_run_until(scene->loop, &scene->done, clock_monotonic_us() + 120 * SECOND));
	scene->done = false;
}

static void scene_accept(struct scene *scene)
{
	scene->peer = accept(scene->listener, NULL, NULL);
	assert_true(scene->peer >= 0);
}

static void scene_open(struct scene *scene)
{
	scene_listen(scene);
	scene_connect_to(scene, "127.0.0.1", scene->port, 5000);
	scene_run(scene);
	assert_true(scene->connected);
	scene_accept(scene);
}

static void scene_end(struct scene *scene)
{
	stream_free(scene->stream);
	if (scene->peer >= 0)
		close(scene->peer);
	if (scene->listener >= 0)
		close(scene->listener);
	loop_free(scene->loop);
	free(scene->received);
}

static void test_both_ways(void **state)
{
	struct scene scene;
	char text[16];

	(void)state;
	scene_open(&scene);
	scene.to_send = (const uint8_t *)"PING\r\n";
	scene.to_send_len = 6;
	stream_want_write(scene.stream, true);
	scene_run(&scene);
	assert_int_equal(recv(scene.peer, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "PING\r\n", 6);

	scene.expect = 7;
	assert_int_equal(send(scene.peer, "+PONG\r\n", 7, 0), 7);
	scene_run(&scene);
	assert_memory_equal(scene.received, "+PONG\r\n", 7);
	scene_end(&scene);
}

static void test_level_triggered(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene);
	scene.chunk = 1;
	scene.expect = 7;
	assert_int_equal(send(scene.peer, "+PONG\r\n", 7, 0), 7);
	scene_run(&scene);
	assert_memory_equal(scene.received, "+PONG\r\n", 7);
	assert_int_equal(scene.readable, 7);

	/* Not while reading is not wanted. */
	stream_want_read(scene.stream, false);
	scene.expect = 8;
	assert_int_equal(send(scene.peer, "x", 1, 0), 1);
	assert_false(loop_run_until(scene.loop, &scene.done, clock_monotonic_us() + 10000));
	assert_int_equal(scene.readable, 7);
	stream_want_read(scene.stream, true);
	scene_run(&scene);
	assert_int_equal(scene.received_len, 8);
	scene_end(&scene);
}

static void test_partial_writes(void **state)
{
	const size_t total = 16u << 20;
	struct scene scene;
	uint8_t *data = memory_alloc(total);
	uint8_t *got = memory_alloc(total);
	size_t received = 0;

	(void)state;
	for (size_t i = 0; i < total; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	scene_open(&scene);
	scene.to_send = data;
	scene.to_send_len = total;
	stream_want_write(scene.stream, true);
	while (received < total) {
		/* Fill the pipe, then drain it. */
		loop_run_until(scene.loop, &scene.done, clock_monotonic_us() + 1000);
		for (;;) {
			ssize_t n = recv(scene.peer, got + received, total - received, MSG_DONTWAIT);

			if (n <= 0)
				break;
			received += (size_t)n;
		}
	}
	assert_memory_equal(data, got, total);
	assert_true(scene.writable > 1);
	scene_end(&scene);
	free(data);
	free(got);
}

static void test_peer_closes(void **state)
{
	struct scene scene;
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	scene_open(&scene);
	assert_int_equal(send(scene.peer, "half", 4, 0), 4);
	close(scene.peer);
	scene.peer = -1;
	scene_run(&scene);
	assert_true(scene.closed);
	assert_false(scene.failed);
	assert_int_equal(scene.received_len, 4);
	snprintf(text, sizeof(text), "127.0.0.1:%u: closed the connection", scene.port);
	assert_string_equal(scene.error.text, text);
	assert_int_equal(scene.error.kind, ERROR_TARGET);
	scene_end(&scene);
}

/* SIGPIPE has its default action here: the test program would end. */
static void test_write_to_closed_peer(void **state)
{
	struct scene scene;
	struct linger reset = {1, 0};
	uint8_t data[4096] = {0};

	(void)state;
	scene_open(&scene);
	stream_want_read(scene.stream, false);
	scene.to_send = data;
	scene.to_send_len = SIZE_MAX / 2; /* never done: only the first 4096 bytes are looked at */
	setsockopt(scene.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(scene.peer);
	scene.peer = -1;
	for (;;) {
		struct iovec piece = {data, sizeof(data)};
		ssize_t n = stream_write(scene.stream, &piece, 1, &scene.error);

		if (n < 0)
			break;
	}
	assert_non_null(strstr(scene.error.text, scene.error.text[0] ? "connection" : "?"));
	scene_end(&scene);
}

static void test_reset_is_seen_by_reader(void **state)
{
	struct scene scene;
	struct linger reset = {1, 0};

	(void)state;
	scene_open(&scene);
	setsockopt(scene.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(scene.peer);
	scene.peer = -1;
	scene_run(&scene);
	assert_true(scene.closed);
	assert_non_null(strstr(scene.error.text, ": connection reset by peer"));
	scene_end(&scene);
}

static void test_refused(void **state)
{
	struct scene scene;
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	scene_listen(&scene);
	close(scene.listener);
	scene.listener = -1;
	scene_connect_to(&scene, "127.0.0.1", scene.port, 5000);
	scene_run(&scene);
	assert_true(scene.failed);
	snprintf(text, sizeof(text), "127.0.0.1:%u: connection refused", scene.port);
	assert_string_equal(scene.error.text, text);
	assert_int_equal(scene.error.kind, ERROR_TARGET);
	scene_end(&scene);
}

static void test_every_address_is_tried(void **state)
{
	struct scene scene;

	(void)state;
	/* localhost is ::1 too on most machines, where nobody listens. */
	scene_listen(&scene);
	scene_connect_to(&scene, "localhost", scene.port, 5000);
	scene_run(&scene);
	assert_true(scene.connected);
	scene_end(&scene);
}

static void test_name_not_found(void **state)
{
	struct scene scene;
	char label[80];

	(void)state;
	/* A label over 63 letters can be no name: no name server is asked. */
	memset(label, 'a', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	scene_listen(&scene);
	scene_connect_to(&scene, label, 6379, 5000);
	scene_run(&scene);
	assert_true(scene.failed);
	assert_non_null(strstr(scene.error.text, "aaaa:6379: name not found"));
	scene_end(&scene);
}

static void test_connect_times_out(void **state)
{
	struct scene scene;
	char text[ENDPOINT_TEXT_MAX];
	int fillers[16];

	(void)state;
	/* A listener whose queue is full answers no one. */
	scene_listen(&scene);
	assert_int_equal(listen(scene.listener, 0), 0);
	for (int i = 0; i < 16; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(scene.port)};

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
	}
	scene_connect_to(&scene, "127.0.0.1", scene.port, 50);
	scene_run(&scene);
	assert_true(scene.failed);
	snprintf(text, sizeof(text), "127.0.0.1:%u: timed out after 0.05 s while connecting", scene.port);
	assert_string_equal(scene.error.text, text);
	for (int i = 0; i < 16; i++)
		close(fillers[i]);
	scene_end(&scene);
}

static void test_free_in_callbacks(void **state)
{
	static const char *const where[] = {"connected", "readable", "writable", "closed", "failed"};

	(void)state;
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		struct scene scene;

		scene_listen(&scene);
		scene.free_in = where[i];
		scene.to_send = (const uint8_t *)"PING\r\n";
		scene.to_send_len = strcmp(where[i], "writable") == 0 ? 6 : 0;
		if (strcmp(where[i], "failed") == 0) {
			close(scene.listener);
			scene.listener = -1;
		}
		scene_connect_to(&scene, "127.0.0.1", scene.port, 5000);
		scene_run(&scene);
		if (strcmp(where[i], "readable") == 0) {
			scene_accept(&scene);
			assert_int_equal(send(scene.peer, "x", 1, 0), 1);
			scene_run(&scene);
		}
		if (strcmp(where[i], "closed") == 0) {
			scene_accept(&scene);
			close(scene.peer);
			scene.peer = -1;
			scene_run(&scene);
		}
		assert_null(scene.stream);
		scene_end(&scene);
	}
}

static void test_free_before_any_callback(void **state)
{
	struct scene scene;

	(void)state;
	scene_listen(&scene);
	scene_connect_to(&scene, "127.0.0.1", scene.port, 5000);
	stream_free(scene.stream);
	/* With a name look-up under way. */
	scene_connect_to(&scene, "localhost", scene.port, 5000);
	stream_free(scene.stream);
	scene.stream = NULL;
	assert_false(loop_run_until(scene.loop, &scene.done, clock_monotonic_us() + 5000));
	scene_end(&scene);
	assert_false(scene.connected);
}

static void test_unix_socket(void **state)
{
	struct scene scene;
	char folder[] = "/tmp/keyferry-test-XXXXXX";
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	scene_listen(&scene);
	close(scene.listener);
	scene.listener = -1;

	scene_connect_to(&scene, address.sun_path, 0, 5000);
	scene_run(&scene);
	assert_true(scene.failed);
	assert_non_null(strstr(scene.error.text, "/socket: no such file or directory"));
	stream_free(scene.stream);

	scene.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(scene.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(scene.listener, 1), 0);
	scene_connect_to(&scene, address.sun_path, 0, 5000);
	scene_run(&scene);
	assert_true(scene.connected);
	assert_string_equal(stream_peer(scene.stream), address.sun_path);
	scene_end(&scene);
	unlink(address.sun_path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_level_triggered),
		cmocka_unit_test(test_partial_writes),
		cmocka_unit_test(test_peer_closes),
		cmocka_unit_test(test_write_to_closed_peer),
		cmocka_unit_test(test_reset_is_seen_by_reader),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_address_is_tried),
		cmocka_unit_test(test_name_not_found),
		cmocka_unit_test(test_connect_times_out),
		cmocka_unit_test(test_free_in_callbacks),
		cmocka_unit_test(test_free_before_any_callback),
		cmocka_unit_test(test_unix_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
