/* Workers: started, found again, listened to, ended, and started again.
 *
 * Each turn compares what is wanted of a task with what runs, and takes the next step; so nothing depends on which of them a crash of the daemon has lost. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/cutover_file.h"
#include "control/work_dir.h"
#include "service/process.h"
#include "service/service_state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_EVERY_US 1000000
#define HELD_MAX_US 30000000 /* a worker that ends may take that long to let go of its work directory */
#define ENDED_MAX (4u << 20)

bool entry_has_worker(const struct entry *entry)
{
	return entry->worker.pidfd >= 0;
}

/* ---- what a worker says ---- */

/* The daemon before may have been killed when it had stored a change and not yet told it. */
static void tell_settings(struct entry *entry)
{
	supervisor_order(entry, json_pack("{s:s, s:I, s:I}", "do", "limit", "records_per_second",
					  (json_int_t)entry->limit_records, "bytes_per_second", (json_int_t)entry->limit_bytes));
	supervisor_tell_level(entry);
}

static void on_hello(struct entry *entry, const json_t *answer)
{
	struct worker *worker = &entry->worker;
	const char *run = json_string_value(json_object_get(answer, "run")),
		   *version = json_string_value(json_object_get(answer, "version"));

	snprintf(worker->run, sizeof(worker->run), "%s", run ? run : "");
	snprintf(worker->version, sizeof(worker->version), "%s", version ? version : "");
	worker->revision = json_integer_value(json_object_get(answer, "revision"));
	if (worker->adopted)
		tell_settings(entry);
}

/* Only what it does by itself: how it ends is told when it has. */
static void take_state(struct entry *entry, const char *state)
{
	static const enum task_state told[] = {TASK_PRECHECKING, TASK_SNAPSHOT, TASK_STREAMING};

	for (size_t i = 0; state && i < sizeof(told) / sizeof(told[0]); i++)
		if (strcmp(state, task_state_name(told[i])) == 0)
			entry_set_state(entry, told[i], NULL);
}

static void on_status(struct entry *entry, const json_t *answer, int64_t sent_ms)
{
	json_t *status = json_object_get(answer, "status");

	if (!json_is_object(status))
		return;
	json_decref(entry->status);
	entry->status = json_incref(status);
	entry->status_ms = clock_wall_ms();
	if (!entry->worker.ending)
		take_state(entry, json_string_value(json_object_get(status, "state")));
	trends_take(entry);
	entry_take_events(entry, status, sent_ms);
	service_touch(entry->service);
}

static void on_answered(void *owner, enum worker_request request, const json_t *answer, int64_t sent_ms)
{
	struct entry *entry = owner;

	pthread_mutex_lock(&entry->service->lock);
	entry->worker.answered_us = clock_monotonic_us();
	if (request == WORKER_HELLO)
		on_hello(entry, answer);
	else if (request == WORKER_STATUS)
		on_status(entry, answer, sent_ms);
	else if (request == WORKER_METRICS)
		worker_take_metrics(entry, answer);
	pthread_mutex_unlock(&entry->service->lock);
}

static void on_closed(void *owner)
{
	struct entry *entry = owner;

	pthread_mutex_lock(&entry->service->lock);
	entry->worker.line_closed = true;
	wake_send(entry->service->wake);
	pthread_mutex_unlock(&entry->service->lock);
}

static const struct worker_line_events line_callbacks = {on_answered, on_closed};

static void on_exit_seen(void *owner, int ready)
{
	struct entry *entry = owner;

	(void)ready;
	pthread_mutex_lock(&entry->service->lock);
	poller_stop(entry->worker.exit);
	entry->worker.exited = true;
	wake_send(entry->service->wake);
	pthread_mutex_unlock(&entry->service->lock);
}

/* ---- a worker's beginning ---- */

static void watch_worker(struct entry *entry, pid_t pid, int pidfd)
{
	struct worker *worker = &entry->worker;

	worker->pid = pid;
	worker->pidfd = pidfd;
	worker->started_us = clock_monotonic_us();
	worker->started_ms = clock_wall_ms();
	worker->exit = poller_new(entry->service->loop, pidfd, on_exit_seen, entry);
	poller_start(worker->exit, POLLER_READ);
	entry->restart_at_ms = 0;
	entry->held_since_us = 0;
}

static void connect_worker(struct entry *entry)
{
	struct worker *worker = &entry->worker;
	struct worker_line *line;
	pid_t pid;

	line = worker_line_open(entry->service->loop, entry->dir, &line_callbacks, entry, &pid);
	if (!line)
		return;
	/* The socket may be that of a worker that is just ending. */
	if (worker->pidfd >= 0 && worker->pid != pid) {
		worker_line_free(line);
		return;
	}
	worker->line = line;
	worker->line_closed = false;
	worker_line_ask(line, WORKER_HELLO, json_pack("{s:s}", "do", "hello"));
}

/* One that ran when the daemon before ended. */
static bool adopt(struct entry *entry)
{
	struct worker_line *line;
	pid_t pid;
	int pidfd;

	line = worker_line_open(entry->service->loop, entry->dir, &line_callbacks, entry, &pid);
	if (!line)
		return false;
	/* It has the connection open still, so the number is not another one's yet. */
	pidfd = process_open(pid);
	if (pidfd < 0) {
		worker_line_free(line);
		return false;
	}
	watch_worker(entry, pid, pidfd);
	entry->worker.adopted = true;
	entry->worker.line = line;
	worker_line_ask(line, WORKER_HELLO, json_pack("{s:s}", "do", "hello"));
	log_info("task %s: its worker runs already (process %d): taken over", entry->row.name, (int)pid);
	service_touch(entry->service);
	return true;
}

static bool make_dir(const struct entry *entry, struct error *error)
{
	if (mkdir(entry->dir, 0700) == 0 || errno == EEXIST)
		return true;
	error_set_errno(error, ERROR_INTERNAL, errno, "the work directory %s cannot be made", entry->dir);
	return false;
}

int supervisor_document(const struct entry *entry, struct error *error)
{
	json_t *document = make_dir(entry, error) ? entry_whole_document(entry, error) : NULL;
	char *text;
	int fd;

	if (!document)
		return -1;
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	fd = process_document(slice_of_string(text), error);
	text_wipe(text);
	return fd;
}

/* What it has left in its work directory; NULL: it was killed or has crashed, or that is another one's. Taken away, for it counts once. `run` "": whosever. */
static json_t *take_ended(const struct entry *entry, const char *run)
{
	char *path = memory_printf("%s/ended", entry->dir);
	struct stat file;
	json_t *ended = stat(path, &file) == 0 && file.st_size <= (off_t)ENDED_MAX ? json_load_file(path, 0, NULL) : NULL;

	unlink(path);
	free(path);
	if (ended && run[0] &&
	    strcmp(json_string_value(json_object_get(ended, "run")) ? json_string_value(json_object_get(ended, "run")) : "",
		   run) != 0) {
		json_decref(ended);
		ended = NULL;
	}
	return ended;
}

/* The worker's last word, with events that nobody has asked it for. */
static void take_last_status(struct entry *entry, const json_t *ended)
{
	json_t *last = json_object_get(ended, "status");

	if (!json_is_object(last))
		return;
	json_decref(entry->status);
	entry->status = json_incref(last);
	entry->status_ms = clock_wall_ms();
	entry_take_events(entry, last, INT64_MAX);
}

/* Told in logs, so that what a worker says can be told from what another one says. */
static void make_run_id(char out[RUN_ID_LEN + 1])
{
	uint8_t random[RUN_ID_LEN / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		memset(random, 0, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
}

static bool spawn(struct entry *entry, struct error *error)
{
	const struct service_config *config = entry->service->config;
	char revision[32], log_size[32], *log = memory_printf("%s/log", entry->dir);
	json_t *ended = take_ended(entry, "");
	const char *argv[24] = {"keyferry",
				"worker",
				PROCESS_DOCUMENT,
				"--data",
				entry->dir,
				"--name",
				entry->row.name,
				"--run",
				entry->worker.run,
				"--revision",
				revision,
				"--log-size",
				log_size,
				"--log-format",
				config->log_json ? "json" : "text",
				"--log-level",
				entry->row.log_level ? entry->row.log_level : log_level_name(config->log_level),
				entry->row.accept_changes ? "--accept-changes" : NULL};
	struct process_options options = {
		.argv = argv,
		.log = log,
		.output = -1,
		.memory = config->worker_memory,
		.open_files = config->worker_open_files,
		.nice = config->worker_nice,
	};
	pid_t pid = -1;
	int pidfd;

	snprintf(revision, sizeof(revision), "%lld", (long long)entry->row.revision);
	snprintf(log_size, sizeof(log_size), "%llu", (unsigned long long)config->worker_log_size);
	make_run_id(entry->worker.run);
	/* Of one that has ended while no daemon ran. */
	take_last_status(entry, ended);
	json_decref(ended);
	if ((options.document = supervisor_document(entry, error)) >= 0) {
		pid = process_start(&options, &pidfd, error);
		close(options.document);
	}
	free(log);
	if (pid < 0)
		return false;
	watch_worker(entry, pid, pidfd);
	entry->worker.revision = entry->row.revision;
	log_info("task %s: worker started (process %d)", entry->row.name, (int)pid);
	service_touch(entry->service);
	return true;
}

/* ---- a worker's end ---- */

static json_t *cause_of(const json_t *ended, int code)
{
	const char *text = json_string_value(json_object_get(ended, "text")),
		   *hint = json_string_value(json_object_get(ended, "hint"));

	return json_pack("{s:s, s:s, s:s, s:i}", "kind", error_kind_name((enum error_kind)code), "text",
			 text && text[0] ? text : "the worker told no cause; its log may", "hint", hint ? hint : "", "exit_code",
			 code);
}

static json_t *crash_cause(const struct entry *entry, bool reaped, int status)
{
	struct error error;

	if (reaped && WIFSIGNALED(status))
		error_set(&error, ERROR_INTERNAL, "the worker was ended by signal %d (%s)", WTERMSIG(status),
			  strsignal(WTERMSIG(status)));
	else if (reaped)
		error_set(&error, ERROR_INTERNAL, "the worker ended with exit code %d and told no cause", WEXITSTATUS(status));
	else
		error_set(&error, ERROR_INTERNAL, "the worker ended, and nobody saw how");
	error_hint(&error, "%s/log has its last words; it is started again by itself and goes on where it was", entry->dir);
	return error_tree(&error);
}

static void start_later(struct entry *entry, uint64_t ran_ms)
{
	entry->pause_ms = outcome_pause(entry->pause_ms, ran_ms);
	entry->start_at_us = clock_monotonic_us() + entry->pause_ms * 1000ULL;
	entry->restart_at_ms = clock_wall_ms() + entry->pause_ms;
	entry->restarts++;
}

/* What it wants is kept with the state: after this the daemon may be killed. */
static void settle(struct entry *entry, enum wanted wanted, enum task_state state, json_t *cause)
{
	struct error error;

	if (entry->wanted != wanted && !entry_set_wanted(entry, wanted, &error)) {
		log_error_value(LOG_ERROR, &error);
		/* Here it holds all the same; entry_set_state() tries the store again. */
		free(entry->row.wanted);
		entry->row.wanted = memory_strdup(wanted_name(wanted));
		entry->wanted = wanted;
	}
	entry_set_state(entry, state, cause);
}

static void act(struct entry *entry, enum outcome outcome, uint64_t ran_ms, json_t *cause)
{
	switch (outcome) {
	case OUTCOME_PAUSED: settle(entry, WANTED_PAUSED, TASK_PAUSED, NULL); break;
	case OUTCOME_READY: settle(entry, WANTED_IDLE, TASK_READY, NULL); break;
	case OUTCOME_FINISHED: settle(entry, WANTED_FINISHED, TASK_FINISHED, NULL); break;
	case OUTCOME_FAILED: settle(entry, WANTED_IDLE, TASK_FAILED, json_incref(cause)); break;
	case OUTCOME_PRECHECK_FAILED: settle(entry, WANTED_IDLE, TASK_PRECHECK_FAILED, json_incref(cause)); break;
	case OUTCOME_AGAIN_NOW: entry->start_at_us = 0; break;
	case OUTCOME_AGAIN:
		start_later(entry, ran_ms);
		entry_set_state(entry, TASK_FAILED, json_incref(cause));
		break;
	}
	json_decref(cause);
	service_touch(entry->service);
}

static void forget_worker(struct entry *entry)
{
	struct worker *worker = &entry->worker;

	poller_free(worker->exit);
	worker_line_free(worker->line);
	if (worker->pidfd >= 0)
		close(worker->pidfd);
	json_decref(worker->orders);
	json_decref(worker->metrics);
	*worker = (struct worker){.pidfd = -1};
}

static void worker_ended(struct entry *entry)
{
	struct worker *worker = &entry->worker;
	uint64_t ran_ms = (clock_monotonic_us() - worker->started_us) / 1000;
	json_t *ended = take_ended(entry, worker->run);
	char moment[CUTOVER_MOMENT_MAX], holder[32];
	enum cutover_stage stage = cutover_file_read(entry->dir, moment);
	int status = 0;
	bool reaped = process_reap(worker->pid, &status);
	struct ending ending = {
		.asked = worker->ending,
		.wanted = entry->wanted,
		.cut_over = stage == CUTOVER_DONE,
		.cutting = stage == CUTOVER_ENDING,
		/* Its record counts only where it did not die behind it. */
		.known = ended && !(reaped && WIFSIGNALED(status)),
		.code = (int)json_integer_value(json_object_get(ended, "exit_code")),
		.finished = json_is_true(json_object_get(ended, "finished")),
		.held = work_dir_is_held(entry->dir, holder),
		.begun = work_dir_would_resume(entry->dir),
	};
	json_t *cause = ending.known ? cause_of(ended, ending.code) : crash_cause(entry, reaped, status);

	if (ending.known && ending.code == ERROR_NONE) {
		json_decref(cause);
		cause = json_pack("{s:s, s:s, s:s, s:i}", "kind", "internal", "text",
				  "the worker was stopped by somebody else (SIGTERM)", "hint",
				  "Pause or stop the task instead: it is started again by itself", "exit_code", 0);
	}
	take_last_status(entry, ended);
	json_decref(ended);
	/* It has been taken into account that other options were accepted. */
	if (entry->row.accept_changes && ending.begun && ending.code != ERROR_PRECHECK) {
		entry->row.accept_changes = false;
		entry_save(entry);
	}
	log_info("task %s: worker ended (process %d)", entry->row.name, (int)worker->pid);
	forget_worker(entry);
	act(entry, outcome_of(&ending), ran_ms, cause);
}

/* ---- what is wanted ---- */

static void end_worker(struct entry *entry)
{
	struct worker *worker = &entry->worker;
	uint64_t now = clock_monotonic_us();

	if (!worker->ending) {
		worker->ending = true;
		worker->ending_us = now;
		process_signal(worker->pidfd, SIGTERM);
	} else if (!worker->killed && now - worker->ending_us > entry->service->config->stop_timeout_ms * 1000ULL) {
		worker->killed = true;
		log_warning("task %s: its worker does not end: killed (process %d)", entry->row.name, (int)worker->pid);
		process_signal(worker->pidfd, SIGKILL);
	}
}

void supervisor_end_worker(struct entry *entry)
{
	if (entry->worker.pidfd >= 0)
		end_worker(entry);
}

void supervisor_order(struct entry *entry, json_t *request)
{
	struct worker *worker = &entry->worker;
	const char *what = json_string_value(json_object_get(request, "do"));
	const json_t *order;
	size_t i;

	if (worker->pidfd < 0) {
		json_decref(request);
		return;
	}
	if (!worker->orders)
		worker->orders = json_array();
	json_array_foreach (worker->orders, i, order) {
		if (strcmp(json_string_value(json_object_get(order, "do")), what) == 0) {
			json_array_remove(worker->orders, i);
			break;
		}
	}
	json_array_append_new(worker->orders, request);
	wake_send(entry->service->wake);
}

void supervisor_tell_level(struct entry *entry)
{
	const char *level = entry->row.log_level ? entry->row.log_level : log_level_name(entry->service->config->log_level);

	supervisor_order(entry, json_pack("{s:s, s:s}", "do", "log_level", "level", level));
}

static void send_orders(struct worker *worker)
{
	json_t *order;
	size_t i;

	json_array_foreach (worker->orders, i, order)
		worker_line_ask(worker->line, WORKER_ORDER, json_incref(order));
	json_decref(worker->orders);
	worker->orders = NULL;
}

static void fail_to_start(struct entry *entry, const struct error *error)
{
	start_later(entry, 0);
	entry_set_state(entry, TASK_FAILED, error_tree(error));
}

/* Somebody has the work directory, and is no worker that answers. True: wait. */
static bool is_held(struct entry *entry)
{
	uint64_t now = clock_monotonic_us();
	char holder[32];
	struct error error;

	if (!work_dir_is_held(entry->dir, holder)) {
		entry->held_since_us = 0;
		return false;
	}
	if (!entry->held_since_us)
		entry->held_since_us = now;
	if (now - entry->held_since_us > HELD_MAX_US) {
		error_set(&error, ERROR_BUSY, "process %s has the task's work directory %s, and does not answer",
			  holder[0] ? holder : "(unknown)", entry->dir);
		error_hint(&error, "End that process (kill), then start the task");
		entry->held_since_us = 0;
		settle(entry, WANTED_IDLE, TASK_FAILED, error_tree(&error));
	}
	return true;
}

static void start(struct entry *entry)
{
	char moment[CUTOVER_MOMENT_MAX];
	struct error error;

	/* A cut-over ends the worker and keeps it from starting; it goes on when that is rolled back. */
	switch (cutover_file_read(entry->dir, moment)) {
	case CUTOVER_ENDING: return;
	case CUTOVER_DONE: settle(entry, WANTED_FINISHED, TASK_FINISHED, NULL); return;
	case CUTOVER_NONE:
	case CUTOVER_UNDER_WAY: break;
	}
	if (adopt(entry) || is_held(entry))
		return;
	if (!spawn(entry, &error))
		fail_to_start(entry, &error);
	else
		entry_set_state(entry, TASK_PRECHECKING, NULL);
}

/* `end`: an enum service_end, or -1: the service goes on. */
static void tend(struct entry *entry, int end)
{
	struct worker *worker = &entry->worker;
	uint64_t now = clock_monotonic_us();

	if (worker->line_closed) {
		worker_line_free(worker->line);
		worker->line = NULL;
		worker->line_closed = worker->metrics_asked = false;
	}
	if (worker->exited)
		worker_ended(entry);
	if (worker->pidfd >= 0) {
		if (end == SERVICE_END_WORKERS || entry->wanted != WANTED_RUNNING || worker->ending)
			end_worker(entry);
		if (!worker->line)
			connect_worker(entry);
		if (worker->line && worker->orders)
			send_orders(worker);
		if (worker->line && now - worker->asked_us >= ASK_EVERY_US && worker_line_pending(worker->line) == 0) {
			worker->asked_us = now;
			worker_line_ask(worker->line, WORKER_STATUS, json_pack("{s:s}", "do", "status"));
		}
		if (worker->line)
			worker_ask_metrics(worker);
	} else if (end < 0 && entry->wanted == WANTED_RUNNING && now >= entry->start_at_us) {
		start(entry);
	}
	if (entry->unsaved)
		entry_save(entry);
}

/* What a daemon that was killed has left half told, of a task that nobody runs. */
static void mend_state(struct entry *entry)
{
	enum task_state state = entry_state(entry);
	bool running = state == TASK_PRECHECKING || state == TASK_SNAPSHOT || state == TASK_STREAMING;

	if (entry->wanted == WANTED_FINISHED)
		entry_set_state(entry, TASK_FINISHED, NULL);
	else if (running && entry->wanted == WANTED_PAUSED)
		entry_set_state(entry, TASK_PAUSED, NULL);
	else if (running && entry->wanted == WANTED_IDLE)
		entry_set_state(entry, state == TASK_PRECHECKING ? TASK_CREATED : TASK_READY, NULL);
}

void supervisor_find(struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		if (!adopt(service->entries[i]))
			mend_state(service->entries[i]);
}

static void turn_job(struct entry *entry, bool stopping, bool overdue)
{
	if (!entry->job)
		return;
	if (stopping && !entry->job->cancelled)
		job_end(entry->job);
	if (overdue && entry->job->pidfd >= 0)
		process_signal(entry->job->pidfd, SIGKILL);
	job_turn(entry);
}

void supervisor_turn(struct service *service)
{
	int end = atomic_load(&service->end);
	bool stopping = end >= 0, overdue;

	if (stopping && !service->ending_us)
		service->ending_us = clock_monotonic_us();
	overdue = stopping && clock_monotonic_us() - service->ending_us > service->config->stop_timeout_ms * 1000ULL;
	for (size_t i = 0; i < service->count; i++) {
		turn_job(service->entries[i], stopping, overdue);
		tend(service->entries[i], end);
	}
}

bool supervisor_has_no_jobs(const struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		if (service->entries[i]->job)
			return false;
	return true;
}

bool supervisor_is_empty(const struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		if (service->entries[i]->worker.pidfd >= 0)
			return false;
	return supervisor_has_no_jobs(service);
}

void supervisor_leave(struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		forget_worker(service->entries[i]);
}
