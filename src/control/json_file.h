/* The small JSON files of a work directory: read whole, replaced whole (base/file.h).
 * Errors are ERROR_USAGE and name the file. Thread: any. */
#ifndef KEYFERRY_CONTROL_JSON_FILE_H
#define KEYFERRY_CONTROL_JSON_FILE_H

#include "base/error.h"

#include <jansson.h>

/* NULL without an error: there is no such file. NULL with one (error->kind is set): it cannot be read, or is no JSON. */
json_t *json_file_read(const char *path, struct error *error) WARN_UNUSED;
/* For what was read and does not have the form that it should. `fault`: what is wrong with it, or NULL. Always false. */
bool json_file_foreign(const char *path, const char *fault, struct error *error);
bool json_file_write(const char *path, const json_t *json, struct error *error) WARN_UNUSED;

#endif
