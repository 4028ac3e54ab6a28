/* Jobs: precheck, verify, cut-over and finish. The daemon runs them; who waits for one only asks how it is. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "cmd/job_report.h"
#include "cmd/task_calls.h"
#include "cmd/task_wait.h"

#include <stdlib.h>
#include <unistd.h>

/* On standard error, so that standard output has the result alone. */
static void show_waiting(const char *job, const char *task, uint64_t since_us, bool shown)
{
	char text[UNITS_TEXT_MAX];

	if (!isatty(STDERR_FILENO))
		return;
	if (shown)
		fprintf(stderr, "\r\033[K%s of %s: %s", job, task,
			units_show_duration((clock_monotonic_us() - since_us) / 1000000, text));
	else
		fputs("\r\033[K", stderr);
	fflush(stderr);
}

/* The Result of that job; NULL: the view has it not. Borrowed. */
static const json_t *result_of(const json_t *view, json_int_t job)
{
	const json_t *result = json_object_get(view, "result");

	return json_is_object(result) && (job < 0 || json_integer_value(json_object_get(result, "job")) == job) ? result : NULL;
}

/* Prints the result that the last answer holds. */
static bool take_result(struct task_session *session, const json_t *result, const char *task, struct error *error)
{
	const json_t *cause = json_object_get(result, "error");
	json_int_t code = json_integer_value(json_object_get(result, "exit_code"));
	char *name = task_clean(task);
	bool told;

	if (session->json)
		task_print_answer(session);
	told = session->json || job_report_print(result, name, session->language);
	session->code = (int)code;
	if (!told)
		task_fault(cause, error, name);
	free(name);
	return told;
}

/* `job`: the number of the one that was started. */
static bool wait_for(struct task_session *session, const char *kind, const char *task, json_int_t job, struct error *error)
{
	struct task_patience patience = {.deadline_us = 0};
	uint64_t since_us = clock_monotonic_us();
	const json_t *result = NULL;
	json_t *view = NULL;
	bool ok;

	do {
		json_decref(view);
		view = task_get(session, task_path(task, "/%s", kind), error);
		result = result_of(view, job);
		if (!result)
			show_waiting(kind, task, since_us, true);
	} while (!result && task_wait_more(session, &patience, view != NULL, error));
	show_waiting(kind, task, since_us, false);
	ok = result && take_result(session, result, task, error);
	if (!result && error->kind == ERROR_NONE) {
		fprintf(stderr,
			"The %s goes on: 'keyferry task %s %s --last' shows its result, 'keyferry task cancel %s' ends it.\n",
			kind, kind, task, task);
		session->code = ERROR_INTERNAL;
	}
	json_decref(view);
	return ok;
}

static bool show_last(struct task_session *session, const char *kind, const char *task, struct error *error)
{
	json_t *view = task_get(session, task_path(task, "/%s", kind), error);
	const json_t *result = result_of(view, -1);
	bool ok = false;

	if (view && session->json) {
		task_print_answer(session);
		ok = true;
	} else if (view && result) {
		ok = take_result(session, result, task, error);
	} else if (view) {
		error_set(error, ERROR_USAGE, "there has been no %s of task %s%s", kind, task,
			  json_is_object(json_object_get(view, "running")) ? " before the one under way" : "");
	}
	json_decref(view);
	return ok;
}

/* Takes `options` (NULL: none). */
static bool run(struct task_session *session, const char *kind, json_t *options, struct error *error)
{
	const char *task = task_word(session, 0);
	json_t *begun;
	json_int_t job;

	if (arguments_given(&session->arguments, "last")) {
		json_decref(options);
		return show_last(session, kind, task, error);
	}
	if (options) {
		begun = task_send(session, "POST", task_path(task, "/%s", kind), options, error);
	} else {
		char *path = task_path(task, "/%s", kind);

		begun = task_ask(session,
				 &(struct api_request){.method = "POST",
						       .path = path,
						       .language = session->language == LANGUAGE_ZH ? "zh" : "en"},
				 error);
		free(path);
	}
	if (!begun)
		return false;
	job = json_integer_value(json_object_get(begun, "id"));
	json_decref(begun);
	if (!arguments_given(&session->arguments, "no-wait"))
		return wait_for(session, kind, task, job, error);
	if (session->json)
		task_print_answer(session);
	else
		printf("task %s: %s is under way\n", task, kind);
	return true;
}

static void put_word(json_t *options, const char *name, const char *value)
{
	if (value)
		json_object_set_new(options, name, json_string(value));
}

static void put_flag(const struct task_session *session, json_t *options, const char *name, const char *option)
{
	if (arguments_given(&session->arguments, option))
		json_object_set_new(options, name, json_true());
}

bool cmd_task_precheck(struct task_session *session, struct error *error)
{
	return run(session, "precheck", NULL, error);
}

bool cmd_task_verify(struct task_session *session, struct error *error)
{
	static const char *const modes[] = {"full", "outline", NULL};
	const char *mode;
	json_t *options;

	if (!task_take_word(session, "mode", modes, &mode, error))
		return false;
	options = json_object();
	put_word(options, "mode", mode);
	put_flag(session, options, "repair", "repair");
	return run(session, "verify", options, error);
}

bool cmd_task_cutover(struct task_session *session, struct error *error)
{
	static const char *const modes[] = {"outline", "full", "none", NULL};
	bool harmless = arguments_given(&session->arguments, "dry-run") || arguments_given(&session->arguments, "last");
	const char *verify;
	json_t *options;

	if (!task_take_word(session, "verify", modes, &verify, error))
		return false;
	if (!harmless &&
	    !task_confirm(session, error, "Let the target of task %s take the source's place now?", task_word(session, 0)))
		return false;
	options = json_object();
	put_word(options, "verify", verify);
	put_word(options, "timeout", arguments_value(&session->arguments, "timeout"));
	put_word(options, "hold", arguments_value(&session->arguments, "hold"));
	put_flag(session, options, "by_hand", "by-hand");
	put_flag(session, options, "dry_run", "dry-run");
	return run(session, "cutover", options, error);
}

bool cmd_task_finish(struct task_session *session, struct error *error)
{
	if (!arguments_given(&session->arguments, "last") &&
	    !task_confirm(session, error, "Finish task %s, which is not started again?", task_word(session, 0)))
		return false;
	return run(session, "finish", NULL, error);
}

bool cmd_task_cancel(struct task_session *session, struct error *error)
{
	json_t *done = task_do(session, "DELETE", task_path(task_word(session, 0), "/job"), error);

	if (done && !session->json)
		printf("task %s: the job ends\n", task_word(session, 0));
	json_decref(done);
	return done != NULL;
}
