/* The schemas of the API (schemas.json): what the OpenAPI document shows is what the bodies of requests are checked by.
 *
 * Of JSON Schema these words are known, and no others may stand in the file: type, enum, properties, required, additionalProperties, items, minimum, maximum,
 * minLength, maxLength, maxItems, $ref to another of the schemas, anyOf, and the annotations title, description, default, examples, format.
 * Thread: read-only after schema_load(). */
#ifndef KEYFERRY_API_SCHEMA_H
#define KEYFERRY_API_SCHEMA_H

#include "base/error.h"

#include <jansson.h>

#define SCHEMA_DEPTH_MAX 16u
#define SCHEMA_POINTER_MAX 256

struct schema_fault {
	char pointer[SCHEMA_POINTER_MAX]; /* RFC 6901 */
	char text[256]; /* names the schema's expectation, quotes nothing of the body but names of members that it lacks */
};

/* {"schemas": {...}, "parameters": {...}} of the file; to be given back by json_decref(). A file that is no JSON is a mistake of the build, and ends the process. */
json_t *schema_load(void);
/* Does the value fit the named schema? False: the first fault. */
bool schema_check(const json_t *components, const char *name, const json_t *value, struct schema_fault *ret);

/* The same of a schema at hand. */
bool schema_check_by(const json_t *components, const json_t *schema, const json_t *value, struct schema_fault *ret);

#endif
