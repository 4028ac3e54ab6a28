#include "api/route.h"

#include <stdio.h>
#include <string.h>

static bool fits(const char *pattern, const struct uri *uri, const char *arguments[CALL_ARGUMENTS_MAX], size_t *ret_literal)
{
	size_t argument = 0, segment = 0;

	*ret_literal = 0;
	for (const char *at = pattern; *at == '/'; segment++) {
		size_t len = strcspn(++at, "/");

		if (segment == uri->segment_count)
			return false;
		if (*at == '{') {
			if (!*uri->segments[segment])
				return false;
			arguments[argument++] = uri->segments[segment];
		} else if (strlen(uri->segments[segment]) != len || memcmp(uri->segments[segment], at, len) != 0) {
			return false;
		} else {
			(*ret_literal)++;
		}
		at += len;
	}
	return segment == uri->segment_count;
}

const struct route *route_find(const char *method, const struct uri *uri, const char *arguments[CALL_ARGUMENTS_MAX],
			       char allow[ROUTE_ALLOW_MAX])
{
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
	const struct route *found = NULL;
	size_t found_literal = 0, literal;

	allow[0] = '\0';
	for (size_t i = 0; i < route_count; i++) {
		const char *here[CALL_ARGUMENTS_MAX] = {NULL};
		const struct route *route = &route_table[i];

		if (!fits(route->path, uri, here, &literal))
			continue;
		snprintf(allow + strlen(allow), ROUTE_ALLOW_MAX - strlen(allow), "%s, %s", route->method,
			 strcmp(route->method, "GET") == 0 ? "HEAD, " : "");
		if (strcmp(route->method, wanted) != 0 || (found && literal <= found_literal))
			continue;
		found = route;
		found_literal = literal;
		memcpy(arguments, here, sizeof(here));
	}
	if (allow[0])
		snprintf(allow + strlen(allow), ROUTE_ALLOW_MAX - strlen(allow), "OPTIONS");
	return found;
}
