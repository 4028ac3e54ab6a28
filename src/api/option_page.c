#include "api/option_page.h"

#include "task/options_table.h"
#include "task/options_zh.h"

#include <string.h>

static const char *type_name(const struct option_row *row)
{
	/* Switches and sizes of choices: an enumeration of true and false is one to whoever fills in a form. */
	static const char *const names[] = {
		[OPTION_STRING] = "string", [OPTION_SECRET] = "secret", [OPTION_BOOL] = "boolean",
		[OPTION_ENUM] = "enum",     [OPTION_SIZE] = "size",     [OPTION_DURATION] = "duration",
		[OPTION_COUNT] = "count",   [OPTION_OTHER] = "other",   [OPTION_OBJECTS] = "objects",
	};

	return names[row->type];
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *values_of(const struct option_row *row)
{
	json_t *values;

	if (!row->values)
		return json_null();
	values = json_array();
	for (size_t i = 0; row->values[i]; i++)
		json_array_append_new(values, json_string(row->values[i]));
	return values;
}

static json_t *table_json(const struct option_table *table, const char *prefix, const char *language);

/* Items of a rule are named below their list: "filter.allow[].prefix". */
static json_t *row_json(const struct option_row *row, const char *prefix, const char *language)
{
	const char *dot = strchr(row->path, '.');
	char takes[256], path[OPTION_PATH_MAX];
	json_t *object = json_object();
	bool zh = strcmp(language, "zh") == 0;

	snprintf(path, sizeof(path), "%s%s", prefix, row->path);
	json_object_set_new(object, "path", json_string(path));
	json_object_set_new(object, "group",
			    *prefix || !dot ? json_string("") : json_stringn(row->path, (size_t)(dot - row->path)));
	json_object_set_new(object, "type", json_string(type_name(row)));
	json_object_set_new(object, "takes", json_string(option_describe(row, takes, sizeof(takes))));
	json_object_set_new(object, "values", values_of(row));
	json_object_set_new(object, "default", text_or_null(row->fallback));
	json_object_set_new(object, "example", json_string(row->example));
	json_object_set_new(object, "sentence",
			    json_string(zh && option_sentence_zh(path) ? option_sentence_zh(path) : row->sentence));
	json_object_set_new(object, "lasting", json_boolean(row->lasting));
	json_object_set_new(object, "structured", json_boolean(row->structured || row->type == OPTION_OBJECTS));
	json_object_set_new(object, "minimum", row->max ? json_integer((json_int_t)row->min) : json_null());
	json_object_set_new(object, "maximum", row->max ? json_integer((json_int_t)row->max) : json_null());
	if (row->type == OPTION_OBJECTS) {
		snprintf(path, sizeof(path), "%s[].", row->path);
		json_object_set_new(object, "items", table_json(row->item_table, path, language));
	} else {
		json_object_set_new(object, "items", json_null());
	}
	return object;
}

static json_t *table_json(const struct option_table *table, const char *prefix, const char *language)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < table->count; i++)
		json_array_append_new(rows, row_json(&table->rows[i], prefix, language));
	return rows;
}

json_t *option_page(const char *language)
{
	return json_pack("{s:s, s:o}", "language", language, "options", table_json(&task_option_table, "", language));
}
