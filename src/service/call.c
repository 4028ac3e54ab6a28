#include "service/call.h"

#include "base/clock.h"

#include <string.h>

struct call {
	struct service *service;
	const struct service_caller *caller;
	const json_t *request;
	struct error *error;
};

/* ---- members of a request ---- */

static const char *text_of(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->request, name));
}

/* NULL + error. */
static const char *need(const struct call *call, const char *name)
{
	const char *text = text_of(call, name);

	if (!text)
		error_set(call->error, ERROR_USAGE, "the call needs \"%s\", a text", name);
	return text;
}

static int64_t number_of(const struct call *call, const char *name)
{
	return json_integer_value(json_object_get(call->request, name));
}

/* ---- calls ---- */

static enum service_result health(const struct call *call, json_t **ret)
{
	*ret = service_health(call->service);
	return SERVICE_OK;
}

static enum service_result task_list(const struct call *call, json_t **ret)
{
	return service_task_list(call->service, ret, call->error);
}

static enum service_result task_show(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");

	return task ? service_task_show(call->service, task, ret, call->error) : SERVICE_INVALID;
}

static enum service_result task_status(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");

	return task ? service_task_status(call->service, task, ret, call->error) : SERVICE_INVALID;
}

static enum service_result task_create(const struct call *call, json_t **ret)
{
	const char *document = need(call, "document");

	return document ? service_task_create(call->service, call->caller, slice_of_string(document), ret, call->error)
			: SERVICE_INVALID;
}

static enum service_result document_check(const struct call *call, json_t **ret)
{
	const char *document = need(call, "document");

	return document
		       ? service_document_check(call->service, text_of(call, "task"), slice_of_string(document), ret, call->error)
		       : SERVICE_INVALID;
}

static enum service_result task_update(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task"), *document = task ? need(call, "document") : NULL;
	bool accept = json_is_true(json_object_get(call->request, "accept_changes"));

	if (!document)
		return SERVICE_INVALID;
	return service_task_update(call->service, call->caller, task, number_of(call, "revision"), accept,
				   slice_of_string(document), ret, call->error);
}

static enum service_result task_delete(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");

	(void)ret;
	return task ? service_task_delete(call->service, call->caller, task, call->error) : SERVICE_INVALID;
}

static enum service_result act(const struct call *call, enum service_action action, json_t **ret)
{
	const char *task = need(call, "task");

	return task ? service_task_do(call->service, call->caller, task, action, ret, call->error) : SERVICE_INVALID;
}

static enum service_result task_start(const struct call *call, json_t **ret)
{
	return act(call, SERVICE_START, ret);
}

static enum service_result task_pause(const struct call *call, json_t **ret)
{
	return act(call, SERVICE_PAUSE, ret);
}

static enum service_result task_resume(const struct call *call, json_t **ret)
{
	return act(call, SERVICE_RESUME, ret);
}

static enum service_result task_stop(const struct call *call, json_t **ret)
{
	return act(call, SERVICE_STOP, ret);
}

static enum service_result task_restart(const struct call *call, json_t **ret)
{
	return act(call, SERVICE_RESTART, ret);
}

static enum service_result task_limit(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");
	int64_t records = number_of(call, "records_per_second"), bytes = number_of(call, "bytes_per_second");

	if (!task)
		return SERVICE_INVALID;
	return service_task_limit(call->service, call->caller, task, (uint64_t)records, (uint64_t)bytes, ret, call->error);
}

static enum service_result task_log_level(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task"), *level = task ? need(call, "level") : NULL;

	return level ? service_task_log_level(call->service, call->caller, task, level, ret, call->error) : SERVICE_INVALID;
}

static enum service_result job(const struct call *call, enum service_job kind, json_t **ret)
{
	const char *task = need(call, "task");

	if (!task)
		return SERVICE_INVALID;
	return service_job_start(call->service, call->caller, task, kind, json_object_get(call->request, "options"),
				 text_of(call, "language"), ret, call->error);
}

static enum service_result task_precheck(const struct call *call, json_t **ret)
{
	return job(call, SERVICE_JOB_PRECHECK, ret);
}

static enum service_result task_verify(const struct call *call, json_t **ret)
{
	return job(call, SERVICE_JOB_VERIFY, ret);
}

static enum service_result task_cutover(const struct call *call, json_t **ret)
{
	return job(call, SERVICE_JOB_CUTOVER, ret);
}

static enum service_result task_finish(const struct call *call, json_t **ret)
{
	return job(call, SERVICE_JOB_FINISH, ret);
}

static enum service_result task_cancel(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");

	(void)ret;
	return task ? service_job_cancel(call->service, call->caller, task, call->error) : SERVICE_INVALID;
}

static enum service_result task_log(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");

	return task ? service_task_log(call->service, task, (uint32_t)number_of(call, "most"), ret, call->error)
		    : SERVICE_INVALID;
}

static enum service_result task_differences(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task");

	return task ? service_differences(call->service, task, text_of(call, "kind"), number_of(call, "after"),
					  (uint32_t)number_of(call, "most"), ret, call->error)
		    : SERVICE_INVALID;
}

static enum service_result task_trend(const struct call *call, json_t **ret)
{
	const char *task = need(call, "task"), *span = task ? need(call, "span") : NULL;

	return span ? service_task_trend(call->service, task, span, ret, call->error) : SERVICE_INVALID;
}

static enum service_result logged(const struct call *call, enum service_log log, json_t **ret)
{
	return service_log_list(call->service, log, text_of(call, "task"), text_of(call, "kind"), number_of(call, "before"),
				(uint32_t)number_of(call, "most"), ret, call->error);
}

static enum service_result history(const struct call *call, json_t **ret)
{
	return logged(call, SERVICE_HISTORY, ret);
}

static enum service_result events(const struct call *call, json_t **ret)
{
	return logged(call, SERVICE_EVENTS, ret);
}

static enum service_result results(const struct call *call, json_t **ret)
{
	return logged(call, SERVICE_RESULTS, ret);
}

static enum service_result audit(const struct call *call, json_t **ret)
{
	return logged(call, SERVICE_AUDIT, ret);
}

static enum service_result token_create(const struct call *call, json_t **ret)
{
	const char *name = need(call, "name"), *word = name ? need(call, "role") : NULL;
	int64_t days = number_of(call, "days");

	for (enum service_role role = SERVICE_VIEWER; word && role <= SERVICE_ADMIN; role++)
		if (strcmp(word, service_role_name(role)) == 0)
			return service_token_create(call->service, call->caller, name, role,
						    days > 0 ? clock_wall_ms() + days * 86400000 : 0, ret, call->error);
	if (word)
		error_set(call->error, ERROR_USAGE, "\"role\" is viewer, operator or admin");
	return SERVICE_INVALID;
}

static enum service_result token_list(const struct call *call, json_t **ret)
{
	return service_token_list(call->service, ret, call->error);
}

static enum service_result token_delete(const struct call *call, json_t **ret)
{
	(void)ret;
	return service_token_delete(call->service, call->caller, number_of(call, "id"), call->error);
}

static const struct row {
	const char *name;
	enum service_result (*run)(const struct call *call, json_t **ret);
} rows[] = {
	{"health", health},
	{"task.list", task_list},
	{"task.show", task_show},
	{"task.status", task_status},
	{"task.create", task_create},
	{"task.update", task_update},
	{"task.delete", task_delete},
	{"document.check", document_check},
	{"task.start", task_start},
	{"task.pause", task_pause},
	{"task.resume", task_resume},
	{"task.stop", task_stop},
	{"task.restart", task_restart},
	{"task.limit", task_limit},
	{"task.log_level", task_log_level},
	{"task.precheck", task_precheck},
	{"task.verify", task_verify},
	{"task.cutover", task_cutover},
	{"task.finish", task_finish},
	{"task.cancel", task_cancel},
	{"task.log", task_log},
	{"task.differences", task_differences},
	{"task.trend", task_trend},
	{"history", history},
	{"events", events},
	{"results", results},
	{"audit", audit},
	{"token.create", token_create},
	{"token.list", token_list},
	{"token.delete", token_delete},
};

static json_t *refusal(enum service_result result, const struct error *error)
{
	return json_pack("{s:b, s:s, s:{s:s, s:s, s:s, s:i}}", "ok", 0, "result", service_result_name(result), "error", "kind",
			 error_kind_name(error->kind), "text", error->text, "hint", error->hint, "exit_code", (int)error->kind);
}

json_t *call_answer(struct service *service, const struct service_caller *caller, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "call"));
	struct error error;
	struct call call = {service, caller, request, &error};

	error_clear(&error);
	for (size_t i = 0; name && i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum service_result result;
		json_t *tree = NULL;

		if (strcmp(rows[i].name, name) != 0)
			continue;
		result = rows[i].run(&call, &tree);
		if (result != SERVICE_OK)
			return refusal(result, &error);
		return json_pack("{s:b, s:o?}", "ok", 1, "result", tree);
	}
	error_set(&error, ERROR_USAGE, name ? "there is no such call" : "a request is a line of JSON with \"call\"");
	return refusal(SERVICE_INVALID, &error);
}
