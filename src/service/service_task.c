/* Calls about tasks and their documents. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/work_dir.h"
#include "service/service_state.h"
#include "task/options.h"
#include "task/stored.h"
#include "transform/transform.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

enum service_result service_task_list(struct service *service, json_t **ret, struct error *error)
{
	json_t *list = json_array();

	(void)error;
	pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->count; i++)
		json_array_append_new(list, view_task(service->entries[i], false));
	pthread_mutex_unlock(&service->lock);
	*ret = list;
	return SERVICE_OK;
}

static enum service_result show(struct service *service, const char *task, json_t *(*view)(const struct entry *entry),
				json_t **ret, struct error *error)
{
	enum service_result result = SERVICE_OK;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	if (entry)
		*ret = view(entry);
	else
		result = service_no_task(task, error);
	pthread_mutex_unlock(&service->lock);
	return result;
}

static json_t *view_whole(const struct entry *entry)
{
	return view_task(entry, true);
}

enum service_result service_task_show(struct service *service, const char *task, json_t **ret, struct error *error)
{
	return show(service, task, view_whole, ret, error);
}

enum service_result service_task_status(struct service *service, const char *task, json_t **ret, struct error *error)
{
	return show(service, task, view_status, ret, error);
}

/* ---- documents ---- */

/* A document that was taken. */
struct draft {
	json_t *document; /* as it is stored */
	json_t *secrets;
	char *name;
};

static void draft_free(struct draft *draft)
{
	json_decref(draft->document);
	json_decref(draft->secrets);
	free(draft->name);
}

static bool is_number(const char *name)
{
	uint64_t number;

	return slice_to_uint64(slice_of_string(name), &number);
}

/* Everything that can be known of it without asking a server. */
static bool check_options(struct slice text, char **ret_name, struct error *error)
{
	struct task_options options;
	bool ok;

	task_options_init(&options);
	ok = task_options_parse(&options, text, "document", error);
	if (ok && !options.name) {
		error_set(error, ERROR_USAGE, "document: option 'name' is missing");
		error_hint(error, "for example name: orders-to-new-idc");
		ok = false;
	}
	if (ok && is_number(options.name)) {
		error_set(error, ERROR_USAGE, "document: option 'name' is a number, and tasks are numbered already");
		error_hint(error, "for example name: orders-%s", options.name);
		ok = false;
	}
	/* It gets its own folder; the default one may not be there for the daemon's user. */
	if (ok)
		options.data_dir = memory_strdup(".");
	ok = ok && task_options_finish(&options, error) && transform_check(&options, error);
	if (ok)
		*ret_name = memory_strdup(options.name);
	task_options_free(&options);
	return ok;
}

/* Puts secrets where SERVICE_SECRET stands. `old`: whose; NULL: nobody's. */
static bool put_secrets(json_t *document, const struct entry *old, struct error *error)
{
	json_t *old_whole = old ? entry_whole_document(old, error) : NULL, *secrets = NULL;
	bool ok;

	if (old_whole)
		secrets = stored_take_secrets(old_whole);
	else if (old)
		/* Lost with the key: the new document has to bring all of them. */
		log_error_value(LOG_WARNING, error);
	json_decref(old_whole);
	ok = stored_put_secrets(document, secrets, error);
	json_decref(secrets);
	return ok;
}

/* `old`: whose secrets SERVICE_SECRET stands for; NULL: nobody's. */
static bool draft_read(struct slice text, const struct entry *old, struct draft *ret, struct error *error)
{
	json_t *whole = stored_parse(text, "document", error);
	char *whole_text;
	bool ok;

	if (!whole)
		return false;
	ok = put_secrets(whole, old, error);
	/* First as it was written, so that a mistake is told with its line; then with the secrets. */
	if (ok) {
		char *name = NULL;
		struct task_options options;

		task_options_init(&options);
		ok = task_options_parse(&options, text, "document", error);
		task_options_free(&options);
		whole_text = json_dumps(whole, JSON_COMPACT);
		ok = ok && check_options(slice_of_string(whole_text), &name, error);
		text_wipe(whole_text);
		if (ok)
			*ret = (struct draft){
				.secrets = stored_take_secrets(whole), .document = json_incref(whole), .name = name};
	}
	json_decref(whole);
	return ok;
}

static void seal_secrets(const struct service *service, const struct draft *draft, struct store_task *row)
{
	char *context, *text;

	if (json_object_size(draft->secrets) == 0)
		return;
	context = entry_secrets_context(draft->name);
	text = json_dumps(draft->secrets, JSON_COMPACT);
	row->secrets = vault_seal(service->vault, context, slice_of_string(text), &row->secrets_len);
	free(context);
	text_wipe(text);
}

enum service_result service_document_check(struct service *service, const char *task, struct slice document, json_t **ret,
					   struct error *error)
{
	enum service_result result = SERVICE_INVALID;
	struct entry *old;
	struct draft draft;

	pthread_mutex_lock(&service->lock);
	old = task ? service_find(service, task) : NULL;
	if (task && !old) {
		result = service_no_task(task, error);
	} else if (draft_read(document, old, &draft, error)) {
		*ret = json_incref(draft.document);
		draft_free(&draft);
		result = SERVICE_OK;
	}
	pthread_mutex_unlock(&service->lock);
	return result;
}

enum service_result service_document_open(struct service *service, const char *task, json_t *document, struct error *error)
{
	enum service_result result;
	struct entry *old;

	pthread_mutex_lock(&service->lock);
	old = task ? service_find(service, task) : NULL;
	if (task && !old)
		result = service_no_task(task, error);
	else
		result = put_secrets(document, old, error) ? SERVICE_OK : SERVICE_INVALID;
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* ---- creating ---- */

static enum service_result add_task(struct service *service, const struct draft *draft, struct entry **ret, struct error *error)
{
	struct store_task row = {.revision = 1, .since_ms = clock_wall_ms()};

	if (service_find(service, draft->name)) {
		error_set(error, ERROR_USAGE, "there is a task %s already", draft->name);
		error_hint(error, "Give this one another name, or delete the other first");
		return SERVICE_EXISTS;
	}
	if (service->count >= STORE_TASKS_MAX) {
		error_set(error, ERROR_USAGE, "there are %d tasks, and more are not taken", STORE_TASKS_MAX);
		error_hint(error, "Delete tasks that are finished");
		return SERVICE_FULL;
	}
	row.name = memory_strdup(draft->name);
	row.document = json_dumps(draft->document, JSON_COMPACT);
	row.wanted = memory_strdup(wanted_name(WANTED_IDLE));
	row.state = memory_strdup(task_state_name(TASK_CREATED));
	row.created_ms = row.updated_ms = row.since_ms;
	seal_secrets(service, draft, &row);
	if (!store_begin(service->store, error) || !store_task_add(service->store, &row, error) ||
	    !store_log_add(service->store, STORE_HISTORY, row.id, row.since_ms, row.state, NULL, NULL, error) ||
	    !store_commit(service->store, error)) {
		store_rollback(service->store);
		store_task_free(&row);
		return SERVICE_FAILED;
	}
	service->entries = memory_realloc_array(service->entries, service->count + 1, sizeof(struct entry *));
	*ret = service->entries[service->count++] = entry_new(service, &row);
	service_touch(service);
	return SERVICE_OK;
}

enum service_result service_task_create(struct service *service, const struct service_caller *caller, struct slice document,
					json_t **ret, struct error *error)
{
	enum service_result result = SERVICE_INVALID;
	struct entry *entry = NULL;
	struct draft draft;

	pthread_mutex_lock(&service->lock);
	if (draft_read(document, NULL, &draft, error)) {
		result = add_task(service, &draft, &entry, error);
		draft_free(&draft);
	}
	service_note(service, caller, "task.create", entry, result, error, NULL);
	if (result == SERVICE_OK)
		*ret = view_task(entry, true);
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* ---- changing ---- */

/* Of a task that neither runs nor is being worked on. */
static enum service_result check_quiet(const struct entry *entry, const char *what, struct error *error)
{
	if (entry_has_worker(entry) || entry->wanted == WANTED_RUNNING) {
		error_set(error, ERROR_USAGE, "task %s runs: it cannot be %s now", entry->row.name, what);
		error_hint(error, "Pause or stop it first");
		return SERVICE_STATE;
	}
	if (entry->job) {
		error_set(error, ERROR_USAGE, "task %s cannot be %s while its %s is under way", entry->row.name, what,
			  service_job_name(entry->job->kind));
		error_hint(error, "Wait for its end, or cancel it");
		return SERVICE_STATE;
	}
	return SERVICE_OK;
}

/* Another document, all at once; history and state go with it. */
static enum service_result change_document(struct entry *entry, const struct draft *draft, bool accept_changes,
					   struct error *error)
{
	struct service *service = entry->service;
	struct store_task row = entry->row;

	row.document = json_dumps(draft->document, JSON_COMPACT);
	row.secrets = NULL;
	row.secrets_len = 0;
	seal_secrets(service, draft, &row);
	row.revision++;
	row.updated_ms = clock_wall_ms();
	row.accept_changes = accept_changes;
	if (!store_task_update(service->store, &row, error)) {
		free(row.document);
		free(row.secrets);
		return SERVICE_FAILED;
	}
	free(entry->row.document);
	free(entry->row.secrets);
	entry->row = row;
	entry_read_document(entry);
	service_touch(service);
	return SERVICE_OK;
}

static enum service_result update(struct entry *entry, int64_t revision, bool accept_changes, struct slice document,
				  struct error *error)
{
	enum service_result result = check_quiet(entry, "changed", error);
	struct draft draft;

	if (result != SERVICE_OK)
		return result;
	if (revision != 0 && revision != entry->row.revision) {
		error_set(error, ERROR_USAGE, "task %s has been changed meanwhile: its document is revision %lld, and not %lld",
			  entry->row.name, (long long)entry->row.revision, (long long)revision);
		error_hint(error, "Read it again and make the change there");
		return SERVICE_CHANGED;
	}
	if (!draft_read(document, entry, &draft, error))
		return SERVICE_INVALID;
	if (strcmp(draft.name, entry->row.name) != 0) {
		error_set(error, ERROR_USAGE, "task %s cannot be named %s: its marks in the target bear its name",
			  entry->row.name, draft.name);
		error_hint(error, "Keep the name, or create another task");
		result = SERVICE_INVALID;
	} else {
		result = change_document(entry, &draft, accept_changes, error);
	}
	draft_free(&draft);
	if (result == SERVICE_OK)
		entry_set_state(entry, work_dir_would_resume(entry->dir) ? TASK_PAUSED : TASK_CREATED, NULL);
	return result;
}

enum service_result service_task_update(struct service *service, const struct service_caller *caller, const char *task,
					int64_t revision, bool accept_changes, struct slice document, json_t **ret,
					struct error *error)
{
	enum service_result result;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	result = entry ? update(entry, revision, accept_changes, document, error) : service_no_task(task, error);
	service_note(
		service, caller, "task.update", entry, result, error,
		entry ? json_pack("{s:I, s:b}", "revision", (json_int_t)entry->row.revision, "accept_changes", accept_changes)
		      : NULL);
	if (result == SERVICE_OK)
		*ret = view_task(entry, true);
	pthread_mutex_unlock(&service->lock);
	return result;
}

/* ---- deleting ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)kind;
	(void)where;
	return remove(path);
}

static void drop_entry(struct service *service, struct entry *entry)
{
	size_t at = 0;

	while (service->entries[at] != entry)
		at++;
	service->count--;
	memmove(&service->entries[at], &service->entries[at + 1], (service->count - at) * sizeof(service->entries[0]));
	entry_free(entry);
	service_touch(service);
}

/* The row first: a work directory without a task is only room on the disk, and ids are never given again. */
static enum service_result delete (struct service *service, struct entry *entry, struct error *error) {
	enum service_result result = check_quiet(entry, "deleted", error);

	if (result != SERVICE_OK) return result;
	if (!store_task_remove(service->store, entry->row.id, error)) return SERVICE_FAILED;
	if (access(entry->dir, F_OK) == 0 && nftw(entry->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		log_warning("task %s is deleted; its work directory %s could not be removed whole", entry->row.name, entry->dir);
	return SERVICE_OK;
}

enum service_result service_task_delete(struct service *service, const struct service_caller *caller, const char *task,
					struct error *error)
{
	enum service_result result;
	struct entry *entry;

	pthread_mutex_lock(&service->lock);
	entry = service_find(service, task);
	result = entry ? delete (service, entry, error) : service_no_task(task, error);
	service_note(service, caller, "task.delete", entry, result, error, NULL);
	if (result == SERVICE_OK)
		drop_entry(service, entry);
	pthread_mutex_unlock(&service->lock);
	return result;
}
