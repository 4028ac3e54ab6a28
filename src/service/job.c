/* Jobs: commands of keyferry run for a task, and what they have said.
 *
 * Each is a process that prints JSON on a pipe and logs lines of JSON into `job.log` in the work directory; the last error of these is the cause when it fails. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIFFERENCES_MAX 1000 /* in the result; more are in the file of service/differences.h, and all are counted */
#define LOG_TAIL (64u << 10)
#define READ_STEP (64u << 10)
#define WORDS_MAX 32

static const char *const names[SERVICE_JOBS] = {"precheck", "verify", "cutover", "finish"};

const char *service_job_name(enum service_job job)
{
	return names[job];
}

struct job *job_new(enum service_job kind, const json_t *options, const char *language, bool while_running)
{
	struct job *job = memory_alloc_zero(1, sizeof(*job));

	job->kind = kind;
	job->options = options ? json_deep_copy(options) : json_object();
	snprintf(job->language, sizeof(job->language), "%s", language && strcmp(language, "zh") == 0 ? "zh" : "en");
	job->while_running = while_running;
	job->begun_ms = clock_wall_ms();
	job->pidfd = job->output = -1;
	job->differences = json_array();
	buffer_init(&job->text, JOB_TEXT_MAX);
	return job;
}

void job_free(struct job *job)
{
	if (!job)
		return;
	poller_free(job->exit);
	poller_free(job->reader);
	if (job->pidfd >= 0)
		close(job->pidfd);
	if (job->output >= 0)
		close(job->output);
	json_decref(job->options);
	json_decref(job->differences);
	json_decref(job->summary);
	json_decref(job->error_before);
	differences_drop(job->found);
	buffer_free(&job->text);
	free(job);
}

void job_end(struct job *job)
{
	job->cancelled = true;
	if (job->pidfd >= 0)
		process_signal(job->pidfd, SIGTERM);
}

/* ---- what it prints ---- */

static void take_difference(struct job *job, json_t *difference, struct slice line)
{
	if (job->difference_count++ < DIFFERENCES_MAX)
		json_array_append(job->differences, difference);
	if (job->found)
		differences_add(job->found, line);
}

/* A verification prints a line per difference, of which there may be millions, and a summary. */
static void take_lines(struct job *job)
{
	while (true) {
		struct slice have = buffer_readable(&job->text);
		const uint8_t *end = have.len ? memchr(have.data, '\n', have.len) : NULL;
		size_t len = end ? (size_t)(end - have.data) : 0;
		json_t *line, *summary;

		if (!end)
			return;
		line = json_loadb((const char *)have.data, len, 0, NULL);
		summary = json_object_get(line, "summary");
		if (summary) {
			json_decref(job->summary);
			job->summary = json_incref(summary);
		} else if (line) {
			take_difference(job, line, (struct slice){have.data, len});
		}
		json_decref(line);
		buffer_consumed(&job->text, len + 1);
	}
}

/* False: all is read, or it has printed more than is kept. */
static bool read_output(struct job *job)
{
	ssize_t got = 1;

	while (got > 0) {
		uint8_t *to;
		size_t room;

		if (!buffer_reserve(&job->text, READ_STEP))
			return false;
		to = buffer_room(&job->text, &room);
		got = read(job->output, to, room);
		if (got <= 0)
			break;
		buffer_produced(&job->text, (size_t)got);
		if (job->kind == SERVICE_JOB_VERIFY)
			take_lines(job);
	}
	return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Nothing more is read. A job that prints on would wait for ever for who reads: now its writes fail. */
static void close_output(struct job *job)
{
	poller_free(job->reader);
	job->reader = NULL;
	close(job->output);
	job->output = -1;
}

static void on_output(void *owner, int ready)
{
	struct entry *entry = owner;

	(void)ready;
	pthread_mutex_lock(&entry->service->lock);
	if (!read_output(entry->job))
		close_output(entry->job);
	pthread_mutex_unlock(&entry->service->lock);
}

static void on_exit_seen(void *owner, int ready)
{
	struct entry *entry = owner;

	(void)ready;
	pthread_mutex_lock(&entry->service->lock);
	poller_stop(entry->job->exit);
	entry->job->exited = true;
	wake_send(entry->service->wake);
	pthread_mutex_unlock(&entry->service->lock);
}

static json_t *result_of(const struct job *job)
{
	struct slice text = buffer_readable(&job->text);

	if (job->kind != SERVICE_JOB_VERIFY)
		return text.len ? json_loadb((const char *)text.data, text.len, 0, NULL) : NULL;
	return job->summary ? json_pack("{s:O, s:O, s:b}", "summary", job->summary, "differences", job->differences,
					"differences_cut", job->difference_count > DIFFERENCES_MAX)
			    : NULL;
}

/* ---- why it failed ---- */

static bool is_error(const json_t *line)
{
	const char *level = json_string_value(json_object_get(line, "level"));

	return level && strcmp(level, "error") == 0 && json_is_string(json_object_get(line, "message"));
}

/* The last one of its log; NULL: there is none. */
static json_t *last_error(const struct entry *entry)
{
	char *path = memory_printf("%s/job.log", entry->dir), *text = memory_alloc(LOG_TAIL + 1), *next = text;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat file;
	ssize_t got = -1;
	json_t *found = NULL;

	if (fd >= 0 && fstat(fd, &file) == 0)
		got = pread(fd, text, LOG_TAIL, file.st_size > (off_t)LOG_TAIL ? file.st_size - (off_t)LOG_TAIL : 0);
	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	for (char *line; (line = strsep(&next, "\n"));) {
		json_t *tree = json_loads(line, 0, NULL);

		if (is_error(tree)) {
			json_decref(found);
			found = json_incref(tree);
		}
		json_decref(tree);
	}
	free(path);
	free(text);
	return found;
}

/* Of a precheck, its first item that failed. NULL: none did. */
static json_t *failed_item(const json_t *result, int code)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(result, "items"), i, item) {
		const char *word = json_string_value(json_object_get(item, "result")),
			   *cause = json_string_value(json_object_get(item, "cause"));
		const char *name = json_string_value(json_object_get(item, "item")),
			   *node = json_string_value(json_object_get(item, "node"));
		const char *remedy = json_string_value(json_object_get(item, "remedy"));
		char *text;
		json_t *error;

		if (!word || strcmp(word, "failed") != 0 || json_is_true(json_object_get(item, "waived")))
			continue;
		text = memory_printf("%s%s%s: %s", name ? name : "precheck", node ? " " : "", node ? node : "",
				     cause ? cause : word);
		error = json_pack("{s:s, s:s, s:s, s:i}", "kind", error_kind_name((enum error_kind)code), "text", text, "hint",
				  remedy ? remedy : "", "exit_code", code);
		free(text);
		return error;
	}
	return NULL;
}

static json_t *cause_of(const struct entry *entry, const json_t *result, int code)
{
	json_t *line, *cause = entry->job->kind == SERVICE_JOB_PRECHECK ? failed_item(result, code) : NULL;
	const char *text = "it ended and told no cause";

	if (cause)
		return cause;
	line = last_error(entry);
	if (line)
		text = json_string_value(json_object_get(line, "message"));
	if (entry->job->cancelled)
		text = "cancelled";
	cause = json_pack("{s:s, s:s, s:s, s:i}", "kind", error_kind_name((enum error_kind)code), "text", text, "hint", "",
			  "exit_code", code);
	json_decref(line);
	return cause;
}

/* ---- its end ---- */

static void store_result(struct entry *entry, int code, json_t *cause, json_t *result)
{
	struct job *job = entry->job;
	json_t *tree = json_pack("{s:I, s:o, s:i, s:O?, s:O?}", "job", (json_int_t)job->id, "begun", view_time(job->begun_ms),
				 "exit_code", code, "error", cause, "result", result);
	char *text = json_dumps(tree, JSON_COMPACT);
	struct error error;

	if (!store_log_add(entry->service->store, STORE_RESULTS, entry->row.id, clock_wall_ms(), service_job_name(job->kind),
			   text, NULL, &error))
		log_error_value(LOG_ERROR, &error);
	free(text);
	json_decref(tree);
}

static void finish_task(struct entry *entry)
{
	struct error error;

	if (!entry_set_wanted(entry, WANTED_FINISHED, &error))
		log_error_value(LOG_ERROR, &error);
	else if (!entry_has_worker(entry))
		entry_set_state(entry, TASK_FINISHED, NULL);
}

static void act(struct entry *entry, int code, json_t *cause)
{
	const struct job *job = entry->job;

	switch (job->kind) {
	case SERVICE_JOB_PRECHECK:
		if (job->while_running || entry->wanted == WANTED_RUNNING)
			break;
		/* One that was broken off leaves the task as it was. */
		if (job->cancelled && code != ERROR_NONE)
			entry_set_state(entry, job->state_before, json_incref(job->error_before));
		else
			entry_set_state(entry,
					code == ERROR_NONE ? (entry->wanted == WANTED_PAUSED ? TASK_PAUSED : TASK_READY)
							   : TASK_PRECHECK_FAILED,
					json_incref(cause));
		break;
	case SERVICE_JOB_CUTOVER:
		if (code == ERROR_NONE && !json_is_true(json_object_get(job->options, "dry_run")))
			finish_task(entry);
		break;
	case SERVICE_JOB_FINISH:
		if (code == ERROR_NONE)
			finish_task(entry);
		break;
	case SERVICE_JOB_VERIFY:
	case SERVICE_JOBS: break;
	}
}

static void end(struct entry *entry, int code, json_t *cause, json_t *result)
{
	struct job *job = entry->job;
	const char *text = json_string_value(json_object_get(cause, "text"));

	if (cause)
		log_warning("task %s: %s ended with %d: %s", entry->row.name, service_job_name(job->kind), code,
			    text ? text : "");
	else
		log_info("task %s: %s is done", entry->row.name, service_job_name(job->kind));
	differences_end(job->found);
	job->found = NULL;
	store_result(entry, code, cause, result);
	act(entry, code, cause);
	entry->job = NULL;
	job_free(job);
	json_decref(cause);
	json_decref(result);
	service_touch(entry->service);
}

static void reap(struct entry *entry)
{
	struct job *job = entry->job;
	int status = 0, code = ERROR_INTERNAL;
	json_t *result;

	if (job->output >= 0)
		read_output(job);
	if (process_reap(job->pid, &status) && WIFEXITED(status))
		code = WEXITSTATUS(status);
	result = result_of(job);
	end(entry, code, code == ERROR_NONE ? NULL : cause_of(entry, result, code), result);
}

/* ---- its beginning ---- */

static size_t add_words(const struct job *job, const char **words, size_t at)
{
	static const char *const texts[] = {"mode", "verify", "timeout", "hold"},
				 *const flags[] = {"repair", "by_hand", "dry_run"},
				 *const flag_words[] = {"--repair", "--by-hand", "--dry-run"};
	static const char *const text_words[] = {"--mode", "--verify", "--timeout", "--hold"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *value = json_string_value(json_object_get(job->options, texts[i]));

		if (!value)
			continue;
		words[at++] = text_words[i];
		words[at++] = value;
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (json_is_true(json_object_get(job->options, flags[i])))
			words[at++] = flag_words[i];
	if (job->kind == SERVICE_JOB_PRECHECK) {
		words[at++] = "--lang";
		words[at++] = job->language;
	}
	if (job->kind == SERVICE_JOB_VERIFY)
		words[at++] = "--no-progress";
	if (job->kind != SERVICE_JOB_FINISH) {
		words[at++] = "--format";
		words[at++] = "json";
	}
	return at;
}

static bool spawn(struct entry *entry, struct error *error)
{
	struct job *job = entry->job;
	char *log = memory_printf("%s/job.log", entry->dir);
	const char *words[WORDS_MAX] = {"keyferry",
					service_job_name(job->kind),
					PROCESS_DOCUMENT,
					"--data",
					entry->dir,
					"--name",
					entry->row.name,
					"--log-format",
					"json"};
	struct process_options options = {.argv = words,
					  .log = log,
					  .new_log = true,
					  .dies_with_parent = true,
					  .nice = entry->service->config->worker_nice};
	int ends[2] = {-1, -1}, pidfd;
	pid_t pid = -1;

	add_words(job, words, 9);
	if (pipe2(ends, O_CLOEXEC) < 0)
		error_set_errno(error, ERROR_INTERNAL, errno, "no pipe for a process");
	else if ((options.document = supervisor_document(entry, error)) >= 0) {
		options.output = ends[1];
		pid = process_start(&options, &pidfd, error);
		close(options.document);
	}
	free(log);
	if (ends[1] >= 0)
		close(ends[1]);
	if (pid < 0) {
		if (ends[0] >= 0)
			close(ends[0]);
		return false;
	}
	/* Only this end: the job's own writes wait for who reads. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	job->pid = pid;
	job->pidfd = pidfd;
	job->output = ends[0];
	job->exit = poller_new(entry->service->loop, pidfd, on_exit_seen, entry);
	poller_start(job->exit, POLLER_READ);
	job->reader = poller_new(entry->service->loop, job->output, on_output, entry);
	poller_start(job->reader, POLLER_READ);
	/* Without the file the result has the first ones. */
	if (job->kind == SERVICE_JOB_VERIFY && !(job->found = differences_begin(entry->dir, job->id, error)))
		log_error_value(LOG_WARNING, error);
	log_info("task %s: %s begun (process %d)", entry->row.name, service_job_name(job->kind), (int)pid);
	return true;
}

void job_turn(struct entry *entry)
{
	struct job *job = entry->job;
	struct error error;

	if (job->exited) {
		reap(entry);
		return;
	}
	if (job->pidfd >= 0)
		return;
	if (job->cancelled) {
		error_set(&error, ERROR_INTERNAL, "cancelled");
		end(entry, ERROR_INTERNAL, error_tree(&error), NULL);
	} else if (!spawn(entry, &error)) {
		end(entry, (int)error.kind, error_tree(&error), NULL);
	}
}
