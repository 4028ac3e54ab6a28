/* The server over real sockets on loopback: what is HTTP, what is not, and what lasts. */
#include "api/server.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/memory.h"
#include "fake_service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 120000

static struct service *service;
static struct server *server;

static int set_up(void **state)
{
	const struct server_options options = {.listen = "127.0.0.1:0", .version = "1.2.3"};
	struct error error;

	(void)state;
	service = fake_service_new();
	server = server_start(service, &options, &error);
	if (!server)
		print_error("%s\n", error.text);
	return server ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	server_stop(server);
	server = NULL;
	fake_service_free(service);
	return 0;
}

static int dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)atoi(strrchr(server_url(server), ':') + 1)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Until the text is there, or the end. Returns what was read; free(). */
static char *read_until(int fd, const char *text)
{
	char *got = memory_strdup("");
	size_t len = 0;
	uint64_t until = clock_monotonic_us() + WAIT_MS * 1000ULL;

	while (!text || !strstr(got, text)) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t more;

		if (clock_monotonic_us() > until)
			fail_msg("no %s in: %s", text ? text : "end", got);
		if (poll(&wait, 1, 100) <= 0)
			continue;
		got = memory_realloc(got, len + 4097);
		more = recv(fd, got + len, 4096, 0);
		if (more <= 0) {
			got[len] = '\0';
			break;
		}
		len += (size_t)more;
		got[len] = '\0';
	}
	return got;
}

static void tell(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

		if (sent <= 0)
			break; /* it has answered and closed already */
		text += sent;
		len -= (size_t)sent;
	}
}

static char *ask(const char *request)
{
	int fd = dial();
	char *answer;

	tell(fd, request);
	answer = read_until(fd, NULL);
	close(fd);
	return answer;
}

#define END "Host: localhost\r\nConnection: close\r\n\r\n"

static void expect(const char *request, const char *status)
{
	char *answer = ask(request);

	if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, 3) != 0)
		fail_msg("%.200s: %.400s", request, answer);
	free(answer);
}

static void test_answers(void **state)
{
	static const char *const headers[] = {"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
					      "X-Content-Type-Options: nosniff",
					      "Cache-Control: no-store",
					      "Referrer-Policy: no-referrer",
					      "X-Frame-Options: DENY",
					      "Content-Type: application/json"};
	char *answer = ask("GET /api/v1/tasks HTTP/1.1\r\n" END);

	(void)state;
	assert_non_null(strstr(answer, "\r\n\r\n{\"items\":[]}"));
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_non_null(strstr(answer, headers[i]));
	free(answer);
	answer = ask("HEAD /api/v1/tasks HTTP/1.1\r\n" END);
	assert_non_null(strstr(answer, "Content-Length: 12\r\n"));
	assert_null(strstr(answer, "{\"items\""));
	free(answer);
	expect("GET /api/v1/nothing HTTP/1.1\r\n" END, "404");
	expect("GET /api/v1/tasks/%00 HTTP/1.1\r\n" END, "400");
	expect("GET /api/v1/tasks HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "403");
	expect("GET /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\n" END, "400");
	expect("GET /api/v1/tasks HTTP/1.1\r\nConnection: close\r\n\r\n", "400");
}

static void test_bodies(void **state)
{
	static char large[300000];
	char *request;

	(void)state;
	expect("POST /api/v1/tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n" END "{\"name\":\"a\"}",
	       "201");
	expect("POST /api/v1/tasks HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" END
	       "5\r\n{\"nam\r\n7\r\ne\":\"b\"}\r\n0\r\n\r\n",
	       "201");
	expect("POST /api/v1/tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n" END, "413");
	expect("POST /api/v1/tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999999999\r\n" END,
	       "413");
	expect("POST /api/v1/tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: -1\r\n" END, "400");
	expect("POST /api/v1/tasks/a/start HTTP/1.1\r\n" END, "200");
	/* Chunks do not say how many there will be. */
	memset(large, ' ', 100000);
	request = memory_printf(
		"PUT /api/v1/tasks/a/limits HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" END
		"186a0\r\n%s\r\n0\r\n\r\n",
		large);
	expect(request, "413");
	free(request);
	memset(large, 'a', 299999);
	request = memory_printf("GET /api/v1/tasks HTTP/1.1\r\nX-Large: %s\r\n" END, large);
	expect(request, "431");
	free(request);
	request = memory_printf("GET /%.3000s HTTP/1.1\r\n" END, large);
	expect(request, "414");
	free(request);
}

/* `count` pairs of bytes stand between. */
static void expect_head(const char *before, size_t count, const char *status)
{
	char *filling = memory_alloc(2 * count + 1), *request;

	for (size_t i = 0; i < count; i++)
		memcpy(filling + 2 * i, "&a", 2);
	filling[2 * count] = '\0';
	request = memory_printf("%s%s%s", before, filling, strchr(before, '\r') ? "\r\n" END : " HTTP/1.1\r\n" END);
	expect(request, status);
	free(request);
	free(filling);
}

/* Every head is answered, also where it leaves little room for the answer. */
static void test_heads(void **state)
{
	static const char header[] = "GET /api/v1/version HTTP/1.1\r\nX-Large: ";
	const size_t most = (API_HEAD_MAX - strlen(header) - strlen("\r\n" END)) / 2;

	(void)state;
	for (size_t count = most - 400; count < most + 100; count += 20)
		expect_head(header, count, count <= most ? "200" : "431");
	expect_head(header, 90000, "431");
	expect_head("GET /", 16000, "414");
	for (size_t count = 480; count < 1000; count += 40)
		expect_head("GET /api/v1/version?a", count, "400");
	expect_head("GET /api/v1/version?a", 1100, "414");
	expect_head("GET /api/v1/version HTTP/1.1\r\nCookie: a", 16000, "200");
}

/* One connection, many requests, also ahead of their answers. */
static void test_pipelined(void **state)
{
	int fd = dial();
	char *answer;
	int count = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		tell(fd, "GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n");
	tell(fd, "GET /healthz HTTP/1.1\r\n" END);
	answer = read_until(fd, NULL);
	for (const char *at = answer; (at = strstr(at, "HTTP/1.1 200 OK")); at++)
		count++;
	assert_int_equal(count, 51);
	free(answer);
	close(fd);
}

/* None of these must hurt; what is answered, if anything, is an error. */
static void test_not_http(void **state)
{
	static const char *const requests[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"\x16\x03\x01\x02",
		"GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
		"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
		"GET http://x/ HTTP/1.1\r\n" END,
		"OPTIONS * HTTP/1.1\r\n" END,
		"GET /api/v1/tasks HTTP/1.0\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		char answer[4096] = "";
		int fd = dial();

		tell(fd, requests[i]);
		shutdown(fd, SHUT_WR);
		/* Some are waited for until the time-out; all others have their answer before this one. */
		expect("GET /healthz HTTP/1.1\r\n" END, "200");
		assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT) < (ssize_t)sizeof(answer));
		assert_null(strstr(answer, " 200 "));
		close(fd);
	}
	expect("GET /healthz HTTP/1.1\r\n" END, "200");
}

static int listen_to_events(void)
{
	int fd = dial();

	tell(fd, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
	return fd;
}

static void test_events(void **state)
{
	int fd = listen_to_events();
	char *text = read_until(fd, "\r\n\r\n");

	(void)state;
	assert_non_null(strstr(text, "Content-Type: text/event-stream"));
	free(text);
	/* A stream sleeps while nothing happens, and others go on meanwhile. */
	expect("POST /api/v1/tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n" END "{\"name\":\"a\"}",
	       "201");
	text = read_until(fd, "\"name\":\"a\"");
	free(text);
	for (int i = 0; i < 5; i++) {
		fake_service_tell(service, SERVICE_EVENTS, 1, "resumed");
		text = read_until(fd, "event: incident");
		free(text);
	}
	close(fd);
}

/* The end comes soon, whoever listens and whoever has not said all that he wants. */
static void test_stop_with_clients(void **state)
{
	int listeners[5], idle[5];
	char *text;

	(void)state;
	for (int i = 0; i < 5; i++) {
		listeners[i] = listen_to_events();
		text = read_until(listeners[i], "\r\n\r\n");
		free(text);
		idle[i] = dial();
		tell(idle[i], "GET /api/v1/ta");
	}
	server_stop(server);
	server = NULL;
	for (int i = 0; i < 5; i++) {
		text = read_until(listeners[i], NULL);
		free(text);
		close(listeners[i]);
		close(idle[i]);
	}
}

static void test_clients_that_leave(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		int fd = i % 2 ? listen_to_events() : dial();

		if (i % 2 == 0)
			tell(fd, "GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n");
		close(fd);
	}
	expect("GET /healthz HTTP/1.1\r\n" END, "200");
}

static void test_where_it_listens(void **state)
{
	struct server_options options = {.listen = "nowhere", .version = "1"};
	struct error error;

	(void)state;
	assert_null(server_start(service, &options, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	options.listen = strstr(server_url(server), "127");
	assert_null(server_start(service, &options, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	options.listen = "127.0.0.1:0";
	options.certificate_file = "/nowhere/cert.pem";
	assert_null(server_start(service, &options, &error));
	assert_non_null(strstr(error.text, "both"));
	options.key_file = "/nowhere/key.pem";
	assert_null(server_start(service, &options, &error));
	assert_non_null(strstr(error.text, "/nowhere/cert.pem"));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {CASE(test_answers),
					   CASE(test_bodies),
					   CASE(test_heads),
					   CASE(test_pipelined),
					   CASE(test_not_http),
					   CASE(test_events),
					   CASE(test_stop_with_clients),
					   CASE(test_clients_that_leave),
					   CASE(test_where_it_listens)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
