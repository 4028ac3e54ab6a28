/* The routes of the API: one table (route_table.c), which both answers requests and is the OpenAPI document.
 *
 * A pattern's segment in braces takes any text; a literal one goes before it. What a row says of roles, bodies, answers and problems is what api_admit() sees to, so that a
 * handler looks at what only it knows.
 * Thread: constant. */
#ifndef KEYFERRY_API_ROUTE_H
#define KEYFERRY_API_ROUTE_H

#include "api/answer.h"

struct api;

enum route_body {
	BODY_NONE,
	BODY_JSON,     /* fits `schema` */
	BODY_OPTIONAL, /* so, or none */
	BODY_DOCUMENT, /* a task document: JSON or YAML */
};

#define ROUTE_TYPES_MAX 3

struct route {
	const char *method;
	const char *path;       /* "/api/v1/tasks/{task}" */
	bool open;              /* for those who have no token yet */
	bool probe;             /* likewise, where probes are to be open; it tells somebody like that nothing but whether */
	bool slow;              /* asks servers on the network */
	enum service_role role; /* at least */
	void (*handle)(struct api *api, const struct call *call, struct answer *answer);
	int which; /* for a handler of several rows: which enum service_action or service_job */
	enum route_body body;
	const char *schema;                     /* of the body */
	unsigned success;                       /* status */
	const char *answer_schema;              /* of the first of `types`, when it is JSON; NULL: no body, or none */
	const char *types[ROUTE_TYPES_MAX + 1]; /* of the answer, the preferred first; ends with NULL */
	const char *parameters; /* of the query and headers, as schemas.json names them, apart by spaces; NULL: none */
	const char *problems;   /* statuses beside those that every route of its kind may answer, apart by spaces; NULL: none */
	const char *tag, *id, *summary;
};

extern const struct route route_table[];
extern const size_t route_count;

#define ROUTE_ALLOW_MAX 64

/* The route of method and path; HEAD is GET. NULL: none; `allow` then has what the path takes ("GET, HEAD, PUT, OPTIONS"), "" when there is no such path. */
const struct route *route_find(const char *method, const struct uri *uri, const char *arguments[CALL_ARGUMENTS_MAX],
			       char allow[ROUTE_ALLOW_MAX]);

#endif
