/* A YAML or JSON document as one tree, with line numbers for errors.
 *
 * Whatever the notation, a tree is made of mappings, lists, scalars and nulls; numbers and booleans stay the text that was
 * written, since only an option knows how to read its value (a password of digits is no number).
 * A document that begins with '{' is JSON, all others are YAML. Of YAML, one document of plain structure is taken: aliases, tags
 * and merge keys are refused, which also takes the ground from documents that unfold without end. Keys are scalars and appear
 * once in their mapping. Bounds: DOCUMENT_* below.
 * Errors (ERROR_USAGE) name file and line and quote nothing of the document, since a slip beside a password would show it.
 * Thread: none in particular; a tree belongs to its creator. */
#ifndef KEYFERRY_TASK_DOCUMENT_H
#define KEYFERRY_TASK_DOCUMENT_H

#include "base/error.h"
#include "base/slice.h"

#define DOCUMENT_BYTES_MAX (1u << 20)
#define DOCUMENT_NODES_MAX 10000u
#define DOCUMENT_DEPTH_MAX 16u
#define DOCUMENT_ENTRIES_MAX 256u /* of one mapping */

enum document_kind { DOCUMENT_MAP, DOCUMENT_LIST, DOCUMENT_SCALAR, DOCUMENT_NULL };

struct document_node {
	enum document_kind kind;
	unsigned line; /* of the key, or of the value in a list; from 1 */
	char *key;     /* NUL-terminated; NULL in lists and at the root */
	char *text;    /* of a scalar; NUL-terminated, holds no other NUL */
	size_t count;  /* children */
	struct document_node *first, *last, *next;
};

/* The root is a mapping. `file` names the document in errors. NULL on failure. Texts are wiped when freed. */
struct document_node *document_parse(struct slice text, const char *file, struct error *error) WARN_UNUSED;
void document_free(struct document_node *root);

/* ---- for the two readers (document_yaml.c, document_json.c) ---- */

struct document_builder {
	const char *file;
	struct error *error;
	struct document_node *root;
	size_t nodes;
};

/* Adds a node below parent (NULL: the root), checking bounds and duplicate keys. NULL: the error is filled. */
struct document_node *document_add(struct document_builder *builder, struct document_node *parent, struct slice key,
				   enum document_kind kind, struct slice text, size_t line, size_t depth) WARN_UNUSED;
/* "<file>:<line>: <problem>"; returns false. */
bool document_fail(struct document_builder *builder, size_t line, const char *format, ...) PRINTF_LIKE(3, 4);

bool document_read_yaml(struct document_builder *builder, struct slice text) WARN_UNUSED;
bool document_read_json(struct document_builder *builder, struct slice text) WARN_UNUSED;

#endif
