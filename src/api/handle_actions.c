/* What an operator asks of a task: to run or not, limits, and jobs. */
#include "api/api_state.h"
#include "api/handlers.h"
#include "api/parameter.h"
#include "api/route.h"

#include <string.h>

static void answer_tree(struct answer *answer, const struct call *call, enum service_result result, json_t *task,
			const struct error *error)
{
	if (result == SERVICE_OK)
		answer_json(answer, 200, task);
	else
		answer_refusal(answer, call, result, error);
}

void handle_action(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	json_t *task = NULL;
	struct error error;
	enum service_result result = service_task_do(api->service, &caller, call->arguments[0],
						     (enum service_action)call->route->which, &task, &error);

	answer_tree(answer, call, result, task, &error);
}

/* ---- changed while it runs ---- */

static uint64_t limit_of(const struct call *call, const json_t *task, const char *name)
{
	const json_t *wanted = json_object_get(call->json, name);

	return (uint64_t)json_integer_value(wanted ? wanted : json_object_get(json_object_get(task, "limit"), name));
}

void handle_limits(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	json_t *before = NULL, *task = NULL;
	struct error error;
	enum service_result result = service_task_show(api->service, call->arguments[0], &before, &error);

	if (result == SERVICE_OK)
		result = service_task_limit(api->service, &caller, call->arguments[0],
					    limit_of(call, before, "records_per_second"),
					    limit_of(call, before, "bytes_per_second"), &task, &error);
	json_decref(before);
	answer_tree(answer, call, result, task, &error);
}

void handle_log_level(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	json_t *task = NULL;
	struct error error;
	enum service_result result =
		service_task_log_level(api->service, &caller, call->arguments[0],
				       json_string_value(json_object_get(call->json, "level")), &task, &error);

	answer_tree(answer, call, result, task, &error);
}

/* ---- jobs ---- */

void handle_job_start(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	json_t *begun = NULL;
	struct error error;
	enum service_result result =
		service_job_start(api->service, &caller, call->arguments[0], (enum service_job)call->route->which, call->json,
				  parameter_language(call), &begun, &error);

	if (result != SERVICE_OK) {
		answer_refusal(answer, call, result, &error);
		return;
	}
	answer_header(answer, "Location", "/api/v1/tasks/%s/%s", call->arguments[0],
		      service_job_name((enum service_job)call->route->which));
	answer_json(answer, 202, begun);
}

/* What is under way, and the last result. */
void handle_job_show(struct api *api, const struct call *call, struct answer *answer)
{
	const char *kind = service_job_name((enum service_job)call->route->which), *running;
	json_t *task = NULL, *page = NULL, *view;
	struct error error;
	enum service_result result = service_task_show(api->service, call->arguments[0], &task, &error);

	if (result == SERVICE_OK)
		result = service_log_list(api->service, SERVICE_RESULTS, call->arguments[0], kind, 0, 1, &page, &error);
	if (result == SERVICE_OK) {
		view = json_pack("{s:n, s:n}", "running", "result");
		running = json_string_value(json_object_get(json_object_get(task, "job"), "kind"));
		if (running && strcmp(running, kind) == 0)
			json_object_set(view, "running", json_object_get(task, "job"));
		if (json_array_size(json_object_get(page, "items")) > 0)
			json_object_set(view, "result", json_array_get(json_object_get(page, "items"), 0));
		answer_json(answer, 200, view);
	} else {
		answer_refusal(answer, call, result, &error);
	}
	json_decref(task);
	json_decref(page);
}

void handle_job_cancel(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	struct error error;
	enum service_result result = service_job_cancel(api->service, &caller, call->arguments[0], &error);

	if (result == SERVICE_OK)
		answer_nothing(answer);
	else
		answer_refusal(answer, call, result, &error);
}
