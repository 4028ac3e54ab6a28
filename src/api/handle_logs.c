/* What was: lists, and the streams of what is happening. */
#include "api/api_state.h"
#include "api/feed.h"
#include "api/handlers.h"
#include "api/parameter.h"

#include <string.h>

#define LINES 200 /* of a log, unless `lines` says otherwise */

static void answer_page(struct answer *answer, const struct call *call, enum service_result result, json_t *page,
			const struct error *error)
{
	if (result == SERVICE_OK)
		answer_json(answer, 200, page);
	else
		answer_refusal(answer, call, result, error);
}

static void list(struct api *api, const struct call *call, struct answer *answer, enum service_log log, const char *task)
{
	json_t *page = NULL;
	struct error error;
	enum service_result result =
		service_log_list(api->service, log, task, uri_parameter(&call->uri, "kind"), parameter_number(call, "before", 0),
				 (uint32_t)parameter_number(call, "limit", 100), &page, &error);

	answer_page(answer, call, result, page, &error);
}

enum stream { STREAM_EVENTS, STREAM_LOG };

static void stream(struct api *api, const struct call *call, struct answer *answer, int64_t task, enum stream what)
{
	answer->status = 200;
	answer->type = ANSWER_EVENTS;
	/* A proxy that gathers what it passes on would keep events back. */
	answer_header(answer, "X-Accel-Buffering", "no");
	if (strcmp(call->method, "HEAD") == 0)
		return;
	answer->mailbox = what == STREAM_EVENTS
				  ? feed_listen(api->feed, call, task)
				  : feed_follow_log(api->feed, call, task, (uint32_t)parameter_number(call, "lines", LINES));
	if (answer->mailbox)
		return;
	answer_header(answer, "Retry-After", "5");
	answer_problem(answer, call, PROBLEM_BUSY, NULL, "%u clients listen already", api->options.streams_max);
}

void handle_all_events(struct api *api, const struct call *call, struct answer *answer)
{
	if (strcmp(call->type, ANSWER_EVENTS) == 0)
		stream(api, call, answer, 0, STREAM_EVENTS);
	else
		list(api, call, answer, SERVICE_EVENTS, NULL);
}

static void stream_task(struct api *api, const struct call *call, struct answer *answer, enum stream what)
{
	json_t *task = NULL;
	struct error error;
	enum service_result result = service_task_show(api->service, call->arguments[0], &task, &error);

	if (result == SERVICE_OK)
		stream(api, call, answer, json_integer_value(json_object_get(task, "id")), what);
	else
		answer_refusal(answer, call, result, &error);
	json_decref(task);
}

void handle_events(struct api *api, const struct call *call, struct answer *answer)
{
	if (strcmp(call->type, ANSWER_EVENTS) == 0)
		stream_task(api, call, answer, STREAM_EVENTS);
	else
		list(api, call, answer, SERVICE_EVENTS, call->arguments[0]);
}

void handle_history(struct api *api, const struct call *call, struct answer *answer)
{
	list(api, call, answer, SERVICE_HISTORY, call->arguments[0]);
}

void handle_results(struct api *api, const struct call *call, struct answer *answer)
{
	list(api, call, answer, SERVICE_RESULTS, call->arguments[0]);
}

void handle_audit(struct api *api, const struct call *call, struct answer *answer)
{
	list(api, call, answer, SERVICE_AUDIT, NULL);
}

void handle_differences(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *page = NULL;
	struct error error;
	enum service_result result = service_differences(api->service, call->arguments[0], uri_parameter(&call->uri, "kind"),
							 parameter_number(call, "after", 0),
							 (uint32_t)parameter_number(call, "limit", 100), &page, &error);

	answer_page(answer, call, result, page, &error);
}

void handle_trend(struct api *api, const struct call *call, struct answer *answer)
{
	const char *span = uri_parameter(&call->uri, "span");
	json_t *trend = NULL;
	struct error error;
	enum service_result result = service_task_trend(api->service, call->arguments[0], span ? span : "15m", &trend, &error);

	answer_page(answer, call, result, trend, &error);
}

void handle_log(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *lines = NULL;
	struct error error;
	enum service_result result;

	if (strcmp(call->type, ANSWER_EVENTS) == 0) {
		stream_task(api, call, answer, STREAM_LOG);
		return;
	}
	result = service_task_log(api->service, call->arguments[0], (uint32_t)parameter_number(call, "lines", LINES), &lines,
				  &error);
	answer_page(answer, call, result, lines, &error);
}
