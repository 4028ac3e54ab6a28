#include "control/cutover.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/command.h"
#include "cmd/cutover_report.h"
#include "cmd/task_arguments.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 60000
#define HOLD_MS 600000
#define LISTED_MAX 10 /* differences in the log; 'keyferry verify' lists all */

/* ---- the command line ---- */

static bool take_duration(const struct arguments *arguments, const char *name, uint64_t least, uint64_t *ret, struct error *error)
{
	const char *value = arguments_value(arguments, name);

	if (!value || (units_parse_duration(slice_of_string(value), ret) && *ret >= least && *ret <= INT32_MAX))
		return true;
	error_set(error, ERROR_USAGE, "--%s %s is no duration%s", name, value, least ? " of a second and more" : "");
	error_hint(error, "Write it with its unit, like 90s or 5m");
	return false;
}

static bool take_verify(const struct arguments *arguments, enum cutover_verify *ret, struct error *error)
{
	static const char *const names[] = {
		[CUTOVER_VERIFY_OUTLINE] = "outline", [CUTOVER_VERIFY_FULL] = "full", [CUTOVER_VERIFY_NONE] = "none"};
	const char *value = arguments_value(arguments, "verify");

	for (size_t i = 0; value && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			*ret = (enum cutover_verify)i;
			return true;
		}
	}
	if (!value)
		return true;
	error_set(error, ERROR_USAGE, "--verify %s: it is outline, full or none", value);
	return false;
}

static bool take_arguments(const struct arguments *arguments, struct cutover_options *options, bool *ret_json,
			   struct error *error)
{
	const char *format = arguments_value(arguments, "format");
	uint64_t timeout = TIMEOUT_MS;

	options->hold_ms = HOLD_MS;
	options->by_hand = arguments_given(arguments, "by-hand");
	options->dry_run = arguments_given(arguments, "dry-run");
	*ret_json = format && strcmp(format, "json") == 0;
	if (format && !*ret_json && strcmp(format, "text") != 0) {
		error_set(error, ERROR_USAGE, "--format %s: it is text or json", format);
		return false;
	}
	if (!take_verify(arguments, &options->verify, error) || !take_duration(arguments, "timeout", 1000, &timeout, error) ||
	    !take_duration(arguments, "hold", 0, &options->hold_ms, error))
		return false;
	options->timeout_ms = (uint32_t)timeout;
	return true;
}

static bool check_task(const struct task_options *task, struct error *error)
{
	bool source = deployment_options_are_files(&task->source);

	if (!source && !deployment_options_are_files(&task->target))
		return true;
	error_set(error, ERROR_USAGE, "a cut-over is from server to server, and the %s of this task is files",
		  source ? "source" : "target");
	return false;
}

/* ---- events ---- */

static bool on_go_on(void *owner)
{
	(void)owner;
	return !task_signal_seen();
}

static void on_note(void *owner, int log_level, const char *text)
{
	(void)owner;
	if (log_level >= LOG_WARNING)
		log_warning("%s", text);
	else
		log_info("%s", text);
}

static void on_difference(void *owner, const struct verify_difference *difference)
{
	uint64_t *listed = owner;
	char key[200];

	if ((*listed)++ < LISTED_MAX)
		log_warning("%s: database %u, key %s%s%s",
			    difference->undecided ? "undecided" : difference_kind_name(difference->kind), difference->source_db,
			    slice_quote(difference->source_key, key, sizeof(key)), difference->text[0] ? ": " : "",
			    difference->text);
}

static const struct cutover_events callbacks = {on_go_on, on_note, on_difference};

/* The signal is asked for by on_go_on(). */
static void on_wake(void *owner)
{
	(void)owner;
	task_signals_tell();
}

static int run(const struct cutover_options *options, bool json, struct error *error)
{
	struct loop *loop = loop_new();
	struct wake *wake = wake_new(loop, on_wake, NULL);
	struct cutover_result result;
	uint64_t listed = 0;
	enum error_kind code;
	json_t *report;
	bool ok;

	task_signals_take(wake);
	error_clear(error);
	ok = cutover_run(loop, options, &callbacks, &listed, &result, error);
	code = ok ? ERROR_NONE : error->kind == ERROR_NONE ? ERROR_INTERNAL : error->kind;
	report = cutover_report_tree(options, &result, code);
	if (json)
		cutover_report_print_json(report);
	else if (ok || result.done)
		cutover_report_print(report);
	json_decref(report);
	if (!ok && error->kind == ERROR_NONE)
		log_warning("task %s: interrupted: nothing is cut over", options->task->name);
	else if (!ok)
		command_fail("cutover", error);
	task_signals_take(NULL);
	wake_free(wake);
	loop_free(loop);
	free(result.masters);
	return (int)code;
}

int cmd_cutover(int argc, char **argv)
{
	struct cutover_options options = {.by_hand = false};
	struct task_options task;
	struct arguments arguments;
	struct error error;
	bool json;
	int code = command_arguments("cutover", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	task_options_init(&task);
	options.task = &task;
	if (!task_arguments_log(&arguments, &error) || !take_arguments(&arguments, &options, &json, &error) ||
	    !task_arguments_read(&arguments, &task, &error) || !check_task(&task, &error))
		code = command_fail("cutover", &error);
	else
		code = run(&options, json, &error);
	task_options_free(&task);
	return code;
}
