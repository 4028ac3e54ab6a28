#include "api/api.h"

#include "api/access.h"
#include "api/api_state.h"
#include "api/console.h"
#include "api/feed.h"
#include "api/media.h"
#include "api/openapi.h"
#include "api/origin.h"
#include "api/parameter.h"
#include "api/route.h"
#include "api/schema.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api *api_new(struct service *service, const struct api_options *options)
{
	struct api *api = memory_alloc_zero(1, sizeof(*api));

	api->service = service;
	api->options = *options;
	api->components = schema_load();
	api->document = openapi_make(api->components, options->version);
	api->access = access_new(service, options->ask_for_token);
	api->feed = feed_new(service, api->access, options->streams_max);
	return api;
}

void api_end_streams(struct api *api)
{
	feed_end(api->feed);
}

void api_free(struct api *api)
{
	feed_free(api->feed);
	access_free(api->access);
	free(api->document);
	json_decref(api->components);
	free(api);
}

/* ---- before the body ---- */

static bool is_known_method(const char *method)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i], method) == 0)
			return true;
	return false;
}

/* Sent to us by name, and from our own page, as far as a browser tells. */
static bool admit_origin(struct api *api, const struct call *call, struct answer *answer)
{
	if (!api->options.ask_for_token && !origin_host_is_local(call->headers.host)) {
		answer_problem(
			answer, call, PROBLEM_FOREIGN_HOST,
			"Behind a proxy, or by another name, serve with tokens: require_token: true",
			"nobody is asked for a token here, so requests have to be addressed to localhost or a loopback address");
		return false;
	}
	if (call_changes(call) && !origin_is_own(call->headers.origin, call->headers.fetch_site, call->headers.host)) {
		answer_problem(answer, call, PROBLEM_FOREIGN_ORIGIN, NULL,
			       "a browser says that the request comes from a page of another site");
		return false;
	}
	return true;
}

static bool admit_route(struct call *call, struct answer *answer)
{
	char allow[ROUTE_ALLOW_MAX];

	if (call->uri_answer == URI_TOO_LONG)
		answer_problem(answer, call, PROBLEM_URI_TOO_LONG, NULL, "it takes %d bytes", URI_BYTES_MAX);
	else if (call->head_len > API_HEAD_MAX)
		answer_problem(answer, call, PROBLEM_HEAD_TOO_LARGE, NULL, "request line and headers may have %u bytes",
			       API_HEAD_MAX);
	else if (call->malformed || call->uri_answer == URI_BAD)
		answer_problem(answer, call, PROBLEM_BAD_REQUEST, NULL, "%s",
			       call->malformed ? "a header is given twice that may be given once"
					       : "the path or its query is not well-formed");
	if (answer->status)
		return false;
	call->route = route_find(call->method, &call->uri, call->arguments, allow);
	if (call->route)
		return true;
	if (!allow[0]) {
		answer_problem(answer, call, PROBLEM_NOT_FOUND, "GET /api/v1/openapi.json tells what there is",
			       "there is nothing at this path");
		return false;
	}
	answer_header(answer, "Allow", "%s", allow);
	if (strcmp(call->method, "OPTIONS") == 0)
		answer_nothing(answer);
	else
		answer_problem(answer, call, PROBLEM_METHOD, NULL, "it takes %s", allow);
	return false;
}

static bool admit_role(const struct call *call, struct answer *answer)
{
	if (call->route->open || call->principal.role >= call->route->role)
		return true;
	answer_problem(answer, call, PROBLEM_FORBIDDEN, "An admin makes tokens: 'keyferry token create', or /api/v1/tokens",
		       "it takes the role %s, and this one is %s", service_role_name(call->route->role),
		       service_role_name(call->principal.role));
	return false;
}

static bool is_document_type(const char *type)
{
	return media_is(type, ANSWER_JSON) || media_is(type, ANSWER_YAML) || media_is(type, "application/x-yaml") ||
	       media_is(type, "text/yaml");
}

static bool admit_body_type(const struct call *call, struct answer *answer)
{
	const char *type = call->headers.content_type;
	enum route_body body = call->route->body;

	if (body == BODY_NONE || (body == BODY_OPTIONAL && !type) || media_is(type, ANSWER_JSON) ||
	    (body == BODY_DOCUMENT && is_document_type(type)))
		return true;
	answer_header(answer, "Accept", "%s", body == BODY_DOCUMENT ? "application/json, application/yaml" : "application/json");
	answer_problem(answer, call, PROBLEM_MEDIA_TYPE, NULL, "the Content-Type has to be %s",
		       body == BODY_DOCUMENT ? "application/json or application/yaml" : "application/json");
	return false;
}

/* A condition that nobody looks at would be taken for one that holds. */
static bool admit_condition(const struct call *call, struct answer *answer)
{
	const char *parameters = call->route->parameters;

	if (!call_changes(call) || !call->headers.if_match || (parameters && strstr(parameters, "if_match")))
		return true;
	answer_problem(answer, call, PROBLEM_PARAMETER_INVALID, "Leave it out: documents alone are changed on a condition",
		       "If-Match is not looked at here");
	return false;
}

static void refuse_type(const struct call *call, struct answer *answer)
{
	char types[256] = "";

	for (size_t i = 0; call->route->types[i]; i++)
		snprintf(types + strlen(types), sizeof(types) - strlen(types), "%s%.*s", i ? ", " : "",
			 (int)strcspn(call->route->types[i], ";"), call->route->types[i]);
	answer_problem(answer, call, PROBLEM_NOT_ACCEPTABLE, NULL, "what there is here is of type %s", types);
}

size_t api_body_max(const struct call *call)
{
	return call->route && call->route->body == BODY_DOCUMENT ? API_DOCUMENT_MAX : API_BODY_MAX;
}

static bool too_large(const struct call *call, struct answer *answer)
{
	answer_problem(answer, call, PROBLEM_TOO_LARGE, NULL, "it takes at most %zu bytes here", api_body_max(call));
	return false;
}

/* What it says about itself; what comes is counted by the server. */
static bool admit_length(const struct call *call, struct answer *answer)
{
	const char *length = call->headers.content_length;

	return !length || (strlen(length) < 12 && strtoull(length, NULL, 10) <= api_body_max(call)) || too_large(call, answer);
}

bool api_admit(struct api *api, struct call *call, struct answer *answer)
{
	const struct route *route;
	char allow[ROUTE_ALLOW_MAX];
	bool open;

	if (!call->malformed && call->head_len <= API_HEAD_MAX && console_answer(call, answer))
		return false;
	call->uri_answer = uri_parse(&call->uri, call->target);
	route = call->uri_answer == URI_OK ? route_find(call->method, &call->uri, call->arguments, allow) : NULL;
	open = route && !call->malformed && (route->open || (route->probe && api->options.open_probes));
	/* First of all who it is: nobody else is told anything, not even what there is not. */
	if (!open && !access_admit(api->access, call, answer))
		return false;
	if (!admit_origin(api, call, answer))
		return false;
	if (!is_known_method(call->method)) {
		answer_problem(answer, call, PROBLEM_METHOD_UNKNOWN, NULL, "no path takes this method");
		return false;
	}
	if (!admit_route(call, answer) || !admit_role(call, answer))
		return false;
	call->type = media_choose(call->headers.accept, call->route->types);
	if (!call->type && call->route->types[0]) {
		refuse_type(call, answer);
		return false;
	}
	return parameter_admit(api->components, call, answer) && admit_condition(call, answer) && admit_body_type(call, answer) &&
	       admit_length(call, answer);
}

/* ---- with the body ---- */

static bool read_json(struct api *api, struct call *call, struct answer *answer)
{
	struct schema_fault fault;
	json_error_t problem;

	if (call->body.len == 0 && call->route->body == BODY_OPTIONAL)
		return true;
	/* NUL in a text would end it for those who take it as one; Jansson refuses it by default. */
	call->json = json_loadb((const char *)call->body.data, call->body.len, JSON_REJECT_DUPLICATES, &problem);
	if (!call->json) {
		/* Jansson quotes the body after "near", which may be a secret. */
		char *quoted = strstr(problem.text, " near '");

		if (quoted)
			*quoted = '\0';
		answer_problem(answer, call, PROBLEM_BODY_INVALID, NULL, "the body is not JSON: line %d: %s", problem.line,
			       problem.text);
		return false;
	}
	if (!json_is_object(call->json)) {
		answer_fault(answer, call, PROBLEM_BODY_INVALID, "", "the body has to be an object");
		return false;
	}
	if (schema_check(api->components, call->route->schema, call->json, &fault))
		return true;
	answer_fault(answer, call, PROBLEM_BODY_INVALID, fault.pointer, fault.text);
	return false;
}

static bool begins_with_brace(struct slice text)
{
	size_t at = 0;

	while (at < text.len && memchr(" \t\r\n", text.data[at], 4))
		at++;
	return at < text.len && text.data[at] == '{';
}

static bool read_body(struct api *api, struct call *call, struct answer *answer)
{
	if (call->body.len > api_body_max(call))
		return too_large(call, answer);
	if (call->route->body == BODY_NONE && call->body.len > 0) {
		answer_problem(answer, call, PROBLEM_BODY_INVALID, NULL, "it takes no body here");
		return false;
	}
	if (call->route->body == BODY_JSON || call->route->body == BODY_OPTIONAL)
		return read_json(api, call, answer);
	if (call->route->body != BODY_DOCUMENT)
		return true;
	/* The notation of a document is told by its first character: what says that it is JSON must not be read as YAML. */
	if (media_is(call->headers.content_type, ANSWER_JSON) && !begins_with_brace(call->body)) {
		answer_problem(answer, call, PROBLEM_BODY_INVALID, NULL, "a task document in JSON is an object");
		return false;
	}
	return true;
}

void api_handle(struct api *api, struct call *call, struct answer *answer)
{
	if (read_body(api, call, answer))
		call->route->handle(api, call, answer);
}

void api_forget(struct call *call)
{
	json_decref(call->json);
	call->json = NULL;
}
