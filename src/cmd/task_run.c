/* What an operator wants of tasks: to run or not, their limits. */
#include "cmd/task_run.h"

#include "base/memory.h"
#include "cmd/task_calls.h"
#include "cmd/task_view.h"
#include "cmd/task_wait.h"
#include "task/options.h"

#include <stdlib.h>

static const char *const running_states[] = {"snapshot", "streaming", "finished", NULL};
static const char *const paused_states[] = {"paused", "finished", NULL};
static const char *const stopped_states[] = {"ready", "created", "precheck-failed", "finished", NULL};

static void tell(const struct task_session *session, const json_t *task)
{
	char text[256], *name = task_clean(task_text(task, "name"));

	if (session->json)
		task_print_answer(session);
	else
		printf("task %s: %s (wanted: %s)\n", name, task_view_progress(task, text, sizeof(text)),
		       task_text(task, "wanted"));
	free(name);
}

static json_int_t worker_of(struct task_session *session, const char *task)
{
	struct error ignored;
	json_t *tree = task_get(session, task_path(task, NULL), &ignored);
	json_int_t pid = json_integer_value(json_object_get(json_object_get(tree, "worker"), "pid"));

	json_decref(tree);
	return pid;
}

/* Names of the words, or of all tasks; each and the array are the caller's. NULL: error. */
static char **take_names(struct task_session *session, size_t *ret_count, struct error *error)
{
	bool all = arguments_given(&session->arguments, "all");
	json_t *tasks, *task;
	char **names;
	size_t i;

	*ret_count = 0;
	if (all == (session->arguments.words > 0)) {
		error_set(error, ERROR_USAGE, all ? "--all is all tasks: name none" : "name a task, or give --all");
		return NULL;
	}
	if (!all) {
		names = memory_alloc_zero(session->arguments.words, sizeof(*names));
		for (i = 0; i < session->arguments.words; i++)
			names[(*ret_count)++] = memory_strdup(task_word(session, i));
		return names;
	}
	tasks = task_get(session, memory_strdup("/api/v1/tasks"), error);
	if (!tasks)
		return NULL;
	names = memory_alloc_zero(json_array_size(json_object_get(tasks, "items")) + 1, sizeof(*names));
	json_array_foreach (json_object_get(tasks, "items"), i, task)
		names[(*ret_count)++] = memory_strdup(task_text(task, "name"));
	json_decref(tasks);
	return names;
}

static bool act_on(struct task_session *session, const char *name, const char *action, const char *const *states,
		   uint64_t deadline_us, struct error *error)
{
	bool wait = arguments_given(&session->arguments, "wait");
	json_int_t worker = wait && strcmp(action, "restart") == 0 ? worker_of(session, name) : 0;
	json_t *task = task_do(session, "POST", task_path(name, "/%s", action), error), *there = NULL;

	if (task && wait && task_wait(session, name, states, deadline_us, worker, &there, error)) {
		json_decref(task);
		task = there;
	} else if (wait) {
		json_decref(task);
		task = NULL;
	}
	if (task)
		tell(session, task);
	json_decref(task);
	return task != NULL;
}

bool task_run_start(struct task_session *session, const char *name, struct error *error)
{
	uint64_t deadline_us;
	bool ok = task_take_deadline(session, &deadline_us, error) &&
		  act_on(session, name, "start", running_states, deadline_us, error);

	if (!ok && error->kind == ERROR_NONE)
		session->code = ERROR_INTERNAL;
	return ok;
}

/* Each is tried; the first that fails says the exit code. */
static bool act(struct task_session *session, const char *action, const char *const *states, struct error *error)
{
	uint64_t deadline_us;
	bool interrupted = false;
	size_t count;
	char **names;

	if (!task_take_deadline(session, &deadline_us, error) || !(names = take_names(session, &count, error)))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!interrupted && !act_on(session, names[i], action, states, deadline_us, error)) {
			interrupted = error->kind == ERROR_NONE;
			if (interrupted)
				session->code = ERROR_INTERNAL;
			else
				task_fail(session, error);
		}
		free(names[i]);
	}
	free(names);
	return !interrupted;
}

bool cmd_task_start(struct task_session *session, struct error *error)
{
	return act(session, "start", running_states, error);
}

bool cmd_task_pause(struct task_session *session, struct error *error)
{
	return act(session, "pause", paused_states, error);
}

bool cmd_task_resume(struct task_session *session, struct error *error)
{
	return act(session, "resume", running_states, error);
}

bool cmd_task_stop(struct task_session *session, struct error *error)
{
	return act(session, "stop", stopped_states, error);
}

bool cmd_task_restart(struct task_session *session, struct error *error)
{
	return act(session, "restart", running_states, error);
}

static bool delete_one(struct task_session *session, const char *name, struct error *error)
{
	json_t *gone;

	if (!task_confirm(session, error, "Delete task %s, its history and its position?", name))
		return false;
	gone = task_do(session, "DELETE", task_path(name, NULL), error);
	if (gone && !session->json)
		printf("task %s: deleted\n", name);
	json_decref(gone);
	return gone != NULL;
}

bool cmd_task_delete(struct task_session *session, struct error *error)
{
	for (size_t i = 0; task_word(session, i); i++) {
		if (delete_one(session, task_word(session, i), error))
			continue;
		if (error->kind == ERROR_NONE)
			return false;
		task_fail(session, error);
	}
	return true;
}

/* ---- limits ---- */

/* The values as a document takes them. */
static json_t *read_limits(const struct task_session *session, struct error *error)
{
	static const struct {
		const char *name, *option;
	} limits[] = {{"spec", "limit.spec"}, {"bytes", "limit.bytes_per_second"}};
	struct task_options options;
	json_t *body = json_object();
	bool ok = true;

	task_options_init(&options);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && ok; i++) {
		const char *value = arguments_value(&session->arguments, limits[i].name);
		char *assignment = value ? memory_printf("%s=%s", limits[i].option, value) : NULL,
		     *origin = value ? memory_printf("--%s", limits[i].name) : NULL;

		ok = !value || task_options_set(&options, assignment, origin, error);
		free(assignment);
		free(origin);
	}
	if (arguments_given(&session->arguments, "spec"))
		json_object_set_new(body, "records_per_second", json_integer((json_int_t)options.limit_records_per_second));
	if (arguments_given(&session->arguments, "bytes"))
		json_object_set_new(body, "bytes_per_second", json_integer((json_int_t)options.limit_bytes_per_second));
	task_options_free(&options);
	if (ok)
		return body;
	json_decref(body);
	return NULL;
}

bool cmd_task_limits(struct task_session *session, struct error *error)
{
	json_t *body = read_limits(session, error), *task;

	if (!body)
		return false;
	if (json_object_size(body) > 0) {
		task = task_send(session, "PUT", task_path(task_word(session, 0), "/limits"), body, error);
	} else {
		json_decref(body);
		task = task_get(session, task_path(task_word(session, 0), NULL), error);
	}
	if (task && session->json)
		task_print_answer(session);
	else if (task)
		task_view_limits(task, stdout);
	json_decref(task);
	return task != NULL;
}

bool cmd_task_log_level(struct task_session *session, struct error *error)
{
	json_t *body = json_pack("{s:s}", "level", task_word(session, 1));
	json_t *task = body ? task_send(session, "PUT", task_path(task_word(session, 0), "/log-level"), body, error) : NULL;

	if (!body)
		error_set(error, ERROR_USAGE, "the level is not UTF-8");
	if (task && session->json)
		task_print_answer(session);
	else if (task)
		printf("task %s: log level %s\n", task_word(session, 0), task_text(task, "log_level"));
	json_decref(task);
	return task != NULL;
}
