/* What there is: tasks, one task, its links. */
#include "base/memory.h"
#include "cmd/task_calls.h"
#include "cmd/task_view.h"

#include <stdlib.h>

#define NAMES_MS 1000 /* somebody waits at a prompt */

bool cmd_task_list(struct task_session *session, struct error *error)
{
	json_t *tasks = task_get(session, memory_strdup("/api/v1/tasks"), error);

	if (!tasks)
		return false;
	if (session->json)
		task_print_answer(session);
	else
		task_view_tasks(json_object_get(tasks, "items"), stdout, session->colours, 0);
	json_decref(tasks);
	return true;
}

bool cmd_task_names(struct task_session *session, struct error *error)
{
	json_t *tasks = task_ask(session, &(struct api_request){.path = "/api/v1/tasks", .timeout_ms = NAMES_MS}, error), *task;
	size_t i;

	json_array_foreach (json_object_get(tasks, "items"), i, task)
		puts(task_text(task, "name"));
	json_decref(tasks);
	return tasks != NULL;
}

bool cmd_task_show(struct task_session *session, struct error *error)
{
	json_t *task = task_get(session, task_path(task_word(session, 0), NULL), error);

	if (!task)
		return false;
	if (session->json)
		task_print_answer(session);
	else
		task_view_task(task, stdout, session->colours);
	json_decref(task);
	return true;
}

bool cmd_task_status(struct task_session *session, struct error *error)
{
	json_t *status = task_get(session, task_path(task_word(session, 0), "/status"), error);

	if (!status)
		return false;
	if (session->json)
		task_print_answer(session);
	else
		task_view_status(status, stdout, session->colours, 0);
	json_decref(status);
	return true;
}
