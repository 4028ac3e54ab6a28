/* Calls that tell a task what to do: start, pause, limits, jobs. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"
#include "control/work_dir.h"
#include "service/service_state.h"
#include "task/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- actions ---- */

static const char *const action_names[] = {"start", "pause", "resume", "stop", "restart"};

const char *service_action_name(enum service_action action)
{
	return action_names[action];
}

static enum service_result refuse(const struct entry *entry, const char *what, const char *hint, struct error *error)
{
	error_set(error, ERROR_USAGE, "task %s is %s: it cannot be %s", entry->row.name, entry->row.state, what);
	error_hint(error, "%s", hint);
	return SERVICE_STATE;
}

/* Jobs that a worker would be in the way of, and the other way round. */
static enum service_result check_job(const struct entry *entry, const char *what, struct error *error)
{
	if (!entry->job || entry->job->kind == SERVICE_JOB_VERIFY)
		return SERVICE_OK;
	error_set(error, ERROR_USAGE, "task %s cannot be %s while its %s is under way", entry->row.name, what,
		  service_job_name(entry->job->kind));
	error_hint(error, "Wait for its end, or cancel it");
	return SERVICE_STATE;
}

static enum service_result want(struct entry *entry, enum wanted wanted, struct error *error)
{
	return entry_set_wanted(entry, wanted, error) ? SERVICE_OK : SERVICE_FAILED;
}

static enum service_result start(struct entry *entry, struct error *error)
{
	enum service_result result = check_job(entry, "started", error);

	if (result != SERVICE_OK)
		return result;
	if (entry->wanted == WANTED_FINISHED)
		return refuse(entry, "started", "Create another task to copy again", error);
	if (entry->wanted == WANTED_RUNNING && entry->worker.pidfd >= 0 && !entry->worker.ending)
		return refuse(entry, "started", "It runs already", error);
	result = want(entry, WANTED_RUNNING, error);
	if (result == SERVICE_OK) {
		entry->start_at_us = 0;
		entry->restart_at_ms = 0;
		entry->pause_ms = entry->restarts = 0;
		entry->held_since_us = 0;
	}
	return result;
}

/* Where nothing runs it is done at once; else the supervisor brings it about. */
static enum service_result end(struct entry *entry, enum wanted wanted, enum task_state state, const char *what,
			       struct error *error)
{
	enum service_result result = check_job(entry, what, error);

	if (result == SERVICE_OK)
		result = want(entry, wanted, error);
	if (result != SERVICE_OK)
		return result;
	entry->restart_at_ms = 0;
	if (!entry_has_worker(entry))
		entry_set_state(entry, state, NULL);
	return SERVICE_OK;
}

static enum service_result restart(struct entry *entry, struct error *error)
{
	enum service_result result = check_job(entry, "restarted", error);

	if (result != SERVICE_OK)
		return result;
	if (entry->wanted != WANTED_RUNNING || !entry_has_worker(entry))
		return refuse(entry, "restarted", "Start it", error);
	supervisor_end_worker(entry);
	return SERVICE_OK;
}

static enum service_result act(struct entry *entry, enum service_action action, struct error *error)
{
	enum task_state state = entry_state(entry);

	switch (action) {
	case SERVICE_START: return start(entry, error);
	case SERVICE_RESUME:
		if (state != TASK_PAUSED && state != TASK_FAILED)
			return refuse(entry, "resumed", "A task is resumed that is paused or has failed; start it", error);
		return start(entry, error);
	case SERVICE_PAUSE:
		if (entry->wanted != WANTED_RUNNING)
			return refuse(entry, "paused", "Only a task that runs is paused", error);
		return end(entry, WANTED_PAUSED, TASK_PAUSED, "paused", error);
	case SERVICE_STOP:
		if (entry->wanted == WANTED_FINISHED)
			return refuse(entry, "stopped", "It has come to its end", error);
		if (entry->wanted == WANTED_IDLE && state != TASK_FAILED && state != TASK_PRECHECK_FAILED)
			return refuse(entry, "stopped", "It does not run", error);
		return end(entry, WANTED_IDLE, TASK_READY, "stopped", error);
	case SERVICE_RESTART: return restart(entry, error);
	}
	return SERVICE_INVALID;
}

enum service_result service_task_do(struct service *service, const struct service_caller *caller, const char *task,
				    enum service_action action, json_t **ret, struct error *error)
{
	char name[32];
	enum service_result result;
	struct entry *entry;

	snprintf(name, sizeof(name), "task.%s", service_action_name(action));
	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	result = entry ? act(entry, action, error) : service_no_task(task, error);
	service_note(service, caller, name, entry, result, error, NULL);
	if (result == SERVICE_OK)
		*ret = view_task(entry, true);
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* ---- while it runs ---- */

static json_t *limit_value(uint64_t number)
{
	return number ? json_integer((json_int_t)number) : NULL;
}

static enum service_result set_limit(struct entry *entry, uint64_t records, uint64_t bytes, struct error *error)
{
	struct store_task row = entry->row;
	json_t *document;

	if (records > INT64_MAX || bytes > INT64_MAX) {
		error_set(error, ERROR_USAGE, "a limit is a number of records or bytes per second");
		error_hint(error, "0: unlimited");
		return SERVICE_INVALID;
	}
	document = json_deep_copy(entry->document);
	stored_set(document, "limit", NULL);
	if (records)
		stored_set(document, "limit.records_per_second", limit_value(records));
	if (bytes)
		stored_set(document, "limit.bytes_per_second", limit_value(bytes));
	row.document = json_dumps(document, JSON_COMPACT);
	row.revision++;
	row.updated_ms = clock_wall_ms();
	json_decref(document);
	if (!store_task_update(entry->service->store, &row, error)) {
		free(row.document);
		return SERVICE_FAILED;
	}
	free(entry->row.document);
	entry->row = row;
	entry_read_document(entry);
	supervisor_order(entry, json_pack("{s:s, s:I, s:I}", "do", "limit", "records_per_second", (json_int_t)records,
					  "bytes_per_second", (json_int_t)bytes));
	service_touch(entry->service);
	return SERVICE_OK;
}

enum service_result service_task_limit(struct service *service, const struct service_caller *caller, const char *task,
				       uint64_t records_per_second, uint64_t bytes_per_second, json_t **ret, struct error *error)
{
	enum service_result result;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	result = entry ? set_limit(entry, records_per_second, bytes_per_second, error) : service_no_task(task, error);
	service_note(service, caller, "task.limit", entry, result, error,
		     json_pack("{s:I, s:I}", "records_per_second", (json_int_t)records_per_second, "bytes_per_second",
			       (json_int_t)bytes_per_second));
	if (result == SERVICE_OK)
		*ret = view_task(entry, true);
	pthread_mutex_unlock(&service->lock);
	return result;
}

static enum service_result set_level(struct entry *entry, const char *level, struct error *error)
{
	struct store_task row = entry->row;
	enum log_level known;

	if (!log_level_parse(level, &known)) {
		error_set(error, ERROR_USAGE, "there is no such level of the log");
		error_hint(error, "It is debug, info, warning or error");
		return SERVICE_INVALID;
	}
	row.log_level = memory_strdup(log_level_name(known));
	if (!store_task_update(entry->service->store, &row, error)) {
		free(row.log_level);
		return SERVICE_FAILED;
	}
	free(entry->row.log_level);
	entry->row = row;
	supervisor_tell_level(entry);
	service_touch(entry->service);
	return SERVICE_OK;
}

enum service_result service_task_log_level(struct service *service, const struct service_caller *caller, const char *task,
					   const char *level, json_t **ret, struct error *error)
{
	enum service_result result;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	result = entry ? set_level(entry, level, error) : service_no_task(task, error);
	service_note(service, caller, "task.log_level", entry, result, error, NULL);
	if (result == SERVICE_OK)
		*ret = view_task(entry, true);
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* ---- jobs ---- */

static bool is_one_of(const char *value, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		if (strcmp(value, words[i]) == 0)
			return true;
	return false;
}

static const struct job_option {
	enum service_job job;
	const char *name;
	const char *const *words; /* NULL: a switch, or a duration */
	bool duration;
} job_options[] = {
	{SERVICE_JOB_VERIFY, "mode", (const char *const[]){"full", "outline", NULL}, false},
	{SERVICE_JOB_VERIFY, "repair", NULL, false},
	{SERVICE_JOB_CUTOVER, "verify", (const char *const[]){"outline", "full", "none", NULL}, false},
	{SERVICE_JOB_CUTOVER, "by_hand", NULL, false},
	{SERVICE_JOB_CUTOVER, "dry_run", NULL, false},
	{SERVICE_JOB_CUTOVER, "timeout", NULL, true},
	{SERVICE_JOB_CUTOVER, "hold", NULL, true},
};

static bool is_valid(const struct job_option *option, const json_t *value)
{
	uint64_t ms;

	if (option->words)
		return json_is_string(value) && is_one_of(json_string_value(value), option->words);
	if (option->duration)
		return json_is_string(value) && units_parse_duration(slice_of_string(json_string_value(value)), &ms) &&
		       ms <= INT32_MAX;
	return json_is_boolean(value);
}

static enum service_result check_options(enum service_job job, const json_t *options, struct error *error)
{
	const char *name;
	json_t *value;

	if (options && !json_is_object(options)) {
		error_set(error, ERROR_USAGE, "options of a job are an object");
		error_hint(error, "for example {\"mode\": \"outline\"}");
		return SERVICE_INVALID;
	}
	json_object_foreach ((json_t *)options, name, value) {
		const struct job_option *found = NULL;

		for (size_t i = 0; i < sizeof(job_options) / sizeof(job_options[0]); i++)
			if (job_options[i].job == job && strcmp(job_options[i].name, name) == 0)
				found = &job_options[i];
		if (found && is_valid(found, value))
			continue;
		error_set(error, ERROR_USAGE, found ? "%s: '%s' cannot have that value" : "%s has no option '%.40s'",
			  service_job_name(job), name);
		error_hint(error, "docs/serve.md lists the options of jobs");
		return SERVICE_INVALID;
	}
	return SERVICE_OK;
}

static enum service_result check_state(const struct entry *entry, enum service_job job, struct error *error)
{
	bool runs = entry_has_worker(entry) || entry->wanted == WANTED_RUNNING;
	enum task_state state = entry_state(entry);

	if (entry->job) {
		error_set(error, ERROR_USAGE, "task %s: its %s is under way", entry->row.name,
			  service_job_name(entry->job->kind));
		error_hint(error, "Wait for its end, or cancel it");
		return SERVICE_STATE;
	}
	if (entry->wanted == WANTED_FINISHED && job != SERVICE_JOB_VERIFY)
		return refuse(entry, "worked on", "It has come to its end", error);
	if (job == SERVICE_JOB_FINISH && runs)
		return refuse(entry, "finished for good", "Stop it first", error);
	if (job == SERVICE_JOB_CUTOVER && state != TASK_STREAMING)
		return refuse(entry, "cut over", "Start it, and wait until it streams", error);
	if (job == SERVICE_JOB_VERIFY && state != TASK_STREAMING && state != TASK_PAUSED && state != TASK_FINISHED &&
	    state != TASK_READY)
		return refuse(entry, "verified", "Wait until it streams, or pause it", error);
	return SERVICE_OK;
}

static enum service_result start_job(struct entry *entry, enum service_job kind, const json_t *options, const char *language,
				     struct error *error)
{
	enum service_result result = check_options(kind, options, error);
	struct job *job;

	if (result == SERVICE_OK)
		result = check_state(entry, kind, error);
	if (result != SERVICE_OK)
		return result;
	job = job_new(kind, options, language, entry_has_worker(entry) || entry->wanted == WANTED_RUNNING);
	job->id = ++entry->service->last_job;
	job->state_before = entry_state(entry);
	job->error_before = entry->error ? json_deep_copy(entry->error) : NULL;
	entry->job = job;
	if (kind == SERVICE_JOB_PRECHECK && !job->while_running)
		entry_set_state(entry, TASK_PRECHECKING, NULL);
	service_touch(entry->service);
	return SERVICE_OK;
}

enum service_result service_job_start(struct service *service, const struct service_caller *caller, const char *task,
				      enum service_job job, const json_t *options, const char *language, json_t **ret,
				      struct error *error)
{
	char name[32];
	enum service_result result;
	struct entry *entry;

	snprintf(name, sizeof(name), "task.%s", service_job_name(job));
	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	result = entry ? start_job(entry, job, options, language, error) : service_no_task(task, error);
	service_note(service, caller, name, entry, result, error,
		     options && result == SERVICE_OK ? json_deep_copy(options) : NULL);
	if (result == SERVICE_OK)
		*ret = view_job(entry->job);
	pthread_mutex_unlock(&service->lock);
	return result;
}

enum service_result service_job_cancel(struct service *service, const struct service_caller *caller, const char *task,
				       struct error *error)
{
	enum service_result result = SERVICE_OK;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	if (!entry) {
		result = service_no_task(task, error);
	} else if (!entry->job) {
		error_set(error, ERROR_USAGE, "task %s has no job under way", entry->row.name);
		error_hint(error, "The results of earlier ones are in its list of results");
		result = SERVICE_STATE;
	} else {
		job_end(entry->job);
		service_touch(service);
	}
	service_note(service, caller, "task.cancel", entry, result, error, NULL);
	pthread_mutex_unlock(&service->lock);
	return result;
}
