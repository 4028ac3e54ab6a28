/* Tasks and their documents. */
#include "api/api_state.h"
#include "api/etag.h"
#include "api/handlers.h"
#include "api/parameter.h"
#include "api/yaml_text.h"

#include <string.h>

static void put_etag(struct answer *answer, const json_t *task)
{
	answer_header(answer, "ETag", "\"%" JSON_INTEGER_FORMAT "\"", json_integer_value(json_object_get(task, "revision")));
}

/* The task's tree as an answer, or what kept it from being one. What makes a document tells its ETag; the tree itself, which changes without it, has none. */
static void answer_task(struct answer *answer, const struct call *call, enum service_result result, json_t *task,
			const struct error *error, unsigned status)
{
	if (result != SERVICE_OK) {
		answer_refusal(answer, call, result, error);
		return;
	}
	if (call_changes(call))
		put_etag(answer, task);
	answer_json(answer, status, task);
}

void handle_task_list(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *tasks = NULL;
	struct error error;
	enum service_result result = service_task_list(api->service, &tasks, &error);

	if (result == SERVICE_OK)
		answer_json(answer, 200, json_pack("{s:o}", "items", tasks));
	else
		answer_refusal(answer, call, result, &error);
}

void handle_task_create(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	json_t *task = NULL;
	struct error error;
	enum service_result result = service_task_create(api->service, &caller, call->body, &task, &error);

	if (result == SERVICE_OK)
		answer_header(answer, "Location", "/api/v1/tasks/%" JSON_INTEGER_FORMAT,
			      json_integer_value(json_object_get(task, "id")));
	answer_task(answer, call, result, task, &error, 201);
}

void handle_task_show(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *task = NULL;
	struct error error;
	enum service_result result = service_task_show(api->service, call->arguments[0], &task, &error);

	answer_task(answer, call, result, task, &error, 200);
}

void handle_task_delete(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	struct error error;
	enum service_result result = service_task_delete(api->service, &caller, call->arguments[0], &error);

	if (result == SERVICE_OK)
		answer_nothing(answer);
	else
		answer_refusal(answer, call, result, &error);
}

void handle_task_status(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *status = NULL;
	struct error error;
	enum service_result result = service_task_status(api->service, call->arguments[0], &status, &error);

	if (result == SERVICE_OK)
		answer_json(answer, 200, status);
	else
		answer_refusal(answer, call, result, &error);
}

/* ---- documents ---- */

void handle_document_show(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *task = NULL, *document;
	struct error error;
	enum service_result result = service_task_show(api->service, call->arguments[0], &task, &error);

	if (result != SERVICE_OK) {
		answer_refusal(answer, call, result, &error);
		return;
	}
	document = json_object_get(task, "document");
	put_etag(answer, task);
	/* The forms differ by what is accepted. */
	answer_header(answer, "Vary", "Accept");
	if (etag_matches(call->headers.if_none_match, json_integer_value(json_object_get(task, "revision"))))
		answer->status = 304;
	else if (strcmp(call->type, ANSWER_YAML) == 0)
		answer_text(answer, 200, ANSWER_YAML, yaml_text(document));
	else
		answer_json(answer, 200, json_incref(document));
	json_decref(task);
}

/* The revision that is to be replaced. False: the answer is made. */
static bool take_if_match(const struct call *call, struct answer *answer, int64_t *ret)
{
	*ret = 0;
	if (!call->headers.if_match) {
		answer_problem(answer, call, PROBLEM_PRECONDITION_REQUIRED, "If-Match: * replaces whatever is there",
			       "so that nobody replaces what he has not seen");
		return false;
	}
	if (etag_parse(call->headers.if_match, ret) != ETAG_NONE)
		return true;
	answer_problem(answer, call, PROBLEM_CHANGED, NULL,
		       "If-Match names no revision of a document; it is the ETag of one, or *");
	return false;
}

void handle_document_put(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	const char *accept = uri_parameter(&call->uri, "accept_changes");
	json_t *task = NULL;
	struct error error;
	enum service_result result;
	int64_t revision;

	if (!take_if_match(call, answer, &revision))
		return;
	result = service_task_update(api->service, &caller, call->arguments[0], revision, accept && strcmp(accept, "true") == 0,
				     call->body, &task, &error);
	answer_task(answer, call, result, task, &error, 200);
}

void handle_document_check(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *document = NULL;
	struct error error;
	enum service_result result =
		service_document_check(api->service, uri_parameter(&call->uri, "secrets_of"), call->body, &document, &error);

	if (result == SERVICE_OK)
		answer_json(answer, 200, json_pack("{s:o}", "document", document));
	else
		answer_refusal(answer, call, result, &error);
}
