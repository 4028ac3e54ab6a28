/* Calls about what was: history, events, results, the audit log, differences, trends, and workers' logs. */
#include "base/clock.h"
#include "base/memory.h"
#include "service/service_state.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 1000
#define LINES_MAX 10000

/* ---- the store's logs ---- */

static const char *task_name(struct service *service, int64_t id)
{
	for (size_t i = 0; i < service->count; i++)
		if (service->entries[i]->row.id == id)
			return service->entries[i]->row.name;
	return NULL;
}

/* What its text says, with what the row says over it. */
static json_t *item_of(struct service *service, enum service_log log, const struct store_entry *entry)
{
	json_t *item = entry->text && log != SERVICE_HISTORY ? json_loads(entry->text, 0, NULL) : NULL;
	const char *name = task_name(service, entry->task);

	if (!json_is_object(item)) {
		json_decref(item);
		item = json_object();
	}
	json_object_set_new(item, "id", json_integer(entry->id));
	json_object_set_new(item, "task", entry->task ? json_integer(entry->task) : json_null());
	/* Of a deleted task the audit log remembers the name. */
	if (name)
		json_object_set_new(item, "name", json_string(name));
	json_object_set_new(item, "time", view_time(entry->at_ms));
	if (log == SERVICE_HISTORY) {
		json_t *cause = entry->text ? json_loads(entry->text, 0, NULL) : NULL;

		json_object_set_new(item, "state", json_string(entry->kind));
		json_object_set_new(item, "error", cause ? cause : json_null());
	} else {
		json_object_set_new(item, log == SERVICE_AUDIT ? "action" : "kind", json_string(entry->kind));
	}
	return item;
}

static enum service_result list(struct service *service, enum service_log log, int64_t task, const char *kind, int64_t before,
				uint32_t most, json_t **ret, struct error *error)
{
	static const enum store_log logs[] = {STORE_HISTORY, STORE_EVENTS, STORE_RESULTS, STORE_AUDIT};
	json_t *items;
	struct store_entry *entries;
	size_t count;

	most = most == 0 || most > ENTRIES_MAX ? ENTRIES_MAX : most;
	if (!store_log_list(service->store, logs[log], task, kind, before, most, &entries, &count, error))
		return SERVICE_FAILED;
	items = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(items, item_of(service, log, &entries[i]));
	*ret = json_pack("{s:o, s:o}", "items", items, "next", count == most ? json_integer(entries[count - 1].id) : json_null());
	store_entries_free(entries, count);
	return SERVICE_OK;
}

enum service_result service_log_list(struct service *service, enum service_log log, const char *task, const char *kind,
				     int64_t before, uint32_t most, json_t **ret, struct error *error)
{
	enum service_result result;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = task ? service_find(service, task) : NULL;
	result = task && !entry ? service_no_task(task, error)
				: list(service, log, entry ? entry->row.id : 0, kind, before, most, ret, error);
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* Files of a work directory are read without the lock: they may be large. NULL: there is no such task. */
static char *dir_of(struct service *service, const char *task)
{
	struct entry *entry;
	char *dir;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	dir = entry ? memory_strdup(entry->dir) : NULL;
	pthread_mutex_unlock(&service->lock);
	return dir;
}

enum service_result service_differences(struct service *service, const char *task, const char *kind, int64_t after, uint32_t most,
					json_t **ret, struct error *error)
{
	char *dir = dir_of(service, task);
	bool ok;

	if (!dir)
		return service_no_task(task, error);
	ok = differences_read(dir, kind, after, most == 0 || most > ENTRIES_MAX ? ENTRIES_MAX : most, ret, error);
	free(dir);
	return ok ? SERVICE_OK : SERVICE_FAILED;
}

enum service_result service_task_trend(struct service *service, const char *task, const char *span, json_t **ret,
				       struct error *error)
{
	enum service_result result = SERVICE_OK;
	struct entry *entry;

	if (!trend_is_span(span)) {
		error_set(error, ERROR_USAGE, "a trend is told of 15m, 1h or 24h");
		return SERVICE_INVALID;
	}
	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	if (entry)
		*ret = trend_tree(entry->trend, span, clock_wall_ms());
	else
		result = service_no_task(task, error);
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* ---- a worker's log ---- */

enum service_result service_task_log(struct service *service, const char *task, uint32_t most, json_t **ret, struct error *error)
{
	char *dir = dir_of(service, task);
	struct worker_log_place place;
	json_t *lines = json_array();
	bool gap, more = dir != NULL;

	most = most == 0 || most > LINES_MAX ? LINES_MAX : most;
	if (dir)
		worker_log_back(dir, most, &place);
	while (more && json_array_size(lines) < most)
		more = worker_log_read(dir, &place, lines, &gap);
	while (json_array_size(lines) > most)
		json_array_remove(lines, 0);
	*ret = dir ? json_pack("{s:o}", "lines", lines) : NULL;
	if (dir) {
		free(dir);
		return SERVICE_OK;
	}
	json_decref(lines);
	return service_no_task(task, error);
}

enum service_result service_task_log_back(struct service *service, const char *task, uint32_t most, struct worker_log_place *ret,
					  struct error *error)
{
	char *dir = dir_of(service, task);

	if (!dir)
		return service_no_task(task, error);
	worker_log_back(dir, most == 0 || most > LINES_MAX ? LINES_MAX : most, ret);
	free(dir);
	return SERVICE_OK;
}

enum service_result service_task_log_read(struct service *service, const char *task, struct worker_log_place *place,
					  json_t *lines, bool *ret_more, bool *ret_gap, struct error *error)
{
	char *dir = dir_of(service, task);

	if (!dir)
		return service_no_task(task, error);
	*ret_more = worker_log_read(dir, place, lines, ret_gap);
	free(dir);
	return SERVICE_OK;
}
