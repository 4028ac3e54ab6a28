#include "api/problem.h"

#include "base/memory.h"

#include <stdlib.h>

static const struct {
	unsigned status;
	const char *name, *title;
} table[PROBLEMS] = {
	[PROBLEM_BAD_REQUEST] = {400, "bad-request", "The request cannot be read"},
	[PROBLEM_BODY_INVALID] = {400, "body-invalid", "The body of the request is not what is asked for here"},
	[PROBLEM_PARAMETER_INVALID] = {400, "parameter-invalid", "A parameter of the request is not valid"},
	[PROBLEM_UNAUTHENTICATED] = {401, "unauthenticated", "A valid token is needed"},
	[PROBLEM_FORBIDDEN] = {403, "forbidden", "The role of this token does not allow it"},
	[PROBLEM_CSRF] = {403, "csrf", "The session's X-CSRF-Token is missing or wrong"},
	[PROBLEM_FOREIGN_HOST] = {403, "foreign-host", "The request is not addressed to this server"},
	[PROBLEM_FOREIGN_ORIGIN] = {403, "foreign-origin", "The request comes from a page of another site"},
	[PROBLEM_NOT_FOUND] = {404, "not-found", "There is nothing at this path"},
	[PROBLEM_TASK_NOT_FOUND] = {404, "task-not-found", "There is no such task"},
	[PROBLEM_METHOD] = {405, "method-not-allowed", "This path does not take this method"},
	[PROBLEM_NOT_ACCEPTABLE] = {406, "not-acceptable", "The answer has no form that is accepted"},
	[PROBLEM_EXISTS] = {409, "exists", "There is one of this name already"},
	[PROBLEM_STATE] = {409, "state", "The task's state does not allow it"},
	[PROBLEM_CHANGED] = {412, "changed", "The document has changed since it was read"},
	[PROBLEM_TOO_LARGE] = {413, "too-large", "The body of the request is too large"},
	[PROBLEM_URI_TOO_LONG] = {414, "uri-too-long", "The path of the request is too long"},
	[PROBLEM_MEDIA_TYPE] = {415, "media-type", "The body's media type is not taken here"},
	[PROBLEM_DOCUMENT_INVALID] = {422, "document-invalid", "The task document is not valid"},
	[PROBLEM_PRECHECK_FAILED] = {422, "precheck-failed", "The precheck found what has to be changed first"},
	[PROBLEM_PRECONDITION_REQUIRED] = {428, "precondition-required",
					   "If-Match is needed, with the ETag of the document that was read"},
	[PROBLEM_TOO_MANY] = {429, "too-many", "Too many requests"},
	[PROBLEM_HEAD_TOO_LARGE] = {431, "head-too-large", "The headers of the request are too large"},
	[PROBLEM_INTERNAL] = {500, "internal", "The server could not do it"},
	[PROBLEM_METHOD_UNKNOWN] = {501, "method-unknown", "No path takes this method"},
	[PROBLEM_SOURCE] = {502, "source", "The source cannot be reached or refuses"},
	[PROBLEM_TARGET] = {502, "target", "The target cannot be reached or refuses"},
	[PROBLEM_BUSY] = {503, "busy", "The server has too much to do"},
	[PROBLEM_FULL] = {507, "full", "The server takes no more of these"},
};

unsigned problem_status(enum problem problem)
{
	return table[problem].status;
}

const char *problem_name(enum problem problem)
{
	return table[problem].name;
}

const char *problem_title(enum problem problem)
{
	return table[problem].title;
}

json_t *problem_json(enum problem problem, const char *detail, const char *hint, const char *instance)
{
	char *type = memory_printf("urn:keyferry:problem:%s", table[problem].name);
	json_t *object =
		json_pack("{s:s, s:s, s:i}", "type", type, "title", table[problem].title, "status", (int)table[problem].status);

	free(type);
	/* What an address or a name of an option brings with it need not be UTF-8, which JSON has to be. */
	if (detail && *detail)
		json_object_set_new(object, "detail", json_string(detail) ?: json_string("(cannot be shown)"));
	if (hint && *hint)
		json_object_set_new(object, "hint", json_string(hint));
	if (instance && *instance)
		json_object_set_new(object, "instance", json_string(instance));
	return object;
}

void problem_add_fault(json_t *object, const char *option, const char *pointer, unsigned line, const char *detail)
{
	json_t *faults = json_object_get(object, "errors");
	json_t *fault = json_object();

	if (!faults) {
		faults = json_array();
		json_object_set_new(object, "errors", faults);
	}
	if (pointer)
		json_object_set_new(fault, "pointer", json_string(pointer));
	if (option)
		json_object_set_new(fault, "option", json_string(option));
	if (line)
		json_object_set_new(fault, "line", json_integer(line));
	json_object_set_new(fault, "detail", json_string(detail));
	json_array_append_new(faults, fault);
}
