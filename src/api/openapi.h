/* The OpenAPI 3.1 document: made of the table of routes and schemas.json, so that it cannot say anything else than what is done.
 * Thread: pure. */
#ifndef KEYFERRY_API_OPENAPI_H
#define KEYFERRY_API_OPENAPI_H

#include <jansson.h>

/* free() */
char *openapi_make(const json_t *components, const char *version);

#endif
