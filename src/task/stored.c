#include "task/stored.h"

#include "base/memory.h"
#include "task/document.h"
#include "task/options_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- by path ---- */

json_t *stored_get(const json_t *document, const char *path)
{
	const json_t *at = document;

	while (at) {
		const char *dot = strchr(path, '.');
		size_t len = dot ? (size_t)(dot - path) : strlen(path);

		at = json_object_getn(at, path, len);
		if (!dot)
			break;
		path = dot + 1;
	}
	return (json_t *)at;
}

void stored_set(json_t *document, const char *path, json_t *value)
{
	json_t *at = document;
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		json_t *next = json_object_getn(at, path, (size_t)(dot - path));

		/* "tls: true" gives way to the details of tls, which imply it. */
		if (!json_is_object(next)) {
			if (!value)
				return;
			next = json_object();
			json_object_setn_new(at, path, (size_t)(dot - path), next);
		}
		at = next;
		path = dot + 1;
	}
	if (!value)
		json_object_del(at, path);
	else if (json_is_object(json_object_get(at, path)) && !json_is_object(value))
		json_decref(value);
	else
		json_object_set_new(at, path, value);
}

/* ---- the tree of a document as JSON ---- */

static json_t *scalar(const struct option_row *row, const char *text)
{
	uint64_t number;

	if (row && row->type == OPTION_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return json_boolean(strcmp(text, "true") == 0);
	if (row && row->type == OPTION_COUNT && slice_to_uint64(slice_of_string(text), &number) && number <= INT64_MAX)
		return json_integer((json_int_t)number);
	return json_string(text);
}

/* `row` NULL: nothing is known of it. */
static json_t *value_of(const struct option_row *row, const struct document_node *node)
{
	json_t *value;

	switch (node->kind) {
	case DOCUMENT_SCALAR: return scalar(row, node->text);
	case DOCUMENT_NULL: return json_null();
	case DOCUMENT_LIST:
		value = json_array();
		for (const struct document_node *child = node->first; child; child = child->next)
			json_array_append_new(value, value_of(row, child));
		return value;
	case DOCUMENT_MAP: break;
	}
	value = json_object();
	for (const struct document_node *child = node->first; child; child = child->next) {
		const struct option_row *member =
			row && row->item_table ? option_find(row->item_table, slice_of_string(child->key)) : NULL;

		json_object_set_new(value, child->key, value_of(member, child));
	}
	return value;
}

static void add_children(json_t *document, const char *prefix, const struct document_node *parent)
{
	for (const struct document_node *node = parent->first; node; node = node->next) {
		char path[OPTION_PATH_MAX];
		int written = snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", node->key);

		/* No option has such a name. */
		if (written < 0 || (size_t)written >= sizeof(path))
			continue;
		if (node->kind == DOCUMENT_MAP && option_has_below(&task_option_table, slice_of_string(path)))
			add_children(document, path, node);
		else
			stored_set(document, path, value_of(option_find(&task_option_table, slice_of_string(path)), node));
	}
}

json_t *stored_parse(struct slice text, const char *file, struct error *error)
{
	struct document_node *root = document_parse(text, file, error);
	json_t *document;

	if (!root)
		return NULL;
	document = json_object();
	add_children(document, "", root);
	document_free(root);
	return document;
}

/* ---- secrets ---- */

json_t *stored_take_secrets(json_t *document)
{
	json_t *secrets = json_object();

	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];
		json_t *value = row->type == OPTION_SECRET ? stored_get(document, row->path) : NULL;

		if (!json_is_string(value) || strcmp(json_string_value(value), STORED_SECRET) == 0)
			continue;
		json_object_set(secrets, row->path, value);
		stored_set(document, row->path, json_string(STORED_SECRET));
	}
	return secrets;
}

bool stored_put_secrets(json_t *document, const json_t *secrets, struct error *error)
{
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];
		json_t *value = row->type == OPTION_SECRET ? stored_get(document, row->path) : NULL, *secret;

		if (!json_is_string(value) || strcmp(json_string_value(value), STORED_SECRET) != 0)
			continue;
		secret = json_object_get(secrets, row->path);
		if (!secret) {
			error_set(error, ERROR_USAGE, "option '%s' is %s, which stands for a stored password, and none is stored",
				  row->path, STORED_SECRET);
			error_hint(error, "Give the password itself, or leave the option out");
			return false;
		}
		stored_set(document, row->path, json_incref(secret));
	}
	return true;
}
