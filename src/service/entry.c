#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "service/service_state.h"
#include "task/options.h"
#include "task/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- life ---- */

/* It stays for those who ask what went wrong when it is over: after a precheck that finds everything well, too. */
static void keep_error(struct entry *entry, int64_t at_ms)
{
	json_decref(entry->last_error);
	entry->last_error = json_deep_copy(entry->error);
	json_object_set_new(entry->last_error, "at", view_time(at_ms));
}

struct entry *entry_new(struct service *service, struct store_task *row)
{
	struct entry *entry = memory_alloc_zero(1, sizeof(*entry));

	entry->service = service;
	entry->row = *row;
	*row = (struct store_task){0};
	entry_read_document(entry);
	entry->wanted = wanted_parse(entry->row.wanted);
	entry->dir = memory_printf("%s/tasks/%lld", service->config->data_dir, (long long)entry->row.id);
	entry->error = entry->row.error ? json_loads(entry->row.error, 0, NULL) : NULL;
	if (entry->error)
		keep_error(entry, entry->row.since_ms);
	entry->worker.pidfd = -1;
	return entry;
}

void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	job_free(entry->job);
	store_task_free(&entry->row);
	json_decref(entry->document);
	json_decref(entry->error);
	json_decref(entry->last_error);
	json_decref(entry->status);
	trend_free(entry->trend);
	free(entry->dir);
	free(entry);
}

/* ---- the document ---- */

void entry_read_document(struct entry *entry)
{
	struct task_options options;
	struct error error;

	json_decref(entry->document);
	entry->document = json_loads(entry->row.document, 0, NULL);
	if (!entry->document)
		entry->document = json_object();
	/* Limits by the document's own rules: specs have names, sizes have units. */
	task_options_init(&options);
	if (!task_options_parse(&options, slice_of_string(entry->row.document), "document", &error))
		log_warning("task %s: its stored document cannot be read: %s", entry->row.name, error.text);
	entry->limit_records = options.limit_records_per_second;
	entry->limit_bytes = options.limit_bytes_per_second;
	task_options_free(&options);
}

void text_wipe(char *text)
{
	if (text)
		memory_wipe(text, strlen(text));
	free(text);
}

char *entry_secrets_context(const char *name)
{
	return memory_printf("task:%s", name);
}

static json_t *open_secrets(const struct entry *entry, struct error *error)
{
	char *context, *text;
	json_t *secrets;
	size_t len;

	if (!entry->row.secrets)
		return json_object();
	context = entry_secrets_context(entry->row.name);
	text = vault_unseal(entry->service->vault, context, entry->row.secrets, entry->row.secrets_len, &len, error);
	free(context);
	if (!text)
		return NULL;
	secrets = json_loads(text, 0, NULL);
	text_wipe(text);
	if (!secrets)
		error_set(error, ERROR_INTERNAL, "the stored passwords of task %s are damaged", entry->row.name);
	return secrets;
}

json_t *entry_whole_document(const struct entry *entry, struct error *error)
{
	json_t *secrets = open_secrets(entry, error), *document;

	if (!secrets)
		return NULL;
	document = json_deep_copy(entry->document);
	if (!stored_put_secrets(document, secrets, error)) {
		json_decref(document);
		document = NULL;
	}
	json_decref(secrets);
	return document;
}

/* ---- state ---- */

json_t *error_tree(const struct error *error)
{
	json_t *text, *hint;

	if (error->kind == ERROR_NONE)
		return NULL;
	/* Servers' words may be no UTF-8. */
	text = json_string(error->text);
	hint = json_string(error->hint);
	return json_pack("{s:s, s:o, s:o, s:i}", "kind", error_kind_name(error->kind), "text",
			 text ? text : json_string("(text that is no UTF-8)"), "hint", hint ? hint : json_string(""), "exit_code",
			 (int)error->kind);
}

enum task_state entry_state(const struct entry *entry)
{
	for (enum task_state state = TASK_CREATED; state <= TASK_FINISHED; state++)
		if (strcmp(entry->row.state, task_state_name(state)) == 0)
			return state;
	return TASK_CREATED;
}

void entry_save(struct entry *entry)
{
	struct service *service = entry->service;
	struct error error;

	entry->unsaved = !store_task_update(service->store, &entry->row, &error);
	if (entry->unsaved && !service->store_failed)
		log_error_value(LOG_ERROR, &error);
	service->store_failed = entry->unsaved;
}

static void replace(char **text, char *with)
{
	free(*text);
	*text = with;
}

static void tell_state(const struct entry *entry, enum task_state state)
{
	const char *text = json_string_value(json_object_get(entry->error, "text")),
		   *hint = json_string_value(json_object_get(entry->error, "hint"));

	if (!text)
		log_info("task %s: %s", entry->row.name, task_state_name(state));
	else
		log_warning("task %s: %s: %s%s%s", entry->row.name, task_state_name(state), text, hint && hint[0] ? ". " : "",
			    hint ? hint : "");
}

void entry_set_state(struct entry *entry, enum task_state state, json_t *cause)
{
	struct service *service = entry->service;
	struct error error;
	bool ok;

	if (strcmp(entry->row.state, task_state_name(state)) == 0 &&
	    json_equal(entry->error ? entry->error : json_null(), cause ? cause : json_null())) {
		json_decref(cause);
		return;
	}
	json_decref(entry->error);
	entry->error = cause;
	if (cause)
		keep_error(entry, clock_wall_ms());
	replace(&entry->row.state, memory_strdup(task_state_name(state)));
	replace(&entry->row.error, cause ? json_dumps(cause, JSON_COMPACT) : NULL);
	entry->row.since_ms = clock_wall_ms();
	tell_state(entry, state);
	ok = store_begin(service->store, &error) && store_task_update(service->store, &entry->row, &error) &&
	     store_log_add(service->store, STORE_HISTORY, entry->row.id, entry->row.since_ms, entry->row.state, entry->row.error,
			   NULL, &error) &&
	     store_commit(service->store, &error);
	if (!ok) {
		store_rollback(service->store);
		if (!service->store_failed)
			log_error_value(LOG_ERROR, &error);
	}
	entry->unsaved = !ok;
	service->store_failed = !ok;
	service_touch(service);
}

bool entry_set_wanted(struct entry *entry, enum wanted wanted, struct error *error)
{
	struct store_task row = entry->row;

	row.wanted = memory_strdup(wanted_name(wanted));
	row.updated_ms = clock_wall_ms();
	if (!store_task_update(entry->service->store, &row, error)) {
		free(row.wanted);
		return false;
	}
	free(entry->row.wanted);
	entry->row = row;
	entry->wanted = wanted;
	service_touch(entry->service);
	return true;
}

/* ---- events ---- */

static bool add_event(struct entry *entry, const json_t *event, int64_t at_ms, struct error *error)
{
	const char *kind = json_string_value(json_object_get(event, "kind"));
	char *text = json_dumps(event, JSON_COMPACT);
	bool ok = store_log_add(entry->service->store, STORE_EVENTS, entry->row.id, at_ms, kind ? kind : "", text, NULL, error);

	free(text);
	return ok;
}

void entry_take_events(struct entry *entry, const json_t *status, int64_t before_ms)
{
	struct store *store = entry->service->store;
	int64_t newest = entry->row.event_ms, was = newest;
	const json_t *event;
	struct error error;
	bool begun = false, ok = true;
	size_t i;

	json_array_foreach (json_object_get(status, "events"), i, event) {
		int64_t at_ms = clock_parse_rfc3339(json_string_value(json_object_get(event, "time")));

		if (!ok || at_ms <= was || at_ms >= before_ms)
			continue;
		if (!begun)
			ok = store_begin(store, &error);
		begun = begun || ok;
		ok = ok && add_event(entry, event, at_ms, &error);
		newest = at_ms > newest ? at_ms : newest;
	}
	if (!begun)
		return;
	entry->row.event_ms = newest;
	if (ok && store_task_update(store, &entry->row, &error) && store_commit(store, &error)) {
		service_touch(entry->service);
		return;
	}
	store_rollback(store);
	entry->row.event_ms = was;
}
