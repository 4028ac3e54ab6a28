#include "fake_service.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME "2026-01-02T03:04:05.678Z"

struct service {
	pthread_mutex_t lock;
	json_t *tasks; /* trees */
	json_t *logs[4];
	int64_t next_task, next_entry;
	bool revoked, unwell;
	json_t *lines; /* of every task's log */
};

struct service *fake_service_new(void)
{
	struct service *service = memory_alloc_zero(1, sizeof(*service));

	pthread_mutex_init(&service->lock, NULL);
	service->tasks = json_array();
	service->lines = json_array();
	for (int i = 0; i < 4; i++)
		service->logs[i] = json_array();
	service->next_task = service->next_entry = 1;
	return service;
}

void fake_service_free(struct service *service)
{
	json_decref(service->tasks);
	json_decref(service->lines);
	for (int i = 0; i < 4; i++)
		json_decref(service->logs[i]);
	pthread_mutex_destroy(&service->lock);
	free(service);
}

void fake_service_revoke(struct service *service)
{
	pthread_mutex_lock(&service->lock);
	service->revoked = true;
	pthread_mutex_unlock(&service->lock);
}

void fake_service_unwell(struct service *service)
{
	service->unwell = true;
}

static json_t *find(struct service *service, const char *task, size_t *ret_index)
{
	json_t *tree;
	size_t i;

	json_array_foreach (service->tasks, i, tree) {
		char id[24];

		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(tree, "id")));
		if (strcmp(id, task) == 0 || strcmp(json_string_value(json_object_get(tree, "name")), task) == 0) {
			if (ret_index)
				*ret_index = i;
			return tree;
		}
	}
	return NULL;
}

static enum service_result not_found(struct error *error)
{
	error_set(error, ERROR_USAGE, "there is no task of this name or number");
	return SERVICE_NOT_FOUND;
}

static void note(struct service *service, const struct service_caller *caller, const char *action, const char *result)
{
	json_array_append_new(service->logs[SERVICE_AUDIT],
			      json_pack("{s:I, s:n, s:s, s:s, s:s, s:s, s:s, s:n}", "id", (json_int_t)service->next_entry++,
					"task", "time", TIME, "action", action, "who", caller->who, "from", caller->from,
					"result", result, "detail"));
}

void fake_service_set(struct service *service, const char *task, const char *name, json_t *value)
{
	pthread_mutex_lock(&service->lock);
	json_object_set_new(find(service, task, NULL), name, value);
	pthread_mutex_unlock(&service->lock);
}

void fake_service_tell(struct service *service, enum service_log log, int64_t task, const char *kind)
{
	pthread_mutex_lock(&service->lock);
	json_array_append_new(service->logs[log],
			      json_pack("{s:I, s:I, s:s, s:s, s:s, s:n, s:s}", "id", (json_int_t)service->next_entry++, "task",
					(json_int_t)task, "time", TIME, log == SERVICE_HISTORY ? "state" : "kind", kind, "text",
					"it happened", "error", "link", "127.0.0.1:6379"));
	pthread_mutex_unlock(&service->lock);
}

char *fake_service_audit(struct service *service)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	pthread_mutex_lock(&service->lock);
	for (size_t i = json_array_size(service->logs[SERVICE_AUDIT]); i-- > 0;) {
		json_t *entry = json_array_get(service->logs[SERVICE_AUDIT], i);

		fprintf(out, "%s %s %s;", json_string_value(json_object_get(entry, "who")),
			json_string_value(json_object_get(entry, "action")), json_string_value(json_object_get(entry, "result")));
	}
	pthread_mutex_unlock(&service->lock);
	fclose(out);
	return text;
}

/* ---- service.h ---- */

static enum service_result give(struct service *service, const char *task, json_t **ret, struct error *error)
{
	json_t *tree;

	pthread_mutex_lock(&service->lock);
	tree = find(service, task, NULL);
	if (tree)
		*ret = json_deep_copy(tree);
	pthread_mutex_unlock(&service->lock);
	return tree ? SERVICE_OK : not_found(error);
}

enum service_result service_task_list(struct service *service, json_t **ret, struct error *error)
{
	json_t *tree;
	size_t i;

	(void)error;
	pthread_mutex_lock(&service->lock);
	*ret = json_deep_copy(service->tasks);
	pthread_mutex_unlock(&service->lock);
	json_array_foreach (*ret, i, tree)
		json_object_del(tree, "document");
	return SERVICE_OK;
}

enum service_result service_task_show(struct service *service, const char *task, json_t **ret, struct error *error)
{
	return give(service, task, ret, error);
}

enum service_result service_task_status(struct service *service, const char *task, json_t **ret, struct error *error)
{
	json_t *tree = NULL;
	enum service_result result = give(service, task, &tree, error);

	if (result != SERVICE_OK)
		return result;
	*ret = json_pack("{s:O, s:O, s:s, s:n, s:[{s:s, s:b, s:{s:n, s:i}}], s:s}", "task", json_object_get(tree, "name"),
			 "state", json_object_get(tree, "state"), "since", TIME, "error", "links", "source", "127.0.0.1:6379",
			 "connected", 1, "lag", "seconds", "bytes", 0, "as_of", TIME);
	json_decref(tree);
	return SERVICE_OK;
}

/* A document is JSON with a name. */
static json_t *read_document(struct slice document, struct error *error)
{
	json_t *tree = json_loadb((const char *)document.data, document.len, 0, NULL);

	if (json_is_string(json_object_get(tree, "name")))
		return tree;
	json_decref(tree);
	error_set(error, ERROR_USAGE, "document:2: option 'name': it is missing");
	error_hint(error, "for example name: orders");
	return NULL;
}

enum service_result service_task_create(struct service *service, const struct service_caller *caller, struct slice document,
					json_t **ret, struct error *error)
{
	json_t *tree = read_document(document, error), *task = NULL;
	enum service_result result = tree ? SERVICE_OK : SERVICE_INVALID;

	pthread_mutex_lock(&service->lock);
	if (tree && find(service, json_string_value(json_object_get(tree, "name")), NULL)) {
		error_set(error, ERROR_USAGE, "there is a task of this name");
		result = SERVICE_EXISTS;
	}
	if (result == SERVICE_OK) {
		task = json_pack(
			"{s:I, s:O, s:s, s:s, s:n, s:n, s:s, s:i, s:s, s:s, s:{}, s:{}, s:i, s:n, s:n, s:n, s:n, s:{s:n, s:n}, s:{s:n, s:n}, s:i, s:i, s:{s:i, s:i}, s:s, s:O}",
			"id", (json_int_t)service->next_task++, "name", json_object_get(tree, "name"), "state", "created",
			"since", TIME, "error", "last_error", "wanted", "idle", "revision", 1, "created", TIME, "updated", TIME,
			"source", "target", "restarts", 0, "restart_at", "worker", "job", "progress", "lag", "seconds", "bytes",
			"rates", "commands_per_second", "bytes_per_second", "links", 0, "links_connected", 0, "limit",
			"records_per_second", 0, "bytes_per_second", 0, "log_level", "info", "document", tree);
		json_array_append_new(service->tasks, task);
		*ret = json_deep_copy(task);
	}
	note(service, caller, "create", result == SERVICE_OK ? "ok" : "refused");
	pthread_mutex_unlock(&service->lock);
	json_decref(tree);
	return result;
}

enum service_result service_task_update(struct service *service, const struct service_caller *caller, const char *task,
					int64_t revision, bool accept_changes, struct slice document, json_t **ret,
					struct error *error)
{
	json_t *tree = read_document(document, error), *old;
	enum service_result result = tree ? SERVICE_OK : SERVICE_INVALID;

	(void)accept_changes;
	pthread_mutex_lock(&service->lock);
	old = find(service, task, NULL);
	if (result == SERVICE_OK && !old)
		result = not_found(error);
	if (result == SERVICE_OK && revision && revision != json_integer_value(json_object_get(old, "revision"))) {
		error_set(error, ERROR_USAGE, "the document has revision %lld",
			  json_integer_value(json_object_get(old, "revision")));
		result = SERVICE_CHANGED;
	}
	if (result == SERVICE_OK) {
		json_object_set(old, "document", tree);
		json_object_set_new(old, "revision", json_integer(json_integer_value(json_object_get(old, "revision")) + 1));
		*ret = json_deep_copy(old);
	}
	note(service, caller, "update", result == SERVICE_OK ? "ok" : "refused");
	pthread_mutex_unlock(&service->lock);
	json_decref(tree);
	return result;
}

enum service_result service_task_delete(struct service *service, const struct service_caller *caller, const char *task,
					struct error *error)
{
	size_t at;
	bool there;

	pthread_mutex_lock(&service->lock);
	there = find(service, task, &at) != NULL;
	if (there)
		json_array_remove(service->tasks, at);
	note(service, caller, "delete", there ? "ok" : "refused");
	pthread_mutex_unlock(&service->lock);
	return there ? SERVICE_OK : not_found(error);
}

enum service_result service_document_check(struct service *service, const char *task, struct slice document, json_t **ret,
					   struct error *error)
{
	(void)service;
	(void)task;
	*ret = read_document(document, error);
	return *ret ? SERVICE_OK : SERVICE_INVALID;
}

enum service_result service_document_open(struct service *service, const char *task, json_t *document, struct error *error)
{
	size_t at;

	(void)document;
	return !task || find(service, task, &at) ? SERVICE_OK : not_found(error);
}

const char *service_action_name(enum service_action action)
{
	static const char *const names[] = {"start", "pause", "resume", "stop", "restart"};

	return names[action];
}

enum service_result service_task_do(struct service *service, const struct service_caller *caller, const char *task,
				    enum service_action action, json_t **ret, struct error *error)
{
	static const char *const states[] = {"prechecking", "paused", "prechecking", "ready", "streaming"};
	json_t *tree;
	enum service_result result = SERVICE_OK;

	pthread_mutex_lock(&service->lock);
	tree = find(service, task, NULL);
	if (!tree) {
		result = not_found(error);
	} else if (action == SERVICE_PAUSE && strcmp(json_string_value(json_object_get(tree, "state")), "created") == 0) {
		error_set(error, ERROR_USAGE, "the task does not run");
		result = SERVICE_STATE;
	} else {
		json_object_set_new(tree, "state", json_string(states[action]));
		*ret = json_deep_copy(tree);
	}
	note(service, caller, service_action_name(action), result == SERVICE_OK ? "ok" : "refused");
	pthread_mutex_unlock(&service->lock);
	return result;
}

enum service_result service_task_limit(struct service *service, const struct service_caller *caller, const char *task,
				       uint64_t records_per_second, uint64_t bytes_per_second, json_t **ret, struct error *error)
{
	(void)caller;
	if (give(service, task, ret, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(*ret);
	fake_service_set(service, task, "limit",
			 json_pack("{s:I, s:I}", "records_per_second", (json_int_t)records_per_second, "bytes_per_second",
				   (json_int_t)bytes_per_second));
	return give(service, task, ret, error);
}

enum service_result service_task_log_level(struct service *service, const struct service_caller *caller, const char *task,
					   const char *level, json_t **ret, struct error *error)
{
	(void)caller;
	if (give(service, task, ret, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(*ret);
	fake_service_set(service, task, "log_level", json_string(level));
	return give(service, task, ret, error);
}

const char *service_job_name(enum service_job job)
{
	static const char *const names[] = {"precheck", "verify", "cutover", "finish"};

	return names[job];
}

enum service_result service_job_start(struct service *service, const struct service_caller *caller, const char *task,
				      enum service_job job, const json_t *options, const char *language, json_t **ret,
				      struct error *error)
{
	json_t *tree = NULL;

	(void)options;
	(void)language;
	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(tree);
	pthread_mutex_lock(&service->lock);
	*ret = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)service->next_entry++, "kind", service_job_name(job), "begun",
			 TIME);
	json_object_set(find(service, task, NULL), "job", *ret);
	note(service, caller, service_job_name(job), "ok");
	pthread_mutex_unlock(&service->lock);
	return SERVICE_OK;
}

enum service_result service_job_cancel(struct service *service, const struct service_caller *caller, const char *task,
				       struct error *error)
{
	json_t *tree = NULL;
	bool runs;

	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	runs = json_is_object(json_object_get(tree, "job"));
	json_decref(tree);
	pthread_mutex_lock(&service->lock);
	note(service, caller, "cancel", runs ? "ok" : "refused");
	pthread_mutex_unlock(&service->lock);
	if (runs)
		fake_service_set(service, task, "job", json_null());
	else
		error_set(error, ERROR_USAGE, "no job is under way");
	return runs ? SERVICE_OK : SERVICE_STATE;
}

enum service_result service_log_list(struct service *service, enum service_log log, const char *task, const char *kind,
				     int64_t before, uint32_t most, json_t **ret, struct error *error)
{
	json_t *items = json_array(), *tree = task ? NULL : NULL;
	int64_t id = 0;

	(void)kind;
	pthread_mutex_lock(&service->lock);
	if (task) {
		tree = find(service, task, NULL);
		id = json_integer_value(json_object_get(tree, "id"));
	}
	for (size_t i = json_array_size(service->logs[log]); (!task || tree) && i-- > 0 && json_array_size(items) < most;) {
		json_t *entry = json_array_get(service->logs[log], i);

		if ((!task || json_integer_value(json_object_get(entry, "task")) == id) &&
		    (!before || json_integer_value(json_object_get(entry, "id")) < before))
			json_array_append(items, entry);
	}
	*ret = json_pack("{s:o, s:n}", "items", json_deep_copy(items), "next");
	json_decref(items);
	pthread_mutex_unlock(&service->lock);
	if (!task || tree)
		return SERVICE_OK;
	json_decref(*ret);
	*ret = NULL;
	return not_found(error);
}

enum service_result service_task_log(struct service *service, const char *task, uint32_t most, json_t **ret, struct error *error)
{
	json_t *tree = NULL;

	(void)most;
	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(tree);
	*ret = json_pack("{s:[s]}", "lines", "2026-01-02 03:04:05 info it runs");
	return SERVICE_OK;
}

void fake_service_log(struct service *service, const char *line)
{
	pthread_mutex_lock(&service->lock);
	json_array_append_new(service->lines, json_string(line));
	pthread_mutex_unlock(&service->lock);
}

enum service_result service_task_log_back(struct service *service, const char *task, uint32_t most, struct worker_log_place *ret,
					  struct error *error)
{
	json_t *tree = NULL;
	int64_t count;

	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(tree);
	pthread_mutex_lock(&service->lock);
	count = (int64_t)json_array_size(service->lines);
	*ret = (struct worker_log_place){1, count > most ? count - most : 0};
	pthread_mutex_unlock(&service->lock);
	return SERVICE_OK;
}

/* A line at a time. The place is the line's number; those of another file than 1 are gone. */
enum service_result service_task_log_read(struct service *service, const char *task, struct worker_log_place *place,
					  json_t *lines, bool *ret_more, bool *ret_gap, struct error *error)
{
	json_t *tree = NULL;

	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(tree);
	*ret_gap = place->file != 1;
	if (*ret_gap)
		*place = (struct worker_log_place){1, 0};
	pthread_mutex_lock(&service->lock);
	*ret_more = place->offset < (int64_t)json_array_size(service->lines);
	if (*ret_more)
		json_array_append(lines, json_array_get(service->lines, (size_t)place->offset++));
	pthread_mutex_unlock(&service->lock);
	return SERVICE_OK;
}

enum service_result service_differences(struct service *service, const char *task, const char *kind, int64_t after, uint32_t most,
					json_t **ret, struct error *error)
{
	json_t *tree = NULL;

	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(tree);
	/* What it was asked for. */
	*ret = json_pack("{s:i, s:[{s:s, s:i, s:s, s:b}], s:I}", "job", 9, "items", "kind", kind ? kind : "missing", "db",
			 (int)most, "key", "a", "repaired", 0, "next", (json_int_t)after + 1);
	return SERVICE_OK;
}

enum service_result service_task_trend(struct service *service, const char *task, const char *span, json_t **ret,
				       struct error *error)
{
	json_t *tree = NULL;

	if (give(service, task, &tree, error) != SERVICE_OK)
		return SERVICE_NOT_FOUND;
	json_decref(tree);
	*ret = json_pack("{s:s, s:i, s:[i], s:[f], s:[i], s:[i], s:[i], s:[n]}", "span", span, "step", 60, "time", 1767323040,
			 "lag_seconds", 0.25, "commands_per_second", 7, "bytes_per_second", 100, "spool_bytes", 0, "progress");
	return SERVICE_OK;
}

void service_audit(struct service *service, const struct service_caller *caller, const char *action, const char *result,
		   json_t *detail)
{
	pthread_mutex_lock(&service->lock);
	note(service, caller, action, result);
	pthread_mutex_unlock(&service->lock);
	json_decref(detail);
}

bool service_stopping(const struct service *service)
{
	(void)service;
	return false;
}

const char *service_role_name(enum service_role role)
{
	static const char *const names[] = {"viewer", "operator", "admin"};

	return names[role];
}

enum service_result service_token_create(struct service *service, const struct service_caller *caller, const char *name,
					 enum service_role role, int64_t expires_ms, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)expires_ms;
	(void)error;
	*ret = json_pack("{s:i, s:s, s:s, s:s, s:n, s:s}", "id", 4, "name", name, "role", service_role_name(role), "created",
			 TIME, "expires", "token", "kf_new");
	return SERVICE_OK;
}

enum service_result service_token_list(struct service *service, json_t **ret, struct error *error)
{
	(void)service;
	(void)error;
	*ret = json_pack("[{s:i, s:s, s:s, s:s, s:n, s:n}]", "id", 1, "name", "ci", "role", "viewer", "created", TIME, "expires",
			 "used");
	return SERVICE_OK;
}

enum service_result service_token_delete(struct service *service, const struct service_caller *caller, int64_t id,
					 struct error *error)
{
	(void)service;
	(void)caller;
	if (id == 1)
		return SERVICE_OK;
	error_set(error, ERROR_USAGE, "there is no such token");
	return SERVICE_NOT_FOUND;
}

bool service_token_check(struct service *service, const char *token, enum service_role *ret_role, char name[128])
{
	bool known = false;

	pthread_mutex_lock(&service->lock);
	for (int role = SERVICE_VIEWER; role <= SERVICE_ADMIN && !service->revoked && strncmp(token, "kf_", 3) == 0; role++) {
		if (strcmp(token + 3, service_role_name((enum service_role)role)) != 0)
			continue;
		known = true;
		*ret_role = (enum service_role)role;
		snprintf(name, 128, "%s", token + 3);
	}
	pthread_mutex_unlock(&service->lock);
	return known;
}

/* Two numbers of each task and one of its process; nothing of one that is called "silent". */
json_t *service_metrics(struct service *service, uint32_t patience_ms)
{
	json_t *told = json_object(), *task;
	size_t i;

	(void)patience_ms;
	pthread_mutex_lock(&service->lock);
	json_array_foreach (service->tasks, i, task) {
		const char *name = json_string_value(json_object_get(task, "name"));

		json_object_set_new(
			told, name,
			strcmp(name, "silent") == 0
				? json_null()
				: json_pack(
					  "{s:{s:s, s:s, s:[[s, i, s, s, s, s], [s, i, s, s, s, s]]}, s:{s:s, s:s, s:[[s, i]]}}",
					  "keyferry_link_retries", "type", "counter", "help", "Commands sent again", "samples",
					  "", 3, "task", name, "link", "a:1", "", 4, "task", name, "link", "b:2",
					  "process_threads", "type", "gauge", "help", "Threads", "samples", "", 7));
	}
	pthread_mutex_unlock(&service->lock);
	return told;
}

json_t *service_health(struct service *service)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:i, s:b}", "version", "1.2.3", "started", TIME, "pid", 1, "tasks",
			 0, "running", 0, "failed", 0, "data", "/nowhere", "schema", 1, "healthy", !service->unwell);
}
