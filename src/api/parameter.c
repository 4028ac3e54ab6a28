#include "api/parameter.h"

#include "api/route.h"
#include "api/schema.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Is the word in a list of words apart by spaces? */
static bool listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list && *list) {
		size_t here = strcspn(list, " ");

		if (here == len && memcmp(list, word, len) == 0)
			return true;
		list += here;
		list += strspn(list, " ");
	}
	return false;
}

bool parameter_admit(const json_t *components, const struct call *call, struct answer *answer)
{
	for (size_t i = 0; i < call->uri.parameter_count; i++) {
		const struct uri_parameter *given = &call->uri.parameters[i];
		const json_t *known = json_object_get(json_object_get(components, "parameters"), given->name),
			     *schema = json_object_get(known, "schema");
		struct schema_fault fault = {.text = "it has to be a number"};
		json_t *value = NULL;
		int64_t number;
		bool fits;

		if (!known || strcmp(json_string_value(json_object_get(known, "in")), "query") != 0 ||
		    !listed(call->route->parameters, given->name)) {
			/* Its name is not repeated: who knows what it is. */
			answer_problem(answer, call, PROBLEM_PARAMETER_INVALID, "GET /api/v1/openapi.json tells what there is",
				       "parameter %zu of the query is not known here", i + 1);
			return false;
		}
		if (strcmp(json_string_value(json_object_get(schema, "type")), "integer") != 0)
			value = json_string(given->value);
		else if (slice_to_int64(slice_of_string(given->value), &number))
			value = json_integer(number);
		fits = value && schema_check_by(components, schema, value, &fault);
		json_decref(value);
		if (!fits) {
			answer_problem(answer, call, PROBLEM_PARAMETER_INVALID, NULL, "%s: %s", given->name, fault.text);
			return false;
		}
	}
	return true;
}

int64_t parameter_number(const struct call *call, const char *name, int64_t fallback)
{
	const char *text = uri_parameter(&call->uri, name);
	int64_t number;

	return text && slice_to_int64(slice_of_string(text), &number) ? number : fallback;
}

const char *parameter_language(const struct call *call)
{
	const char *given = uri_parameter(&call->uri, "lang");
	const char *at = call->headers.accept_language;

	if (given)
		return strcmp(given, "zh") == 0 ? "zh" : "en";
	for (; at && *at; at += strcspn(at, ","), at += strspn(at, ", ")) {
		if (strncasecmp(at, "zh", 2) == 0)
			return "zh";
		if (strncasecmp(at, "en", 2) == 0)
			return "en";
	}
	return "en";
}
