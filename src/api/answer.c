#include "api/answer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop_body(struct answer *answer)
{
	free(answer->body);
	answer->body = NULL;
	answer->len = 0;
	answer->type = NULL;
}

void answer_free(struct answer *answer)
{
	drop_body(answer);
	for (size_t i = 0; i < answer->header_count; i++)
		free(answer->headers[i].value);
	answer->header_count = 0;
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
	char value[1024];
	va_list args;

	if (answer->header_count == ANSWER_HEADERS_MAX)
		return;
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	answer->headers[answer->header_count].name = name;
	answer->headers[answer->header_count++].value = memory_strdup(value);
}

void answer_text(struct answer *answer, unsigned status, const char *type, char *text)
{
	drop_body(answer);
	answer->status = status;
	answer->type = type;
	answer->body = text;
	answer->len = strlen(text);
}

void answer_json(struct answer *answer, unsigned status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	json_decref(value);
	answer_text(answer, status, ANSWER_JSON, text ? text : memory_strdup("null"));
}

void answer_nothing(struct answer *answer)
{
	drop_body(answer);
	answer->status = 204;
}

static void put_problem(struct answer *answer, enum problem problem, json_t *object)
{
	answer_json(answer, problem_status(problem), object);
	answer->type = "application/problem+json";
}

/* The path alone: a query may hold what its sender did not mean to show. */
static const char *instance_of(const struct call *call, char out[URI_BYTES_MAX + 2])
{
	if (call->uri_answer != URI_OK)
		return NULL;
	snprintf(out, URI_BYTES_MAX + 2, "%.*s", (int)strcspn(call->target, "?"), call->target);
	return out;
}

void answer_problem(struct answer *answer, const struct call *call, enum problem problem, const char *hint, const char *format,
		    ...)
{
	char detail[1024], instance[URI_BYTES_MAX + 2];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	put_problem(answer, problem, problem_json(problem, detail, hint, instance_of(call, instance)));
}

void answer_fault(struct answer *answer, const struct call *call, enum problem problem, const char *pointer, const char *detail)
{
	char text[1024], instance[URI_BYTES_MAX + 2];
	json_t *object;

	snprintf(text, sizeof(text), "%s%s%s", pointer, *pointer ? ": " : "", detail);
	object = problem_json(problem, text, NULL, instance_of(call, instance));
	problem_add_fault(object, NULL, pointer, 0, detail);
	put_problem(answer, problem, object);
}

void answer_place(const char *text, unsigned *ret_line, char ret_option[128])
{
	const char *option = strstr(text, "option '");
	const char *colon;

	*ret_line = 0;
	ret_option[0] = '\0';
	for (colon = strchr(text, ':'); colon && !*ret_line; colon = strchr(colon + 1, ':')) {
		char *end;
		unsigned long line = strtoul(colon + 1, &end, 10);

		if (colon[1] >= '1' && colon[1] <= '9' && *end == ':' && line < 1000000)
			*ret_line = (unsigned)line;
	}
	if (option) {
		size_t len = strcspn(option + 8, "'");

		if (len < 128 && option[8 + len] == '\'')
			snprintf(ret_option, 128, "%.*s", (int)len, option + 8);
	}
}

static enum problem problem_of(enum service_result result)
{
	switch (result) {
	case SERVICE_INVALID: return PROBLEM_DOCUMENT_INVALID;
	case SERVICE_NOT_FOUND: return PROBLEM_TASK_NOT_FOUND;
	case SERVICE_EXISTS: return PROBLEM_EXISTS;
	case SERVICE_STATE: return PROBLEM_STATE;
	case SERVICE_CHANGED: return PROBLEM_CHANGED;
	case SERVICE_FULL: return PROBLEM_FULL;
	case SERVICE_OK:
	case SERVICE_FAILED: break;
	}
	return PROBLEM_INTERNAL;
}

void answer_refusal(struct answer *answer, const struct call *call, enum service_result result, const struct error *error)
{
	enum problem problem = problem_of(result);
	char instance[URI_BYTES_MAX + 2], option[128];
	unsigned line;
	json_t *object = problem_json(problem, error->text, error->hint, instance_of(call, instance));

	if (result == SERVICE_INVALID) {
		answer_place(error->text, &line, option);
		if (line || option[0])
			problem_add_fault(object, option[0] ? option : NULL, NULL, line, error->text);
	}
	put_problem(answer, problem, object);
}
