#include "cmd/daemon_call.h"

#include "base/clock.h"
#include "base/memory.h"
#include "control/json_server.h"
#include "service/call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_NAME "control"
#define ANSWER_MS 30000

static bool wait_until(int fd, short events, uint64_t until_us)
{
	struct pollfd wait = {.fd = fd, .events = events};
	uint64_t now_us = clock_monotonic_us();
	int got;

	do {
		got = now_us < until_us ? poll(&wait, 1, (int)((until_us - now_us) / 1000) + 1) : 0;
		now_us = clock_monotonic_us();
	} while (got < 0 && errno == EINTR);
	return got > 0;
}

static bool send_line(int fd, const char *text, uint64_t until_us)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (sent < 0 && !wait_until(fd, POLLOUT, until_us))
			return false;
		text += sent > 0 ? sent : 0;
		len -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

/* NULL: it has hung up, or says nothing. */
static char *read_line(int fd, uint64_t until_us)
{
	char *text = memory_alloc(JSON_ANSWER_MAX + 1);
	size_t len = 0;

	while (len < JSON_ANSWER_MAX && wait_until(fd, POLLIN, until_us)) {
		ssize_t got = recv(fd, text + len, JSON_ANSWER_MAX - len, 0);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
		text[len] = '\0';
		if (text[len - 1] == '\n')
			return text;
	}
	free(text);
	return NULL;
}

static json_t *ask_at_socket(int fd, const json_t *request, struct error *error)
{
	uint64_t until_us = clock_monotonic_us() + ANSWER_MS * 1000ULL;
	char *text = json_dumps(request, JSON_COMPACT), *line = memory_printf("%s\n", text), *got = NULL;
	json_t *answer = NULL;

	if (send_line(fd, line, until_us) && (got = read_line(fd, until_us)))
		answer = json_loads(got, 0, NULL);
	if (!answer)
		error_set(error, ERROR_INTERNAL, "the daemon does not answer");
	free(text);
	free(line);
	free(got);
	close(fd);
	return answer;
}

static json_t *ask_here(const struct service_config *config, const json_t *request, struct error *error)
{
	struct service *service = service_open(config, error);
	char who[32];
	const struct service_caller caller = {who, ""};
	json_t *answer;

	if (!service)
		return NULL;
	snprintf(who, sizeof(who), "cli:uid %u", getuid());
	answer = call_answer(service, &caller, request);
	service_close(service);
	return answer;
}

static void take_error(const json_t *answer, struct error *error)
{
	const json_t *told = json_object_get(answer, "error");
	const char *text = json_string_value(json_object_get(told, "text")),
		   *hint = json_string_value(json_object_get(told, "hint"));

	error_set(error, ERROR_USAGE, "%s", text ? text : "the daemon has refused");
	if (hint)
		error_hint(error, "%s", hint);
}

json_t *daemon_call(const struct service_config *config, json_t *request, struct error *error)
{
	int pid, fd = json_server_connect(config->data_dir, SOCKET_NAME, &pid);
	json_t *answer = fd >= 0 ? ask_at_socket(fd, request, error) : ask_here(config, request, error);
	json_t *result = NULL;

	if (json_is_true(json_object_get(answer, "ok"))) {
		result = json_object_get(answer, "result");
		result = result ? json_incref(result) : json_null();
	} else if (answer) {
		take_error(answer, error);
	}
	json_decref(answer);
	json_decref(request);
	return result;
}
