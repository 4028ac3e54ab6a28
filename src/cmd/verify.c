#include "verify/verify.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/command.h"
#include "cmd/task_arguments.h"
#include "cmd/verify_report.h"
#include "control/verification.h"
#include "verify/resume.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- the command line ---- */

static bool take_duration(const struct arguments *arguments, const char *name, uint64_t *ret, struct error *error)
{
	const char *value = arguments_value(arguments, name);

	if (!value || (units_parse_duration(slice_of_string(value), ret) && *ret <= INT32_MAX))
		return true;
	error_set(error, ERROR_USAGE, "--%s %s is no duration", name, value);
	error_hint(error, "Write it with its unit, like 500ms or 2s");
	return false;
}

static bool take_number(const struct arguments *arguments, const char *name, uint64_t *ret, struct error *error)
{
	const char *value = arguments_value(arguments, name);

	if (!value || (slice_to_uint64(slice_of_string(value), ret) && *ret > 0 && *ret <= INT32_MAX))
		return true;
	error_set(error, ERROR_USAGE, "--%s %s: it is a number of 1 and more", name, value);
	return false;
}

/* One of two words; *ret: it is the second. */
static bool take_choice(const struct arguments *arguments, const char *name, const char *first, const char *second, bool *ret,
			struct error *error)
{
	const char *value = arguments_value(arguments, name);

	*ret = value && strcmp(value, second) == 0;
	if (!value || *ret || strcmp(value, first) == 0)
		return true;
	error_set(error, ERROR_USAGE, "--%s %s: it is %s or %s", name, value, first, second);
	return false;
}

static bool take_arguments(const struct arguments *arguments, struct verify_options *options, struct verify_report *report,
			   struct error *error)
{
	uint64_t tolerance = VERIFICATION_TOLERANCE_MS, wait = VERIFICATION_WAIT_MS, rounds = VERIFICATION_ROUNDS;
	bool outline;

	if (!take_choice(arguments, "mode", "full", "outline", &outline, error) ||
	    !take_choice(arguments, "format", "table", "json", &report->json, error) ||
	    !take_duration(arguments, "tolerance", &tolerance, error) || !take_duration(arguments, "wait", &wait, error) ||
	    !take_number(arguments, "rounds", &rounds, error) || !take_number(arguments, "rate", &options->rate, error))
		return false;
	if (arguments_given(arguments, "dry-run") && !arguments_given(arguments, "repair")) {
		error_set(error, ERROR_USAGE, "--dry-run is for --repair: without it nothing is written anyway");
		return false;
	}
	options->full = !outline;
	options->repair = report->repair = arguments_given(arguments, "repair") && !arguments_given(arguments, "dry-run");
	options->judge.tolerance_ms = (int64_t)tolerance;
	options->judge.strict = arguments_given(arguments, "strict");
	options->wait_ms = (uint32_t)wait;
	options->rounds = (uint32_t)rounds;
	options->restart = arguments_given(arguments, "restart");
	return true;
}

/* ---- the task ---- */

static bool check_task(const struct task_options *task, struct error *error)
{
	if (!deployment_options_are_files(&task->source) && !deployment_options_are_files(&task->target))
		return true;
	error_set(error, ERROR_USAGE, "verify compares servers, and the %s of this task is files",
		  deployment_options_are_files(&task->source) ? "source" : "target");
	error_hint(error, "'keyferry rdb FILE --format jsonl' prints what a file holds");
	return false;
}

/* ---- events ---- */

static bool on_go_on(void *owner, const struct verify_counts *counts)
{
	verify_report_progress(owner, counts);
	return !task_signal_seen();
}

static void on_difference(void *owner, const struct verify_difference *difference)
{
	verify_report_difference(owner, difference);
}

static void on_note(void *owner, int log_level, const char *text)
{
	(void)owner;
	if (log_level >= LOG_WARNING)
		log_warning("%s", text);
	else
		log_info("%s", text);
}

static const struct verify_events callbacks = {on_go_on, on_difference, on_note};

/* The signal is asked for between portions. */
static void on_wake(void *owner)
{
	(void)owner;
	task_signals_tell();
}

/* Who may not write there, or where there is no such folder, verifies all the same. */
static char *find_state(const struct task_options *task)
{
	struct error error;
	char *stem = verification_state_stem(task, false, &error);

	if (!stem)
		log_info("this verification cannot be gone on with if it is cut off: %s", error.text);
	return stem;
}

static int run(const struct verify_options *options, struct verify_report *report, struct error *error)
{
	struct loop *loop = loop_new();
	struct wake *wake = wake_new(loop, on_wake, NULL);
	struct verify_counts counts;
	int code = -1;
	bool ok;

	task_signals_take(wake);
	verify_report_begin(report);
	error_clear(error);
	ok = verify_run(loop, options, &callbacks, report, &counts, error);
	verify_report_end(report, &counts, options->task->name);
	if (ok)
		code = verify_differences(&counts) > counts.repaired ? ERROR_DIFFERENT : ERROR_NONE;
	else if (error->kind == ERROR_NONE)
		log_warning("task %s: cut off before everything was compared%s", options->task->name,
			    options->state_stem && resume_exists(options->state_stem) ? "; started again the same way, it goes on"
										      : "");
	task_signals_take(NULL);
	wake_free(wake);
	loop_free(loop);
	return ok ? code : error->kind == ERROR_NONE ? ERROR_INTERNAL : command_fail("verify", error);
}

int cmd_verify(int argc, char **argv)
{
	struct verify_options options = {0};
	struct verify_report report = {0};
	struct task_options task;
	struct arguments arguments;
	struct error error;
	int code = command_arguments("verify", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	task_options_init(&task);
	options.task = &task;
	report.bars = !arguments_given(&arguments, "no-progress") && isatty(STDERR_FILENO);
	if (!task_arguments_log(&arguments, &error) || !take_arguments(&arguments, &options, &report, &error) ||
	    !task_arguments_read(&arguments, &task, &error) || !check_task(&task, &error) ||
	    !verification_take_guard(&task, &options.judge, &error))
		code = command_fail("verify", &error);
	else {
		char *stem = find_state(&task);

		options.state_stem = stem;
		code = run(&options, &report, &error);
		free(stem);
	}
	task_options_free(&task);
	return code;
}
