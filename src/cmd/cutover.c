#include "control/cutover.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/command.h"
#include "cmd/task_arguments.h"

#include <stdio.h>
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
	static const char *const names[] = {[CUTOVER_VERIFY_OUTLINE] = "outline", [CUTOVER_VERIFY_FULL] = "full", [CUTOVER_VERIFY_NONE] = "none"};
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

static bool take_arguments(const struct arguments *arguments, struct cutover_options *options, bool *ret_json, struct error *error)
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
	error_set(error, ERROR_USAGE, "a cut-over is from server to server, and the %s of this task is files", source ? "source" : "target");
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
		log_warning("%s: database %u, key %s%s%s", difference->undecided ? "undecided" : difference_kind_name(difference->kind), difference->source_db,
			    slice_quote(difference->source_key, key, sizeof(key)), difference->text[0] ? ": " : "", difference->text);
}

static const struct cutover_events callbacks = {on_go_on, on_note, on_difference};

/* The signal is asked for by on_go_on(). */
static void on_wake(void *owner)
{
	(void)owner;
	task_signals_tell();
}

/* ---- the result ---- */

static const char *verified_name(const struct cutover_options *options)
{
	return options->verify == CUTOVER_VERIFY_FULL ? "full" : options->verify == CUTOVER_VERIFY_OUTLINE ? "outline" : "none";
}

static const char *time_text(int64_t ms, char out[40])
{
	char text[32];

	if (ms)
		snprintf(out, 40, "\"%s\"", clock_format_rfc3339(ms, text));
	else
		snprintf(out, 40, "null");
	return out;
}

static void print_json(const struct cutover_options *options, const struct cutover_result *result, enum error_kind code)
{
	const struct verify_counts *verified = &result->verified;
	char moment[40], applied[40], end[40], held[40];

	printf("{\"task\":\"%s\",\"done\":%s,\"dry_run\":%s,\"by_hand\":%s,\"exit_code\":%d,\"moment\":%s,\"applied\":%s,\"ended\":%s,\"held_until\":%s,\"masters\":[", options->task->name,
	       result->done ? "true" : "false", options->dry_run ? "true" : "false", result->by_hand ? "true" : "false", (int)code,
	       time_text(result->moment_ms, moment), time_text(result->applied_ms, applied), time_text(result->end_ms, end),
	       time_text(result->held_until_ms, held));
	for (uint32_t i = 0; i < result->master_count; i++)
		printf("%s{\"address\":\"%s\",\"replid\":\"%s\",\"offset\":%lld}", i ? "," : "", result->masters[i].address, result->masters[i].replid,
		       (long long)result->masters[i].offset);
	printf("],\"verified\":{\"mode\":\"%s\",\"compared\":%llu,\"undecided\":%llu,\"differences\":{", verified_name(options), (unsigned long long)verified->compared,
	       (unsigned long long)verified->undecided);
	for (enum difference_kind kind = 0; kind < DIFFERENCE_KINDS; kind++)
		printf("%s\"%s\":%llu", kind ? "," : "", difference_kind_name(kind), (unsigned long long)verified->differences[kind]);
	printf("}},\"expiries_made_true\":%llu,\"temporary_removed\":%llu,\"marks_removed_of_links\":%u}\n", (unsigned long long)result->finish.counts.changed,
	       (unsigned long long)result->finish.counts.temporary, result->finish.forgotten_links);
}

static void print_next(const struct cutover_options *options, const struct cutover_result *result)
{
	char held[32];

	if (options->dry_run)
		printf("next           the same without --dry-run\n");
	else if (result->held_until_ms)
		printf("next           point all clients at the target before %s: until then the source\n"
		       "               takes no writes. 'CLIENT UNPAUSE' on each of its masters ends that\n",
		       clock_format_rfc3339(result->held_until_ms, held));
	else if (result->by_hand)
		printf("next           start the writers again, on the target; let none write to the source\n");
	else
		printf("next           point all clients at the target; the source takes writes again,\n"
		       "               and nobody copies them\n");
}

static void print_text(const struct cutover_options *options, const struct cutover_result *result)
{
	char text[32];

	printf("task           %s: %s\n", options->task->name, options->dry_run ? "could be cut over (dry run)" : "cut over");
	if (result->moment_ms)
		printf("moment         %s: the source's last write was before it\n", clock_format_rfc3339(result->moment_ms, text));
	for (uint32_t i = 0; i < result->master_count; i++)
		printf("source         %s, offset %lld of %s\n", result->masters[i].address, (long long)result->masters[i].offset,
		       result->masters[i].replid[0] ? result->masters[i].replid : "its history");
	if (result->moment_ms)
		printf("applied        %.3f s later; all done %.3f s later\n", (double)(result->applied_ms - result->moment_ms) / 1000,
		       (double)(result->end_ms - result->moment_ms) / 1000);
	if (options->verify == CUTOVER_VERIFY_NONE)
		printf("verified       not at all\n");
	else
		printf("verified       %s: %llu keys, no differences\n", verified_name(options), (unsigned long long)result->verified.compared);
	if (result->done)
		printf("expiry         %llu times made true\nmarks          %s\n", (unsigned long long)result->finish.counts.changed,
		       result->finish.cut_off_links ? "left: the task's process was cut off" : "removed");
	print_next(options, result);
}

static int run(const struct cutover_options *options, bool json, struct error *error)
{
	struct loop *loop = loop_new();
	struct wake *wake = wake_new(loop, on_wake, NULL);
	struct cutover_result result;
	uint64_t listed = 0;
	enum error_kind code;
	bool ok;

	task_signals_take(wake);
	error_clear(error);
	ok = cutover_run(loop, options, &callbacks, &listed, &result, error);
	code = ok ? ERROR_NONE : error->kind == ERROR_NONE ? ERROR_INTERNAL : error->kind;
	if (json)
		print_json(options, &result, code);
	else if (ok || result.done)
		print_text(options, &result);
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
