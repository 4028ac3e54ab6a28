#include "task/document.h"

#include <jansson.h>

/* Jansson checks the notation and decodes the strings, but keeps no lines and turns numbers into machine types. So the text is
 * walked a second time beside its tree, whose objects keep their order: it is known to be well-formed by then. */
struct json_walk {
	struct document_builder *builder;
	struct slice text;
	size_t at;
	size_t line;
};

static void skip(struct json_walk *walk, const char *skipped)
{
	for (; walk->at < walk->text.len && strchr(skipped, walk->text.data[walk->at]); walk->at++)
		walk->line += walk->text.data[walk->at] == '\n';
}

/* What stands between two values: white space and punctuation, never both of a pair of brackets. */
static void skip_to_value(struct json_walk *walk)
{
	skip(walk, " \t\r\n:,");
}

/* Past one string, number or word; returns it as written. A string has no line breaks: they are escaped. */
static struct slice skip_token(struct json_walk *walk)
{
	const uint8_t *data = walk->text.data;
	size_t from = walk->at;

	if (from < walk->text.len && data[from] == '"') {
		walk->at++;
		while (walk->at < walk->text.len && data[walk->at] != '"')
			walk->at += data[walk->at] == '\\' ? 2 : 1;
		walk->at++;
	} else {
		while (walk->at < walk->text.len && !strchr(" \t\r\n:,]}", data[walk->at]))
			walk->at++;
	}
	if (walk->at > walk->text.len)
		walk->at = walk->text.len;
	return slice_make(data + from, walk->at - from);
}

static void skip_bracket(struct json_walk *walk)
{
	skip(walk, " \t\r\n");
	if (walk->at < walk->text.len)
		walk->at++;
}

static bool add(struct json_walk *walk, struct document_node *parent, struct slice key, size_t line, json_t *value, size_t depth);

static bool add_children(struct json_walk *walk, struct document_node *node, json_t *value, size_t depth)
{
	const char *name;
	json_t *child;
	size_t i;

	skip_bracket(walk);
	if (json_is_object(value)) {
		json_object_foreach (value, name, child) {
			size_t line;

			skip_to_value(walk);
			line = walk->line;
			skip_token(walk);
			if (!add(walk, node, slice_of_string(name), line, child, depth + 1))
				return false;
		}
	} else {
		json_array_foreach (value, i, child)
			if (!add(walk, node, (struct slice){0}, 0, child, depth + 1))
				return false;
	}
	skip_bracket(walk);
	return true;
}

/* line 0: of the value itself. */
static bool add(struct json_walk *walk, struct document_node *parent, struct slice key, size_t line, json_t *value, size_t depth)
{
	enum document_kind kind = json_is_object(value)  ? DOCUMENT_MAP
				  : json_is_array(value) ? DOCUMENT_LIST
				  : json_is_null(value)  ? DOCUMENT_NULL
							 : DOCUMENT_SCALAR;
	struct slice text = {0};
	struct document_node *node;

	skip_to_value(walk);
	line = line ? line : walk->line;
	if (kind == DOCUMENT_SCALAR || kind == DOCUMENT_NULL)
		text = skip_token(walk);
	if (json_is_string(value))
		text = slice_make(json_string_value(value), json_string_length(value));
	node = document_add(walk->builder, parent, key, kind, text, line, depth);
	if (!node)
		return false;
	return kind == DOCUMENT_SCALAR || kind == DOCUMENT_NULL || add_children(walk, node, value, depth);
}

bool document_read_json(struct document_builder *builder, struct slice text)
{
	struct json_walk walk = {.builder = builder, .text = text, .line = 1};
	json_error_t problem;
	json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &problem);
	bool read;

	if (!root) {
		/* Jansson quotes the document after "near": it may be a password. */
		char *quoted = strstr(problem.text, " near '");

		if (quoted)
			*quoted = '\0';
		return document_fail(builder, problem.line > 0 ? (size_t)problem.line : 1, "not JSON: %s", problem.text);
	}
	read = add(&walk, NULL, (struct slice){0}, 0, root, 1);
	json_decref(root);
	return read;
}
