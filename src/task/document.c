#include "task/document.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool document_fail(struct document_builder *builder, size_t line, const char *format, ...)
{
	char problem[400];
	va_list args;

	va_start(args, format);
	vsnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	error_set(builder->error, ERROR_USAGE, "%s:%zu: %s", builder->file, line, problem);
	return false;
}

static bool check(struct document_builder *builder, const struct document_node *parent, struct slice key, struct slice text,
		  size_t line, size_t depth)
{
	if (depth > DOCUMENT_DEPTH_MAX)
		return document_fail(builder, line, "nested more than %u deep", DOCUMENT_DEPTH_MAX);
	if (builder->nodes >= DOCUMENT_NODES_MAX)
		return document_fail(builder, line, "the document has more than %u values", DOCUMENT_NODES_MAX);
	if ((key.len && memchr(key.data, '\0', key.len)) || (text.len && memchr(text.data, '\0', text.len)))
		return document_fail(builder, line, "a NUL character cannot be part of a text");
	if (!parent || parent->kind != DOCUMENT_MAP)
		return true;
	if (parent->count >= DOCUMENT_ENTRIES_MAX)
		return document_fail(builder, line, "a mapping has more than %u entries", DOCUMENT_ENTRIES_MAX);
	for (const struct document_node *node = parent->first; node; node = node->next)
		if (slice_equal(key, slice_of_string(node->key)))
			return document_fail(builder, line, "'%.64s' is given twice: first in line %u", node->key, node->line);
	return true;
}

struct document_node *document_add(struct document_builder *builder, struct document_node *parent, struct slice key,
				   enum document_kind kind, struct slice text, size_t line, size_t depth)
{
	struct document_node *node;

	if (!check(builder, parent, key, text, line, depth))
		return NULL;
	node = memory_alloc_zero(1, sizeof(*node));
	node->kind = kind;
	node->line = (unsigned)line;
	if (parent && parent->kind == DOCUMENT_MAP)
		node->key = memory_strndup(key.len ? (const char *)key.data : "", key.len);
	if (kind == DOCUMENT_SCALAR)
		node->text = memory_strndup(text.len ? (const char *)text.data : "", text.len);
	builder->nodes++;
	if (!parent) {
		builder->root = node;
		return node;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->count++;
	return node;
}

void document_free(struct document_node *root)
{
	/* Depth is bounded by DOCUMENT_DEPTH_MAX, and so is this recursion; siblings are walked. */
	while (root) {
		struct document_node *next = root->next;

		document_free(root->first);
		if (root->text)
			memory_wipe(root->text, strlen(root->text));
		free(root->text);
		free(root->key);
		free(root);
		root = next;
	}
}

static bool begins_with_brace(struct slice text)
{
	size_t at = 0;

	while (at < text.len && memchr(" \t\r\n", text.data[at], 4))
		at++;
	return at < text.len && text.data[at] == '{';
}

struct document_node *document_parse(struct slice text, const char *file, struct error *error)
{
	struct document_builder builder = {.file = file, .error = error};
	bool read;

	if (text.len > DOCUMENT_BYTES_MAX) {
		error_set(error, ERROR_USAGE, "%s: larger than %u bytes, which no task document is", file, DOCUMENT_BYTES_MAX);
		return NULL;
	}
	read = begins_with_brace(text) ? document_read_json(&builder, text) : document_read_yaml(&builder, text);
	if (read && !builder.root) {
		error_set(error, ERROR_USAGE, "%s: the document is empty", file);
		read = false;
	} else if (read && builder.root->kind != DOCUMENT_MAP) {
		read = document_fail(&builder, builder.root->line,
				     "a task document is a mapping of options, such as 'source: ...'");
	}
	if (!read) {
		document_free(builder.root);
		return NULL;
	}
	return builder.root;
}
