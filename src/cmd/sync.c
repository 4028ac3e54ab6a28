#include "cmd/sync.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/log_file.h"
#include "cmd/progress.h"
#include "cmd/task_arguments.h"
#include "control/control_socket.h"
#include "control/http.h"
#include "control/metrics_page.h"
#include "control/status_page.h"
#include "control/task.h"

#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100
#define SAMPLE_EVERY 5 /* polls */
#define DRAIN_MS 10000

struct run {
	struct loop *loop;
	struct task *task;
	struct wake *wake;
	struct timer *poll;
	struct task_options *options;
	const struct sync_worker *worker; /* NULL: of nobody */
	struct control_socket *socket;
	_Atomic(struct task *) shown; /* `task`, once others may ask for its status */
	atomic_bool limited;          /* by others, as follows */
	atomic_uint_fast64_t records, bytes;
	int64_t begun_ms;
	struct health health;
	unsigned polls;
	bool was_streaming;
	bool caught_up;
	bool finished;
	bool failed;
};

/* ---- running ---- */

static void on_changed(void *owner)
{
	wake_send(((struct run *)owner)->wake);
}

static bool on_interrupted(void *owner)
{
	(void)owner;
	return task_signal_seen();
}

/* ---- the control socket ---- */

/* Before it is known what it has to do with: a task that is being checked. */
static char *first_status(const struct run *run)
{
	char since[32];
	json_t *status = json_pack("{s:s, s:s, s:s, s:n, s:n, s:n, s:[], s:[], s:[]}", "task", run->options->name, "state",
				   task_state_name(TASK_PRECHECKING), "since", clock_format_rfc3339(run->begun_ms, since),
				   "error", "expiry", "verify", "targets", "links", "events");
	char *text = json_dumps(status, 0);

	json_decref(status);
	return text;
}

static char *on_status_asked(void *owner)
{
	struct run *run = owner;
	struct task *task = atomic_load(&run->shown);
	struct task_status status;
	char *text;

	if (!task)
		return first_status(run);
	task_status(task, &status);
	text = status_page_json(&status);
	task_status_free(&status);
	return text;
}

static json_t *on_metrics_asked(void *owner)
{
	struct task *task = atomic_load(&((struct run *)owner)->shown);
	struct task_status status;
	json_t *tree;

	if (!task)
		return json_object();
	task_status(task, &status);
	tree = metrics_page_tree(&status);
	task_status_free(&status);
	return tree;
}

static void on_limit(void *owner, uint64_t records, uint64_t bytes)
{
	struct run *run = owner;
	struct task *task;

	/* A daemon that takes the worker over tells it again. */
	if (atomic_load(&run->limited) && atomic_load(&run->records) == records && atomic_load(&run->bytes) == bytes)
		return;
	atomic_store(&run->records, records);
	atomic_store(&run->bytes, bytes);
	atomic_store(&run->limited, true);
	task = atomic_load(&run->shown);
	if (task)
		task_limit(task, records, bytes);
	log_info("task %s: limit: %llu records and %llu bytes per second and link (0: unlimited)", run->options->name,
		 (unsigned long long)records, (unsigned long long)bytes);
}

static void on_end_asked(void *owner)
{
	(void)owner;
	kill(getpid(), SIGTERM);
}

static const struct control_socket_calls socket_calls = {on_status_asked, on_metrics_asked, on_limit, on_end_asked};

static bool on_locked(void *owner, struct error *error)
{
	struct run *run = owner;
	const struct control_socket_options options = {
		.data_dir = run->options->data_dir,
		.task = run->options->name,
		.version = KEYFERRY_VERSION,
		.run = run->worker ? run->worker->run : "",
		.revision = run->worker ? run->worker->revision : 0,
	};

	run->socket = control_socket_start(&options, &socket_calls, run, error);
	if (run->socket)
		return true;
	/* A task of the command line does without; the daemon would not find its worker again. */
	if (run->worker)
		return false;
	log_error_value(LOG_WARNING, error);
	return true;
}

static const struct task_events task_callbacks = {on_changed, on_interrupted, on_locked};

static void on_wake(void *owner)
{
	struct run *run = owner;
	struct task_status status;

	task_signals_tell();
	if (task_signal_seen()) {
		loop_stop(run->loop);
		return;
	}
	/* While a task is opened the loop turns already. */
	if (!run->task)
		return;
	task_status(run->task, &status);
	if (status.error.kind != ERROR_NONE) {
		run->failed = true;
		loop_stop(run->loop);
	}
	task_status_free(&status);
}

static void on_poll(void *owner)
{
	struct run *run = owner;
	struct task_status status;

	health_turn(&run->health);
	if (run->polls++ % SAMPLE_EVERY == 0) {
		task_sample(run->task);
		log_tick(false);
	}
	task_status(run->task, &status);
	if (run->worker)
		log_file_turn(run->options->data_dir, run->worker->log_size);
	else
		progress_show(&status);
	if (status.state == TASK_STREAMING && !run->was_streaming) {
		run->was_streaming = true;
		log_info("task %s: streaming: every link has applied its snapshot and follows its source", status.name);
	}
	if (status.state == TASK_FINISHED) {
		run->finished = true;
		loop_stop(run->loop);
	} else if (task_end_asked(run->task)) {
		log_info("task %s: asked to end by 'keyferry cutover'", status.name);
		loop_stop(run->loop);
	} else if (status.caught_up && (status.expiry.settled || status.expiry.always) &&
		   run->options->stop_when == STOP_WHEN_CAUGHT_UP) {
		run->caught_up = true;
		loop_stop(run->loop);
	}
	task_status_free(&status);
	on_wake(run);
}

static char *serve_status(void *owner)
{
	struct task_status status;
	char *text;

	task_status(((struct run *)owner)->task, &status);
	text = status_page_json(&status);
	task_status_free(&status);
	return text;
}

static char *serve_metrics(void *owner, bool open_metrics)
{
	struct task_status status;
	char *text;

	task_status(((struct run *)owner)->task, &status);
	text = metrics_page_text(&status, open_metrics);
	task_status_free(&status);
	return text;
}

static char *serve_health(void *owner, enum health_probe probe, bool *ret_ok)
{
	const struct run *run = owner;
	struct task_status status;
	char *text;

	task_status(run->task, &status);
	text = health_answer(&run->health, &status, probe, ret_ok);
	task_status_free(&status);
	return text;
}

static const struct http_routes routes = {serve_status, serve_metrics, serve_health};

/* What an operator wants to know at the end: where each link stands. */
static enum error_kind tell_end(struct run *run, struct error *ret_error)
{
	struct task_status status;
	enum error_kind kind;

	task_status(run->task, &status);
	kind = status.error.kind;
	*ret_error = status.error;
	for (uint32_t i = 0; i < status.link_count; i++) {
		const struct link_status *link = &status.links[i];
		const struct log_line line = {.level = LOG_INFO, .link = link->source, .kind = "position", .unlimited = true};
		const struct log_line failure = {.level = LOG_ERROR, .link = link->source, .kind = "failed", .unlimited = true};

		if (link->error.kind != ERROR_NONE)
			log_line_write(&failure, "link %s: %s%s%s", link->source, link->error.text,
				       link->error.hint[0] ? ". " : "", link->error.hint);
		if (link->phase == LINK_FINISHED)
			log_line_write(&line,
				       "link %s: everything is applied (in this run %llu keys of the snapshot and %llu commands)",
				       link->source, (unsigned long long)link->applier.sink.keys,
				       (unsigned long long)link->applier.sink.commands);
		else if (link->files)
			log_line_write(&line, "link %s: position kept: byte %llu of %llu", link->source,
				       (unsigned long long)link->applier.position,
				       (unsigned long long)link->snapshot_bytes_total);
		else if (link->applier.applied_offset >= 0)
			log_line_write(
				&line,
				"link %s: position kept: %s, offset %lld (%llu keys of the snapshot and %llu commands applied)",
				link->source, link->origin.replid, (long long)link->applier.applied_offset,
				(unsigned long long)link->applier.sink.keys, (unsigned long long)link->applier.sink.commands);
		else if (link->origin.generation > 0 && link->snapshot_bytes_total > 0 && link->received_offset >= 0)
			log_line_write(&line, "link %s: position kept: in the snapshot, byte %llu of %llu; it goes on there",
				       link->source, (unsigned long long)link->applier.position,
				       (unsigned long long)link->snapshot_bytes_total);
		else
			log_line_write(&line, "link %s: the snapshot was not received whole; it is taken again at the next start",
				       link->source);
	}
	task_status_free(&status);
	if (kind == ERROR_NONE)
		log_info("task %s: %s%s%s", run->options->name,
			 run->finished    ? "finished"
			 : run->caught_up ? "caught up, stopped as asked"
					  : "stopped as asked",
			 run->finished ? "" : "; started again with the same work directory it ",
			 run->finished                            ? ""
			 : run->options->source.mode == MODE_SCAN ? "reads all keys again, and deletes what has gone meanwhile"
								  : "goes on from here");
	return kind;
}

static int run_task(struct run *run, bool bars, struct error *error)
{
	struct http *http = NULL;
	int code;

	run->task = task_open(run->loop, run->options, &task_callbacks, run, error);
	if (!run->task && error->kind == ERROR_NONE) {
		log_info("task %s: stopped as asked, before anything was written", run->options->name);
		return ERROR_NONE;
	}
	if (!run->task)
		return -1;
	if (run->options->listen) {
		health_turn(&run->health);
		http = http_start(run->options->listen, run->options->open_probes, &routes, run, error);
		if (!http)
			return -1;
		log_info("status at http://%s/status, metrics at http://%s/metrics", http_address(http), http_address(http));
	}
	if (!task_start(run->task, error)) {
		http_stop(http);
		return -1;
	}
	atomic_store(&run->shown, run->task);
	/* What was asked for while it was opened. */
	if (atomic_load(&run->limited))
		task_limit(run->task, atomic_load(&run->records), atomic_load(&run->bytes));
	if (!run->worker)
		progress_start(bars);
	timer_repeat(run->poll, POLL_MS, POLL_MS);
	loop_run(run->loop);
	timer_stop(run->poll);
	health_end(&run->health);
	if (!run->worker)
		progress_end();
	if (task_signal_seen())
		log_info("stopping: waiting for what is in flight (a second signal stops at once)");
	task_stop(run->task, DRAIN_MS);
	if (run->finished && !task_settle_end(run->task, error)) {
		if (error->kind == ERROR_NONE)
			log_info("task %s: stopped before all times of expiry were put right; started again it does that",
				 run->options->name);
		http_stop(http);
		run->finished = false;
		return error->kind == ERROR_NONE ? ERROR_NONE : -1;
	}
	code = (int)tell_end(run, error);
	http_stop(http);
	return code;
}

int sync_task(struct task_options *options, bool bars, const struct sync_worker *worker, struct sync_end *ret)
{
	struct run run = {.options = options, .worker = worker, .begun_ms = clock_wall_ms()};
	int code;

	*ret = (struct sync_end){.finished = false};
	error_clear(&ret->error);
	run.loop = loop_new();
	run.wake = wake_new(run.loop, on_wake, &run);
	run.poll = timer_new(run.loop, on_poll, &run);
	task_signals_take(run.wake);
	log_set_task(options->name);
	log_set_limited(true);
	code = run_task(&run, bars, &ret->error);
	if (code < 0)
		code = command_fail(worker ? "worker" : "sync", &ret->error);
	ret->finished = run.finished;
	if (atomic_load(&run.shown))
		ret->status = on_status_asked(&run);
	log_tick(true);
	log_set_limited(false);
	control_socket_stop(run.socket);
	task_signals_take(NULL);
	task_free(run.task);
	timer_free(run.poll);
	wake_free(run.wake);
	loop_free(run.loop);
	return code;
}

int cmd_sync(int argc, char **argv)
{
	struct arguments arguments;
	struct task_options options;
	struct sync_end end;
	struct error error;
	int code = command_arguments("sync", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	task_options_init(&options);
	if (!task_arguments_log(&arguments, &error) || !task_arguments_read(&arguments, &options, &error)) {
		code = command_fail("sync", &error);
	} else {
		code = sync_task(&options, !arguments_given(&arguments, "no-progress") && isatty(STDERR_FILENO), NULL, &end);
		free(end.status);
	}
	task_options_free(&options);
	return code;
}
