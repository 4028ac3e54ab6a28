#include "control/finish.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/command.h"
#include "cmd/task_arguments.h"

#include <stdlib.h>

#define TELL_US 5000000

static bool on_portion(void *owner, const struct settle_counts *counts)
{
	uint64_t *told_us = owner, now = clock_monotonic_us();

	if (now - *told_us >= TELL_US) {
		*told_us = now;
		log_info("%llu keys looked at, %llu times of expiry changed", (unsigned long long)counts->keys,
			 (unsigned long long)counts->changed);
	}
	return !task_signal_seen();
}

static const struct finish_events finish_callbacks = {on_portion};

static void tell(const struct task_options *options, const struct finish_result *result)
{
	if (!result->recorded)
		log_info(
			"%s knows of no guarded times: such as there are in the target are taken for those of a task of this name",
			options->data_dir);
	if (result->temporary_left)
		log_warning(
			"another keyferry is connected to the target: temporary keys (keyferry:tmp:*) may be its own, and were left");
	if (result->cut_off_links > 0)
		log_warning(
			"the task was not stopped but cut off, and the marks in the target tell how far it is: they were left. To have them removed, start the task once "
			"more, stop it (SIGTERM) and finish it again; where it never goes on, delete links.json and links in %s and finish it again",
			options->data_dir);
	log_info(
		"task %s: finished: %llu keys looked at, %llu times of expiry made true, %llu temporary keys removed, marks of %u links removed",
		options->name, (unsigned long long)result->counts.keys, (unsigned long long)result->counts.changed,
		(unsigned long long)result->counts.temporary, result->forgotten_links);
}

/* The signal is asked for between portions. */
static void on_wake(void *owner)
{
	(void)owner;
	task_signals_tell();
}

int cmd_finish(int argc, char **argv)
{
	struct task_options options;
	struct arguments arguments;
	struct finish_result result;
	uint64_t told_us = clock_monotonic_us();
	struct loop *loop;
	struct wake *wake;
	struct error error;
	bool ok;
	int code = command_arguments("finish", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	task_options_init(&options);
	error_clear(&error);
	if (!task_arguments_log(&arguments, &error) || !task_arguments_read(&arguments, &options, &error)) {
		task_options_free(&options);
		return command_fail("finish", &error);
	}
	loop = loop_new();
	wake = wake_new(loop, on_wake, NULL);
	task_signals_take(wake);
	ok = finish_run(loop, &options, &finish_callbacks, &told_us, &result, &error);
	if (ok)
		tell(&options, &result);
	else if (error.kind == ERROR_NONE)
		log_warning("task %s: cut off; run it again, it goes on where it was", options.name);
	code = ok ? ERROR_NONE : error.kind == ERROR_NONE ? ERROR_INTERNAL : command_fail("finish", &error);
	task_signals_take(NULL);
	wake_free(wake);
	loop_free(loop);
	task_options_free(&options);
	return code;
}
