#include "base/log.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "control/http.h"
#include "control/status_page.h"
#include "control/task.h"

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
	struct task_options options;
	unsigned polls;
	bool was_streaming;
	bool caught_up;
	bool finished;
	bool failed;
};

/* Signal handlers have no argument. */
static struct wake *signal_wake;
static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
	signal_seen = number;
	if (signal_wake)
		wake_send(signal_wake);
}

static void take_signals(struct wake *wake)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	/* The second one of a kind ends the process at once. */
	signal_wake = wake;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- options ---- */

static bool read_options(const struct arguments *arguments, struct task_options *options, struct error *error)
{
	const char *file = arguments_word(arguments, 0);
	const char *source = arguments_value(arguments, "source"), *target = arguments_value(arguments, "target");
	const char *assignment, *value;
	size_t cursor = 0;

	if (!file && (!source || !target)) {
		error_set(error, ERROR_USAGE, "there is nothing to do: no task document, and %s", source ? "no --target" : target ? "no --source" : "no --source and --target");
		error_hint(error, "Give a task document, or both --source URL and --target URL");
		return false;
	}
	if (file && !task_options_read(options, file, error))
		return false;
	if (source && !task_options_set_url(options, true, source, error))
		return false;
	if (target && !task_options_set_url(options, false, target, error))
		return false;
	while ((assignment = arguments_next(arguments, "set", &cursor))) {
		char origin[256];

		/* Without the value, which may be a secret. */
		snprintf(origin, sizeof(origin), "--set %.*s", (int)strcspn(assignment, "=") + 1, assignment);
		if (!task_options_set(options, assignment, origin, error))
			return false;
	}
	if ((value = arguments_value(arguments, "name"))) {
		free(options->name);
		options->name = strdup(value);
	}
	if ((value = arguments_value(arguments, "data")))
		options->data_dir = strdup(value);
	if ((value = arguments_value(arguments, "listen")))
		options->listen = strdup(value);
	options->accept_changes = arguments_given(arguments, "accept-changes");
	if ((value = arguments_value(arguments, "stop-when"))) {
		if (strcmp(value, "caught-up") != 0) {
			error_set(error, ERROR_USAGE, "--stop-when %s: there is only 'caught-up'", value);
			return false;
		}
		options->stop_when = STOP_WHEN_CAUGHT_UP;
	}
	return task_options_finish(options, error);
}

static bool set_up_log(const struct arguments *arguments, struct error *error)
{
	const char *format = arguments_value(arguments, "log-format"), *level = arguments_value(arguments, "log-level");
	enum log_level lowest;

	if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
		error_set(error, ERROR_USAGE, "--log-format %s: it is text or json", format);
		return false;
	}
	log_set_json(format && strcmp(format, "json") == 0);
	if (level) {
		if (!log_level_parse(level, &lowest)) {
			error_set(error, ERROR_USAGE, "--log-level %s: it is debug, info, warning or error", level);
			return false;
		}
		log_set_level(lowest);
	}
	return true;
}

/* ---- running ---- */

static void on_changed(void *owner)
{
	wake_send(((struct run *)owner)->wake);
}

static bool on_interrupted(void *owner)
{
	(void)owner;
	return signal_seen != 0;
}

static const struct task_events task_callbacks = {on_changed, on_interrupted};

static void on_wake(void *owner)
{
	struct run *run = owner;
	struct task_status status;

	if (signal_seen) {
		loop_stop(run->loop);
		return;
	}
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

	if (run->polls++ % SAMPLE_EVERY == 0)
		task_sample(run->task);
	task_status(run->task, &status);
	progress_show(&status);
	if (status.state == TASK_STREAMING && !run->was_streaming) {
		run->was_streaming = true;
		log_info("task %s: streaming: every link has applied its snapshot and follows its source", status.name);
	}
	if (status.state == TASK_FINISHED) {
		run->finished = true;
		loop_stop(run->loop);
	} else if (status.caught_up && run->options.stop_when == STOP_WHEN_CAUGHT_UP) {
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

	task_status(owner, &status);
	text = status_page_json(&status);
	task_status_free(&status);
	return text;
}

static char *serve_metrics(void *owner)
{
	struct task_status status;
	char *text;

	task_status(owner, &status);
	text = status_page_metrics(&status);
	task_status_free(&status);
	return text;
}

static const struct http_routes routes = {serve_status, serve_metrics};

/* What an operator wants to know at the end: where each link stands. */
static enum error_kind tell_end(struct run *run)
{
	struct task_status status;
	enum error_kind kind;

	task_status(run->task, &status);
	kind = status.error.kind;
	for (uint32_t i = 0; i < status.link_count; i++) {
		const struct link_status *link = &status.links[i];

		if (link->error.kind != ERROR_NONE)
			log_failure("link %s: %s%s%s", link->source, link->error.text, link->error.hint[0] ? ". " : "", link->error.hint);
		if (link->phase == LINK_FINISHED)
			log_info("link %s: all %llu bytes are applied (in this run %llu keys of the snapshot and %llu commands)", link->source,
				 (unsigned long long)link->snapshot_bytes_total, (unsigned long long)link->applier.sink.keys,
				 (unsigned long long)link->applier.sink.commands);
		else if (link->files)
			log_info("link %s: position kept: byte %llu of %llu", link->source, (unsigned long long)link->applier.position,
				 (unsigned long long)link->snapshot_bytes_total);
		else if (link->applier.applied_offset >= 0)
			log_info("link %s: position kept: %s, offset %lld (%llu keys of the snapshot and %llu commands applied)", link->source,
				 link->origin.replid, (long long)link->applier.applied_offset, (unsigned long long)link->applier.sink.keys,
				 (unsigned long long)link->applier.sink.commands);
		else if (link->origin.generation > 0 && link->snapshot_bytes_total > 0 && link->received_offset >= 0)
			log_info("link %s: position kept: in the snapshot, byte %llu of %llu; it goes on there", link->source,
				 (unsigned long long)link->applier.position, (unsigned long long)link->snapshot_bytes_total);
		else
			log_info("link %s: the snapshot was not received whole; it is taken again at the next start", link->source);
	}
	task_status_free(&status);
	if (kind == ERROR_NONE)
		log_info("task %s: %s", run->options.name,
			 run->finished    ? "finished"
			 : run->caught_up ? "caught up, stopped as asked; started again with the same work directory it goes on from here"
					  : "stopped as asked; started again with the same work directory it goes on from here");
	return kind;
}

static int run_task(struct run *run, const struct arguments *arguments, struct error *error)
{
	struct http *http = NULL;
	int code;

	run->task = task_open(run->loop, &run->options, &task_callbacks, run, error);
	if (!run->task && error->kind == ERROR_NONE) {
		log_info("task %s: stopped as asked, before anything was written", run->options.name);
		return ERROR_NONE;
	}
	if (!run->task)
		return -1;
	if (run->options.listen) {
		http = http_start(run->options.listen, &routes, run->task, error);
		if (!http)
			return -1;
		log_info("status at http://%s/status, metrics at http://%s/metrics", http_address(http), http_address(http));
	}
	if (!task_start(run->task, error)) {
		http_stop(http);
		return -1;
	}
	progress_start(!arguments_given(arguments, "no-progress") && isatty(STDERR_FILENO));
	timer_repeat(run->poll, POLL_MS, POLL_MS);
	loop_run(run->loop);
	timer_stop(run->poll);
	progress_end();
	if (signal_seen)
		log_info("stopping: waiting for what is in flight (a second signal stops at once)");
	task_stop(run->task, DRAIN_MS);
	code = (int)tell_end(run);
	http_stop(http);
	return code;
}

int cmd_sync(int argc, char **argv)
{
	struct arguments arguments;
	struct run run = {0};
	struct error error;
	int code = command_arguments("sync", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	task_options_init(&run.options);
	if (!set_up_log(&arguments, &error) || !read_options(&arguments, &run.options, &error)) {
		task_options_free(&run.options);
		return command_fail("sync", &error);
	}
	run.loop = loop_new();
	run.wake = wake_new(run.loop, on_wake, &run);
	run.poll = timer_new(run.loop, on_poll, &run);
	take_signals(run.wake);
	code = run_task(&run, &arguments, &error);
	if (code < 0)
		code = command_fail("sync", &error);
	signal_wake = NULL;
	task_free(run.task);
	timer_free(run.poll);
	wake_free(run.wake);
	loop_free(run.loop);
	task_options_free(&run.options);
	return code;
}
