#include "control/control_socket.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/json_server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct control_socket {
	struct control_socket_options options;
	const struct control_socket_calls *calls;
	void *owner;
	int64_t started_ms;
	struct json_server *server;
};

/* ---- answers ---- */

static json_t *refuse(const char *text)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static json_t *answer_hello(const struct control_socket *socket)
{
	char started[32];

	return json_pack("{s:b, s:s, s:s, s:i, s:s, s:s, s:I}", "ok", 1, "task", socket->options.task, "version",
			 socket->options.version, "pid", (int)getpid(), "started",
			 clock_format_rfc3339(socket->started_ms, started), "run", socket->options.run, "revision",
			 (json_int_t)socket->options.revision);
}

static json_t *answer_status(const struct control_socket *socket)
{
	char *text = socket->calls->status(socket->owner);
	json_t *status = json_loads(text, 0, NULL);

	free(text);
	return status ? json_pack("{s:b, s:o}", "ok", 1, "status", status) : refuse("there is no status");
}

/* A line that is too long would cost the connection. */
static json_t *answer_metrics(const struct control_socket *socket)
{
	json_t *reply = json_pack("{s:b, s:o}", "ok", 1, "metrics", socket->calls->metrics(socket->owner));

	if (json_dumpb(reply, NULL, 0, JSON_COMPACT) < JSON_ANSWER_MAX)
		return reply;
	json_decref(reply);
	return refuse("there are more metrics than go into an answer");
}

static json_t *answer_limit(const struct control_socket *socket, const json_t *request)
{
	json_t *records = json_object_get(request, "records_per_second"), *bytes = json_object_get(request, "bytes_per_second");

	if (!json_is_integer(records) || !json_is_integer(bytes) || json_integer_value(records) < 0 ||
	    json_integer_value(bytes) < 0)
		return refuse("limit wants records_per_second and bytes_per_second, both 0 or more");
	socket->calls->limit(socket->owner, (uint64_t)json_integer_value(records), (uint64_t)json_integer_value(bytes));
	return json_pack("{s:b}", "ok", 1);
}

static json_t *answer_level(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "level"));
	enum log_level level;

	if (!name || !log_level_parse(name, &level))
		return refuse("log_level wants a level: debug, info, warning or error");
	log_set_level(level);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *answer(void *owner, const json_t *request, unsigned uid)
{
	struct control_socket *socket = owner;
	const char *what = json_string_value(json_object_get(request, "do"));

	(void)uid;
	if (!what)
		return refuse("a request is a line of JSON with \"do\"");
	if (strcmp(what, "hello") == 0)
		return answer_hello(socket);
	if (strcmp(what, "status") == 0)
		return answer_status(socket);
	if (strcmp(what, "metrics") == 0)
		return answer_metrics(socket);
	if (strcmp(what, "limit") == 0)
		return answer_limit(socket, request);
	if (strcmp(what, "log_level") == 0)
		return answer_level(request);
	if (strcmp(what, "end") != 0)
		return refuse("there is no such request");
	socket->calls->end(socket->owner);
	return json_pack("{s:b}", "ok", 1);
}

/* ---- public ---- */

struct control_socket *control_socket_start(const struct control_socket_options *options,
					    const struct control_socket_calls *calls, void *owner, struct error *error)
{
	struct control_socket *socket = memory_alloc_zero(1, sizeof(*socket));
	const struct json_server_options server = {
		.folder = options->data_dir,
		.name = CONTROL_NAME,
		.request_max = CONTROL_REQUEST_MAX,
		.answer = answer,
		.owner = socket,
	};

	socket->options = *options;
	socket->calls = calls;
	socket->owner = owner;
	socket->started_ms = clock_wall_ms();
	socket->server = json_server_start(&server, error);
	if (socket->server)
		return socket;
	free(socket);
	return NULL;
}

void control_socket_stop(struct control_socket *socket)
{
	if (!socket)
		return;
	json_server_stop(socket->server);
	free(socket);
}
