#include "task/option_node.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

static bool fail_at(struct option_place *place, const struct document_node *node)
{
	place->line = node->line;
	return false;
}

static const char *form_of(const struct document_node *node)
{
	static const char *const forms[] = {"a mapping", "a list", "a plain value", "nothing"};

	return forms[node->kind];
}

static bool set_scalar(const struct option_row *row, void *object, const char *text, struct error *error)
{
	struct slice item = slice_of_string(text);

	return option_set(row, object, &(struct option_value){OPTION_SCALAR, &item, 1, NULL}, error);
}

/* Lists and mappings of scalars. */
static bool set_items(const struct option_row *row, void *object, const struct document_node *node, struct option_place *place,
		      struct error *error)
{
	struct slice *items = memory_alloc_zero(2 * node->count + 1, sizeof(*items));
	struct slice *keys = items + node->count;
	bool map = node->kind == DOCUMENT_MAP;
	size_t count = 0;
	bool set;

	for (const struct document_node *child = node->first; child; child = child->next) {
		if (child->kind != DOCUMENT_SCALAR) {
			error_set(error, ERROR_USAGE, "its %s holds %s where a plain value is expected", map ? "mapping" : "list",
				  form_of(child));
			error_hint(error, "for example %s: %s", row->path, row->example);
			free(items);
			return fail_at(place, child);
		}
		keys[count] = map ? slice_of_string(child->key) : SLICE("");
		items[count++] = slice_of_string(child->text);
	}
	set = option_set(row, object, &(struct option_value){map ? OPTION_MAP : OPTION_LIST, items, count, map ? keys : NULL},
			 error);
	free(items);
	return set;
}

/* ---- lists of mappings ---- */

static bool set_member(const struct option_row *row, void *item, const struct document_node *node, struct option_place *place,
		       struct error *error)
{
	size_t len = strlen(place->path);
	const struct option_row *member;
	char nearest[OPTION_PATH_MAX];
	int written = snprintf(place->path + len, sizeof(place->path) - len, ".%s", node->key);

	place->line = node->line;
	if (written < 0 || (size_t)written >= sizeof(place->path) - len) {
		place->path[len] = '\0';
		error_set(error, ERROR_USAGE, "it holds a name that is too long");
		return false;
	}
	member = option_find(row->item_table, slice_of_string(node->key));
	if (!member) {
		bool near = option_nearest(row->item_table, slice_of_string(node->key), nearest) != NULL;

		error_set(error, ERROR_USAGE, "there is no such option%s%s%s", near ? ": did you mean '" : "",
			  near ? nearest : "", near ? "'?" : "");
		error_hint(error, "for example %s: %s", row->path, row->example);
		return false;
	}
	if (!option_node_set(member, item, node, place, error))
		return false;
	place->path[len] = '\0';
	return true;
}

static bool set_item(const struct option_row *row, void *item, const struct document_node *node, struct option_place *place,
		     struct error *error)
{
	place->line = node->line;
	if (node->kind != DOCUMENT_MAP || node->count == 0) {
		error_set(error, ERROR_USAGE, "a mapping is expected, not %s",
			  node->kind == DOCUMENT_MAP ? "an empty one" : form_of(node));
		error_hint(error, "for example %s: %s", row->path, row->example);
		return false;
	}
	option_set_defaults(row->item_table, item);
	for (const struct document_node *child = node->first; child; child = child->next)
		if (!set_member(row, item, child, place, error))
			return false;
	if (!row->item_check || row->item_check(item, error))
		return true;
	if (error->hint[0] == '\0')
		error_hint(error, "for example %s: %s", row->path, row->example);
	return fail_at(place, node);
}

static bool set_objects(const struct option_row *row, void *object, const struct document_node *node, struct option_place *place,
			struct error *error)
{
	struct option_objects objects = {.items = memory_alloc_zero(node->count + 1, row->item_size)};
	struct option_objects *field = (struct option_objects *)(void *)((uint8_t *)object + row->offset);
	size_t len = strlen(place->path);

	for (const struct document_node *child = node->first; child; child = child->next) {
		snprintf(place->path + len, sizeof(place->path) - len, "[%zu]", objects.count);
		objects.count++;
		if (!set_item(row, (uint8_t *)objects.items + (objects.count - 1) * row->item_size, child, place, error)) {
			option_free_objects(row, &objects);
			return false;
		}
	}
	place->path[len] = '\0';
	option_free_objects(row, field);
	*field = objects;
	return true;
}

bool option_node_set(const struct option_row *row, void *object, const struct document_node *node, struct option_place *place,
		     struct error *error)
{
	switch (node->kind) {
	case DOCUMENT_SCALAR: return set_scalar(row, object, node->text, error);
	case DOCUMENT_LIST:
		if (row->type == OPTION_OBJECTS)
			return set_objects(row, object, node, place, error);
		return set_items(row, object, node, place, error);
	case DOCUMENT_MAP:
		if (row->type == OPTION_OTHER && row->structured)
			return set_items(row, object, node, place, error);
		return option_set(row, object, &(struct option_value){OPTION_MAP, NULL, node->count, NULL}, error);
	case DOCUMENT_NULL: break;
	}
	error_set(error, ERROR_USAGE, "it has no value");
	error_hint(error, "leave the option out for its default, or write for example %s: %s", row->path, row->example);
	return false;
}
