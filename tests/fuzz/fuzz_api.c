/* A request of the HTTP API, by somebody who may do everything: the first line is method and target, the second one media types, what is behind it the body. A service in memory stands behind it. Every
 * answer has a status, and a problem is JSON of the same status. */
#include "../unit/api/fake_service.h"
#include "api/api.h"
#include "api/mailbox.h"
#include "api/route.h"
#include "base/memory.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text up to the end of the line, without NUL; `rest` is what is behind it. */
static void take_line(struct slice *rest, char out[LINE_MAX_BYTES])
{
	const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	size_t len = end ? (size_t)(end - rest->data) : rest->len, at = 0;

	for (size_t i = 0; i < len && at + 1 < LINE_MAX_BYTES; i++)
		if (rest->data[i])
			out[at++] = (char)rest->data[i];
	out[at] = '\0';
	*rest = end ? slice_make(end + 1, rest->len - len - 1) : (struct slice){0};
}

static void check(const struct answer *answer)
{
	json_t *body;

	if (answer->status < 200 || answer->status > 599)
		abort();
	if (answer->status >= 400) {
		body = json_loadb(answer->body, answer->len, 0, NULL);
		if (!body || json_integer_value(json_object_get(body, "status")) != answer->status)
			abort();
		json_decref(body);
	}
}

static void ask(struct api *api, const char *method, const char *target, const char *types, struct slice body)
{
	struct sockaddr_in peer = {.sin_family = AF_INET};
	struct call call = {.method = method,
			    .target = target,
			    .peer = (struct sockaddr *)&peer,
			    .from = "127.0.0.1",
			    .body = body,
			    .headers = {.host = "localhost",
					.content_type = types,
					.accept = types[0] == 'a' ? "*/*" : types,
					.accept_language = types,
					.if_match = types,
					.if_none_match = types,
					.last_event_id = types,
					.cookie = types}};
	struct answer answer = {0};

	/* What asks servers on the network is none for a fuzzer. */
	if (api_admit(api, &call, &answer) && !call.route->slow)
		api_handle(api, &call, &answer);
	if (answer.mailbox)
		mailbox_close(answer.mailbox);
	else if (answer.status)
		check(&answer);
	else if (!call.route || !call.route->slow)
		abort();
	api_forget(&call);
	answer_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct service *service;
	static struct api *api;
	static unsigned asked;
	struct slice rest = slice_make(data, size);
	char line[LINE_MAX_BYTES], types[LINE_MAX_BYTES], *target;

	/* Its tasks and its audit log are in memory: from time to time it begins anew. */
	if (asked++ % 5000 == 0) {
		const struct api_options options = {.version = "1", .streams_max = 4};

		if (api) {
			api_free(api);
			fake_service_free(service);
		}
		service = fake_service_new();
		api = api_new(service, &options);
	}
	take_line(&rest, line);
	take_line(&rest, types);
	target = strchr(line, ' ');
	if (!target)
		return 0;
	*target++ = '\0';
	ask(api, line, target, types, rest);
	return 0;
}
