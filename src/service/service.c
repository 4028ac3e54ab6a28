#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "service/process.h"
#include "service/service_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS 250
#define LOCK_TRIES 40
#define LOCK_PAUSE_US 50000
#define ALIVE_US 10000000 /* a main thread that has not turned for so long is not well */

const char *service_result_name(enum service_result result)
{
	static const char *const names[] = {"ok", "invalid", "not-found", "exists", "state", "changed", "full", "failed"};

	return names[result];
}

/* ---- the data directory ---- */

static bool make_folder(const char *path, struct error *error)
{
	char *partial = memory_strdup(path);
	bool ok;

	for (char *p = partial + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(partial, 0755); /* what cannot be made is found out by the last one */
		*p = '/';
	}
	ok = mkdir(partial, 0700) == 0 || (errno == EEXIST && access(partial, R_OK | W_OK | X_OK) == 0);
	if (!ok) {
		error_set_errno(error, ERROR_USAGE, errno, "the data directory %s cannot be used", path);
		error_hint(error, "Give one that may be written to with --data");
	}
	free(partial);
	return ok;
}

static bool lock_folder(struct service *service, struct error *error)
{
	char *path = memory_printf("%s/lock", service->config->data_dir), holder[32] = "";
	bool locked = false;
	ssize_t got;

	service->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* A daemon that was killed while it started a process has left it the lock until that has begun its program. */
	for (int i = 0;
	     service->lock_file >= 0 && i < LOCK_TRIES && !(locked = flock(service->lock_file, LOCK_EX | LOCK_NB) == 0); i++)
		usleep(LOCK_PAUSE_US);
	if (service->lock_file < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be opened", path);
		error_hint(error, "Run the daemon as the user that owns its data directory");
	} else if (!locked) {
		got = pread(service->lock_file, holder, sizeof(holder) - 1, 0);
		holder[got > 0 ? got : 0] = '\0';
		holder[strcspn(holder, "\n")] = '\0';
		error_set(error, ERROR_BUSY, "the data directory %s is that of another daemon, process %s",
			  service->config->data_dir, holder[0] ? holder : "(unknown)");
		error_hint(error, "Stop that one first, or give this one a data directory of its own with --data");
		close(service->lock_file);
		service->lock_file = -1;
	} else {
		snprintf(holder, sizeof(holder), "%ld\n", (long)getpid());
		if (ftruncate(service->lock_file, 0) < 0 || pwrite(service->lock_file, holder, strlen(holder), 0) < 0)
			log_warning("%s cannot be written to: %s", path, strerror(errno));
	}
	free(path);
	return service->lock_file >= 0;
}

/* ---- opening ---- */

static bool load_tasks(struct service *service, struct error *error)
{
	struct store_task *rows;
	size_t count;

	if (!store_task_list(service->store, &rows, &count, error))
		return false;
	service->entries = memory_alloc_zero(count + 1, sizeof(struct entry *));
	for (size_t i = 0; i < count; i++)
		service->entries[service->count++] = entry_new(service, &rows[i]);
	free(rows);
	if (!store_trend_prune(service->store, 0, clock_wall_ms() / 1000 - TREND_DAY_S, error))
		return false;
	for (size_t i = 0; i < service->count; i++)
		if (!trends_load(service->entries[i], error))
			return false;
	return store_token_list(service->store, &service->tokens, &service->token_count, error);
}

static bool has_secrets(const struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		if (service->entries[i]->row.secrets)
			return true;
	return service->token_count > 0;
}

/* A data directory whose key is lost must not get another one quietly: what was stored with the old one could never be read again. */
static bool open_parts(struct service *service, struct error *error)
{
	const struct service_config *config = service->config;
	char *tasks = memory_printf("%s/tasks", config->data_dir), *store = memory_printf("%s/keyferry.db", config->data_dir);
	bool ok = make_folder(config->data_dir, error) && lock_folder(service, error) && make_folder(tasks, error) &&
		  (service->store = store_open(store, error)) && load_tasks(service, error) &&
		  (service->vault = vault_open(config->key_file, !has_secrets(service), error));

	free(tasks);
	free(store);
	return ok;
}

static void on_wake(void *owner)
{
	struct service *service = owner;
	bool stopping = atomic_load(&service->end) >= 0, empty;

	atomic_store(&service->turned_us, clock_monotonic_us());
	if (atomic_exchange(&service->reload_asked, false) && service->reload)
		service->reload(service->reload_owner);
	pthread_mutex_lock(&service->lock);
	supervisor_turn(service);
	trends_save(service, false);
	empty = atomic_load(&service->end) == SERVICE_LEAVE_WORKERS ? supervisor_has_no_jobs(service)
								    : supervisor_is_empty(service);
	/* Whoever waits for a change is not to hold up the end. */
	if (stopping)
		pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
	if (stopping && empty)
		loop_stop(service->loop);
}

/* Waits are measured by a clock that nobody sets. */
static void init_changed(pthread_cond_t *changed)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct service *service_open(const struct service_config *config, struct error *error)
{
	struct service *service = memory_alloc_zero(1, sizeof(*service));

	service->config = config;
	service->lock_file = -1;
	service->started_ms = service->last_job = clock_wall_ms();
	atomic_init(&service->end, -1);
	pthread_mutex_init(&service->lock, NULL);
	init_changed(&service->changed);
	service->loop = loop_new();
	service->wake = wake_new(service->loop, on_wake, service);
	service->tick = timer_new(service->loop, on_wake, service);
	atomic_store(&service->turned_us, clock_monotonic_us());
	if (open_parts(service, error))
		return service;
	service_close(service);
	return NULL;
}

bool service_run(struct service *service, struct error *error)
{
	(void)error;
	pthread_mutex_lock(&service->lock);
	supervisor_find(service);
	pthread_mutex_unlock(&service->lock);
	timer_repeat(service->tick, 0, TICK_MS);
	loop_run(service->loop);
	timer_stop(service->tick);
	return true;
}

void service_close(struct service *service)
{
	if (!service)
		return;
	supervisor_leave(service);
	if (service->store)
		trends_save(service, true);
	for (size_t i = 0; i < service->count; i++)
		entry_free(service->entries[i]);
	free(service->entries);
	for (size_t i = 0; i < service->token_count; i++)
		store_token_free(&service->tokens[i]);
	free(service->tokens);
	timer_free(service->tick);
	wake_free(service->wake);
	loop_free(service->loop);
	store_close(service->store);
	vault_close(service->vault);
	if (service->lock_file >= 0)
		close(service->lock_file);
	pthread_cond_destroy(&service->changed);
	pthread_mutex_destroy(&service->lock);
	free(service);
}

/* ---- signals ---- */

void service_stop(struct service *service, enum service_end end)
{
	int none = -1;

	atomic_compare_exchange_strong(&service->end, &none, (int)end);
	wake_send(service->wake);
}

enum service_end service_ended(const struct service *service)
{
	return (enum service_end)atomic_load(&service->end);
}

bool service_stopping(const struct service *service)
{
	return atomic_load(&service->end) >= 0;
}

void service_reload(struct service *service)
{
	atomic_store(&service->reload_asked, true);
	wake_send(service->wake);
}

void service_reload_set(struct service *service, void (*reload)(void *owner), void *owner)
{
	service->reload = reload;
	service->reload_owner = owner;
}

void service_configure(struct service *service, const struct service_config *config)
{
	pthread_mutex_lock(&service->lock);
	service->config = config;
	log_set_level(config->log_level);
	for (size_t i = 0; i < service->count; i++)
		supervisor_tell_level(service->entries[i]);
	pthread_mutex_unlock(&service->lock);
}

/* ---- changes ---- */

void service_touch(struct service *service)
{
	pthread_cond_broadcast(&service->changed);
	wake_send(service->wake);
}

struct timespec service_deadline(uint32_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* ---- what calls share ---- */

struct entry *service_find(struct service *service, const char *task)
{
	uint64_t id = 0;
	bool number = slice_to_uint64(slice_of_string(task), &id);

	for (size_t i = 0; i < service->count; i++) {
		struct entry *entry = service->entries[i];

		if (number ? (uint64_t)entry->row.id == id : strcmp(entry->row.name, task) == 0)
			return entry;
	}
	return NULL;
}

enum service_result service_no_task(const char *task, struct error *error)
{
	char quoted[96];

	error_set(error, ERROR_USAGE, "there is no task %s", slice_quote(slice_of_string(task), quoted, sizeof(quoted)));
	error_hint(error, "The list of tasks has their names and numbers");
	return SERVICE_NOT_FOUND;
}

void service_note(struct service *service, const struct service_caller *caller, const char *action, const struct entry *entry,
		  enum service_result result, const struct error *error, json_t *detail)
{
	json_t *refusal = result == SERVICE_OK || !error ? NULL : json_string(error->text);
	json_t *tree = json_pack("{s:s, s:s, s:s, s:s?, s:o*, s:o?}", "who", caller->who, "from", caller->from, "result",
				 service_result_name(result), "name", entry ? entry->row.name : NULL, "refusal", refusal,
				 "detail", detail);
	char *text = json_dumps(tree, JSON_COMPACT);
	struct error ignored;

	if (!store_log_add(service->store, STORE_AUDIT, entry ? entry->row.id : 0, clock_wall_ms(), action, text, NULL, &ignored))
		log_error_value(LOG_ERROR, &ignored);
	free(text);
	json_decref(tree);
}

void service_audit(struct service *service, const struct service_caller *caller, const char *action, const char *result,
		   json_t *detail)
{
	json_t *tree =
		json_pack("{s:s, s:s, s:s, s:o?}", "who", caller->who, "from", caller->from, "result", result, "detail", detail);
	char *text = json_dumps(tree, JSON_COMPACT);
	struct error error;

	pthread_mutex_lock(&service->lock);
	if (!store_log_add(service->store, STORE_AUDIT, 0, clock_wall_ms(), action, text, NULL, &error))
		log_error_value(LOG_ERROR, &error);
	pthread_mutex_unlock(&service->lock);
	free(text);
	json_decref(tree);
}

json_t *service_health(struct service *service)
{
	json_t *tree;
	int running = 0, failed = 0;
	bool healthy;

	pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->count; i++) {
		enum task_state state = entry_state(service->entries[i]);

		running += entry_has_worker(service->entries[i]);
		failed += state == TASK_FAILED || state == TASK_PRECHECK_FAILED;
	}
	healthy = !service->store_failed && clock_monotonic_us() - atomic_load(&service->turned_us) < ALIVE_US;
	tree = json_pack("{s:s, s:o, s:i, s:i, s:i, s:i, s:s, s:b}", "version", KEYFERRY_VERSION, "started",
			 view_time(service->started_ms), "pid", (int)getpid(), "tasks", (int)service->count, "running", running,
			 "failed", failed, "data", service->config->data_dir, "healthy", healthy);
	pthread_mutex_unlock(&service->lock);
	return tree;
}
