/* A task document in the form in which it is kept and shown: JSON, nested by groups, with the secrets apart.
 *
 * Whatever the notation that it came in (YAML, dotted names), and without its comments. Values stay the text that was written, but switches and counts, which become what JSON has
 * for them; read again, it gives the same options.
 * Secrets are the values of rows of type OPTION_SECRET; where one was, stands STORED_SECRET. Apart, they are one object of path and text: {"source.password": "..."}.
 * Trees are jansson's; a returned one belongs to the caller. Thread: none in particular. */
#ifndef KEYFERRY_TASK_STORED_H
#define KEYFERRY_TASK_STORED_H

#include "base/error.h"
#include "base/slice.h"

#include <jansson.h>

#define STORED_SECRET "********"

/* The document must be one that task_options_parse() takes; what it does not know is left as it is. ERROR_USAGE: neither YAML nor JSON. */
json_t *stored_parse(struct slice text, const char *file, struct error *error) WARN_UNUSED;
/* Takes them out; an empty object: there are none. A value that is STORED_SECRET already is none. */
json_t *stored_take_secrets(json_t *document);
/* Puts them back. `secrets` NULL: none. ERROR_USAGE: STORED_SECRET stands where none is kept. */
bool stored_put_secrets(json_t *document, const json_t *secrets, struct error *error) WARN_UNUSED;

/* What a URL says of one side (task/url.c), as task_options_set_url() understands it, put into a document that says nothing of that side yet. ERROR_USAGE. */
bool stored_set_url(json_t *document, bool is_source, const char *url, struct error *error) WARN_UNUSED;

/* The value at a dotted path; NULL: there is none. Borrowed. */
json_t *stored_get(const json_t *document, const char *path);
/* Sets it, making groups where there are none; NULL removes it. The value is taken over. */
void stored_set(json_t *document, const char *path, json_t *value);

#endif
