/* A tree of JSON as YAML, in block style, for people to read and to keep; read again it is the same tree.
 * Thread: pure. */
#ifndef KEYFERRY_API_YAML_TEXT_H
#define KEYFERRY_API_YAML_TEXT_H

#include <jansson.h>

/* free() */
char *yaml_text(const json_t *value);

#endif
