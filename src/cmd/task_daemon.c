/* The daemon itself, and any request of its API. */
#include "base/memory.h"
#include "cmd/task_calls.h"
#include "cmd/task_document.h"

#include <stdlib.h>
#include <strings.h>

static void print_health(const struct task_session *session, const json_t *health, const json_t *who)
{
	char *data = task_clean(task_text(health, "data")), *name = task_clean(task_text(who, "who"));
	bool healthy = json_is_true(json_object_get(health, "healthy"));

	printf("daemon      %s\n", api_client_name(session->client));
	printf("version     %s\n", task_text(health, "version"));
	printf("health      %s%s%s\n", session->colours ? table_colour_begin(healthy ? TABLE_GOOD : TABLE_BAD) : "",
	       healthy ? "healthy" : "not healthy", session->colours ? table_colour_end(healthy ? TABLE_GOOD : TABLE_BAD) : "");
	printf("started     %s, process %lld\n", task_text(health, "started"),
	       (long long)json_integer_value(json_object_get(health, "pid")));
	printf("tasks       %lld, %lld running, %lld failed\n", (long long)json_integer_value(json_object_get(health, "tasks")),
	       (long long)json_integer_value(json_object_get(health, "running")),
	       (long long)json_integer_value(json_object_get(health, "failed")));
	printf("data        %s\n", data);
	printf("you are     %s, %s\n", name, task_text(who, "role"));
	free(data);
	free(name);
}

bool cmd_task_info(struct task_session *session, struct error *error)
{
	json_t *who = task_get(session, memory_strdup("/api/v1/session"), error),
	       *health = who ? task_get(session, memory_strdup("/api/v1/health"), error) : NULL;

	if (health && session->json)
		task_print_answer(session);
	else if (health)
		print_health(session, health, who);
	if (health && !json_is_true(json_object_get(health, "healthy")))
		session->code = ERROR_INTERNAL;
	json_decref(who);
	json_decref(health);
	return health != NULL;
}

bool cmd_task_call(struct task_session *session, struct error *error)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", NULL};
	const char *file = arguments_value(&session->arguments, "body"), *path = task_word(session, 1),
		   *accept = arguments_value(&session->arguments, "accept");
	const char *method = NULL;
	struct slice body;
	char *text = NULL;
	json_t *tree;

	for (size_t i = 0; methods[i]; i++)
		if (strcasecmp(task_word(session, 0), methods[i]) == 0)
			method = methods[i];
	if (!method || path[0] != '/') {
		error_set(error, ERROR_USAGE,
			  method ? "the path begins with /, as /api/v1/version" : "the method is GET, POST, PUT or DELETE");
		return false;
	}
	if (file && !(text = task_document_read(file, error)))
		return false;
	body = slice_of_string(text ? text : "");
	tree = task_ask(session,
			&(struct api_request){.method = method,
					      .path = path,
					      .accept = accept ? accept : "application/json, */*;q=0.5",
					      .if_match = arguments_value(&session->arguments, "if-match"),
					      .type = text ? task_document_type(text) : NULL,
					      .body = text ? &body : NULL},
			error);
	if (tree)
		task_print_answer(session);
	task_document_forget(text);
	json_decref(tree);
	return tree != NULL;
}
