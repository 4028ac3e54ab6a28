/* Problems: every answer of 400 and above, as RFC 9457 has them.
 *
 *     {"type":"urn:keyferry:problem:document-invalid", "title":"The task document is not valid", "status":422,
 *      "detail":"orders:7: source.adress: there is no such option", "hint":"Did you mean source.address?",
 *      "instance":"/api/v1/tasks", "errors":[{"pointer":"/source/adress", "option":"source.adress", "line":7, "detail":"..."}]}
 *
 * `type` is stable, one of the table; `title` is its sentence; `detail` says what happened this time, `hint` what to do. What stands in a request's body is quoted nowhere.
 * Thread: pure functions. */
#ifndef KEYFERRY_API_PROBLEM_H
#define KEYFERRY_API_PROBLEM_H

#include "base/error.h"

#include <jansson.h>

enum problem {
	PROBLEM_BAD_REQUEST,
	PROBLEM_BODY_INVALID,
	PROBLEM_PARAMETER_INVALID,
	PROBLEM_UNAUTHENTICATED,
	PROBLEM_FORBIDDEN,
	PROBLEM_CSRF,
	PROBLEM_FOREIGN_HOST,
	PROBLEM_FOREIGN_ORIGIN,
	PROBLEM_NOT_FOUND,
	PROBLEM_TASK_NOT_FOUND,
	PROBLEM_METHOD,
	PROBLEM_NOT_ACCEPTABLE,
	PROBLEM_EXISTS,
	PROBLEM_STATE,
	PROBLEM_CHANGED,
	PROBLEM_TOO_LARGE,
	PROBLEM_URI_TOO_LONG,
	PROBLEM_MEDIA_TYPE,
	PROBLEM_DOCUMENT_INVALID,
	PROBLEM_PRECHECK_FAILED,
	PROBLEM_PRECONDITION_REQUIRED,
	PROBLEM_TOO_MANY,
	PROBLEM_HEAD_TOO_LARGE,
	PROBLEM_INTERNAL,
	PROBLEM_METHOD_UNKNOWN,
	PROBLEM_SOURCE,
	PROBLEM_TARGET,
	PROBLEM_BUSY,
	PROBLEM_FULL,
	PROBLEMS,
};

unsigned problem_status(enum problem problem);
/* "document-invalid". Static. */
const char *problem_name(enum problem problem);
const char *problem_title(enum problem problem);

/* The object. `hint` and `instance` may be NULL or "". */
json_t *problem_json(enum problem problem, const char *detail, const char *hint, const char *instance);
/* One more place that is at fault. `option` ("source.address") and `pointer` ("/source/address", RFC 6901) may be NULL; line 0: none. */
void problem_add_fault(json_t *object, const char *option, const char *pointer, unsigned line, const char *detail);

#endif
