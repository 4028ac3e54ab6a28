#include "api/openapi.h"

#include "api/problem.h"
#include "api/route.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *ref_to(const char *kind, const char *name)
{
	char *text = memory_printf("#/components/%s/%s", kind, name);
	json_t *ref = json_pack("{s:s}", "$ref", text);

	free(text);
	return ref;
}

static json_t *schema_of_type(const char *type, const char *schema)
{
	if (strncmp(type, ANSWER_JSON, strlen(ANSWER_JSON)) != 0 || !schema)
		return strncmp(type, ANSWER_JSON, strlen(ANSWER_JSON)) == 0 ? json_pack("{s:s}", "type", "object")
									    : json_pack("{s:s}", "type", "string");
	return ref_to("schemas", schema);
}

/* The type as answers have it; parameters of a media type do not stand in its key. */
static void add_content(json_t *content, const char *type, const char *schema)
{
	char *name = memory_strndup(type, strcspn(type, ";"));

	json_object_set_new(content, name, json_pack("{s:o}", "schema", schema_of_type(type, schema)));
	free(name);
}

static void add_success(json_t *responses, const struct route *route)
{
	json_t *content = json_object(), *response = json_pack("{s:s}", "description", route->summary);
	char status[8];

	for (size_t i = 0; route->types[i]; i++)
		add_content(content, route->types[i], route->answer_schema);
	if (json_object_size(content) > 0)
		json_object_set(response, "content", content);
	json_decref(content);
	snprintf(status, sizeof(status), "%u", route->success);
	json_object_set_new(responses, status, response);
}

/* What the problems of this status are, in the order of the table. */
static json_t *describe_status(unsigned status)
{
	char text[512] = "";

	for (int problem = 0; problem < PROBLEMS; problem++)
		if (problem_status((enum problem)problem) == status)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s (%s)", *text ? "; " : "",
				 problem_title((enum problem)problem), problem_name((enum problem)problem));
	return json_string(*text ? text : "Not modified");
}

static void add_problem(json_t *responses, unsigned status)
{
	char name[8];
	json_t *response = json_pack("{s:o}", "description", describe_status(status));

	snprintf(name, sizeof(name), "%u", status);
	if (status >= 400)
		json_object_set_new(response, "content",
				    json_pack("{s:{s:o}}", "application/problem+json", "schema", ref_to("schemas", "Problem")));
	json_object_set_new(responses, name, response);
}

static json_t *responses_of(const struct route *route)
{
	static const unsigned always[] = {400, 401, 403, 406, 414, 429, 431, 500, 503};
	json_t *responses = json_object();
	const char *more = route->problems;

	add_success(responses, route);
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		add_problem(responses, always[i]);
	if (strchr(route->path, '{'))
		add_problem(responses, 404);
	/* Also where there is to be no body. */
	add_problem(responses, 413);
	if (route->body != BODY_NONE)
		add_problem(responses, 415);
	while (more && *more) {
		char *end;
		unsigned long status = strtoul(more, &end, 10);

		add_problem(responses, (unsigned)status);
		more = end + strspn(end, " ");
	}
	return responses;
}

static json_t *body_of(const struct route *route)
{
	json_t *content = json_object();

	add_content(content, ANSWER_JSON, route->body == BODY_DOCUMENT ? "Document" : route->schema);
	if (route->body == BODY_DOCUMENT)
		add_content(content, ANSWER_YAML, NULL);
	return json_pack("{s:b, s:o}", "required", route->body != BODY_OPTIONAL, "content", content);
}

static json_t *parameters_of(const struct route *route)
{
	json_t *parameters = json_array();
	const char *at = route->parameters, *brace = strchr(route->path, '{');

	if (brace) {
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
		json_array_append_new(parameters, json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", name, "in", "path",
							    "required", 1, "description",
							    strcmp(name, "task") == 0 ? "Id or name of the task" : "Its number",
							    "schema", "type", "string"));
	}
	while (at && *at) {
		char name[64];
		size_t len = strcspn(at, " ");

		snprintf(name, sizeof(name), "%.*s", (int)len, at);
		json_array_append_new(parameters, ref_to("parameters", name));
		at += len;
		at += strspn(at, " ");
	}
	return parameters;
}

static json_t *operation_of(const struct route *route)
{
	char *description = memory_printf("Takes the role %s%s.", service_role_name(route->role),
					  route->probe ? "; none where the daemon has probes: open" : "");
	json_t *operation = json_pack("{s:[s], s:s, s:s, s:s, s:o, s:o}", "tags", route->tag, "operationId", route->id, "summary",
				      route->summary, "description", route->open ? "Takes no token." : description, "parameters",
				      parameters_of(route), "responses", responses_of(route));

	free(description);
	if (route->open)
		json_object_set_new(operation, "security", json_array());
	else if (route->probe)
		json_object_set_new(operation, "security", json_pack("[{}, {s:[]}, {s:[]}]", "token", "session"));
	if (route->body != BODY_NONE)
		json_object_set_new(operation, "requestBody", body_of(route));
	return operation;
}

static json_t *paths(void)
{
	json_t *all = json_object();

	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &route_table[i];
		json_t *path = json_object_get(all, route->path);
		char method[8];
		size_t len = 0;

		if (!path) {
			path = json_object();
			json_object_set_new(all, route->path, path);
		}
		for (; route->method[len]; len++)
			method[len] = (char)(route->method[len] | 0x20);
		method[len] = '\0';
		json_object_set_new(path, method, operation_of(route));
	}
	return all;
}

char *openapi_make(const json_t *components, const char *version)
{
	json_t *all = json_deep_copy(components), *document;
	char *text;

	json_object_set_new(
		all, "securitySchemes",
		json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}}", "token", "type", "http", "scheme", "bearer",
			  "description", "keyferry token create", "session", "type", "apiKey", "in", "cookie", "name",
			  "keyferry_session", "description",
			  "Set by POST /api/v1/session; what changes something needs the header X-CSRF-Token as well"));
	document = json_pack(
		"{s:s, s:{s:s, s:s, s:s}, s:o, s:o, s:[{s:[]}, {s:[]}]}", "openapi", "3.1.0", "info", "title", "keyferry",
		"version", version, "description",
		"The API of `keyferry serve`. On a loopback address nobody is asked for a token unless the daemon is told so.",
		"paths", paths(), "components", all, "security", "token", "session");
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	return text;
}
