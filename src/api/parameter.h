/* Parameters of the query, by what schemas.json says of them.
 * Thread: (any). */
#ifndef KEYFERRY_API_PARAMETER_H
#define KEYFERRY_API_PARAMETER_H

#include "api/answer.h"

/* Are all of the call's parameters such as its route has, each with a value as its schema says? False: the answer is made. */
bool parameter_admit(const json_t *components, const struct call *call, struct answer *answer) WARN_UNUSED;
/* The number, which was admitted; `fallback` where it is not given. */
int64_t parameter_number(const struct call *call, const char *name, int64_t fallback);
/* "en" or "zh": of `lang`, else what Accept-Language names first of the two. */
const char *parameter_language(const struct call *call);

#endif
