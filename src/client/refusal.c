#include "client/refusal.h"

#include "base/columns.h"

#include <jansson.h>
#include <stdio.h>

#define URN "urn:keyferry:problem:"

static enum error_kind kind_of(unsigned status, const char *problem)
{
	static const struct {
		const char *name;
		enum error_kind kind;
	} kinds[] = {{"source", ERROR_SOURCE}, {"target", ERROR_TARGET}, {"precheck-failed", ERROR_PRECHECK}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(problem, kinds[i].name) == 0)
			return kinds[i].kind;
	return status >= 500 || status == 429 ? ERROR_INTERNAL : ERROR_USAGE;
}

static const char *text_of(const json_t *problem, const char *name)
{
	const char *text = json_string_value(json_object_get(problem, name));

	return text ? text : "";
}

/* Its title, what happened this time, and each place at fault that is not told by that already. */
static void put_text(const json_t *problem, char *out, size_t cap)
{
	const char *title = text_of(problem, "title"), *detail = text_of(problem, "detail");
	size_t used = (size_t)snprintf(out, cap, "%s%s%s", title, *title && *detail ? ": " : "", detail), i;
	const json_t *fault;

	json_array_foreach (json_object_get(problem, "errors"), i, fault) {
		const char *place = text_of(fault, "option")[0] ? text_of(fault, "option") : text_of(fault, "pointer"),
			   *told = text_of(fault, "detail");

		if (used >= cap || !*told || strstr(detail, told))
			continue;
		used += (size_t)snprintf(out + used, cap - used, "; %s%s%s", place, *place ? ": " : "", told);
	}
}

static void put_hint(unsigned status, const json_t *problem, bool with_token, struct error *error)
{
	const char *hint = text_of(problem, "hint");

	if (status == 401)
		error_hint(
			error,
			with_token
				? "The token is wrong, has ended or was revoked: 'keyferry token create NAME --role operator' on the daemon's machine makes another"
				: "Give a token: --token-file FILE, KEYFERRY_TOKEN, or the file ~/.config/keyferry/token; 'keyferry token create NAME --role operator' on the daemon's machine makes one");
	else if (*hint)
		error_hint(error, "%s", hint);
	else if (status == 403)
		error_hint(error,
			   "'keyferry token create NAME --role operator' (or admin) on the daemon's machine makes one that may");
	else if (status == 404 && strcmp(text_of(problem, "type"), URN "task-not-found") == 0)
		error_hint(error, "'keyferry task list' shows all tasks");
}

void refusal_read(unsigned status, struct slice body, const char *server, const char *path, bool with_token,
		  char ret_name[REFUSAL_NAME_MAX], struct error *error)
{
	json_t *problem = body.len ? json_loadb((const char *)body.data, body.len, 0, NULL) : NULL;
	const char *type = text_of(problem, "type");
	char text[sizeof(error->text)] = "";

	ret_name[0] = '\0';
	if (strncmp(type, URN, sizeof(URN) - 1) == 0) {
		snprintf(ret_name, REFUSAL_NAME_MAX, "%s", type + sizeof(URN) - 1);
		put_text(problem, text, sizeof(text));
	}
	if (text[0]) {
		error_set(error, kind_of(status, ret_name), "%s", text);
	} else {
		error_set(error, kind_of(status, ""), "%s answers %s with status %u, and not as keyferry's daemon does", server,
			  path, status);
		error_hint(error, "Is this the daemon's address (--server)? A proxy before it may refuse too");
	}
	if (text[0] || status == 401)
		put_hint(status, problem, with_token, error);
	columns_clean(error->text);
	columns_clean(error->hint);
	json_decref(problem);
}
