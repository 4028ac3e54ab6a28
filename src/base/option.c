#include "base/option.h"

#include "base/memory.h"
#include "base/suggest.h"
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define QUOTE_MAX 96

static void *field_of(const struct option_row *row, void *object)
{
	return (uint8_t *)object + row->offset;
}

/* Strings are `char *` or `const char *` in the object; both are read and written as their bytes. */
static char *string_of(const struct option_row *row, void *object)
{
	char *text;

	memcpy(&text, field_of(row, object), sizeof(text));
	return text;
}

static void string_free(const struct option_row *row, void *object)
{
	char *text = string_of(row, object);

	if (text && row->type == OPTION_SECRET)
		memory_wipe(text, strlen(text));
	free(text);
	memset(field_of(row, object), 0, sizeof(text));
}

const char *option_describe(const struct option_row *row, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; row->values && row->values[i]; i++) {
		int len = snprintf(out + at, cap - at, "%s%s", i ? ", " : "", row->values[i]);

		if (len < 0 || (size_t)len >= cap - at)
			return out;
		at += (size_t)len;
	}
	if (row->kind)
		snprintf(out + at, cap - at, "%s%s", at ? ", or " : "", row->kind);
	return out;
}

static bool refuse(const struct option_row *row, struct slice text, struct error *error)
{
	char quoted[QUOTE_MAX], allowed[256];

	error_set(error, ERROR_USAGE, row->values ? "%s is not one of its values: %s" : "%s is not a %s",
		  slice_quote(text, quoted, sizeof(quoted)), option_describe(row, allowed, sizeof(allowed)));
	return false;
}

static bool set_string(const struct option_row *row, void *object, struct slice text, struct error *error)
{
	char *copy;

	if (text.len == 0) {
		error_set(error, ERROR_USAGE, "the value is empty");
		return false;
	}
	if (memchr(text.data, '\0', text.len)) {
		error_set(error, ERROR_USAGE, "the value contains a NUL byte");
		return false;
	}
	copy = memory_strndup((const char *)text.data, text.len);
	string_free(row, object);
	memcpy(field_of(row, object), &copy, sizeof(copy));
	return true;
}

static bool set_bool(const struct option_row *row, void *object, struct slice text, struct error *error)
{
	bool value = slice_equal(text, SLICE("true"));

	if (!value && !slice_equal(text, SLICE("false")))
		return refuse(row, text, error);
	memcpy(field_of(row, object), &value, sizeof(value));
	return true;
}

static bool set_enum(const struct option_row *row, void *object, struct slice text, struct error *error)
{
	for (unsigned i = 0; row->values[i]; i++) {
		unsigned number = row->numbers ? row->numbers[i] : i;

		if (!slice_equal(text, slice_of_string(row->values[i])))
			continue;
		memcpy(field_of(row, object), &number, sizeof(number));
		return true;
	}
	return refuse(row, text, error);
}

static const char *format_number(const struct option_row *row, uint64_t number, char out[UNITS_TEXT_MAX])
{
	if (row->type == OPTION_SIZE)
		return units_format_size(number, out);
	if (row->type == OPTION_DURATION)
		return units_format_duration(number, out);
	snprintf(out, UNITS_TEXT_MAX, "%" PRIu64, number);
	return out;
}

static bool set_number(const struct option_row *row, void *object, struct slice text, struct error *error)
{
	char quoted[QUOTE_MAX], from[UNITS_TEXT_MAX], to[UNITS_TEXT_MAX];
	uint64_t number;
	bool parsed = row->type == OPTION_SIZE       ? units_parse_size(text, &number)
		      : row->type == OPTION_DURATION ? units_parse_duration(text, &number)
						     : slice_to_uint64(text, &number);

	if (!parsed)
		return refuse(row, text, error);
	if (row->max > 0 && (number < row->min || number > row->max)) {
		error_set(error, ERROR_USAGE, "%s is out of bounds: from %s to %s", slice_quote(text, quoted, sizeof(quoted)),
			  format_number(row, row->min, from), format_number(row, row->max, to));
		return false;
	}
	if (row->width == sizeof(uint32_t)) {
		uint32_t narrow = (uint32_t)number;

		memcpy(field_of(row, object), &narrow, sizeof(narrow));
	} else {
		memcpy(field_of(row, object), &number, sizeof(number));
	}
	return true;
}

static bool refuse_later(const struct option_row *row, const struct option_value *value, struct error *error)
{
	char allowed[256];

	if (!row->later || value->form != OPTION_SCALAR)
		return false;
	for (size_t i = 0; row->later[i]; i++) {
		if (!slice_equal(value->items[0], slice_of_string(row->later[i])))
			continue;
		error_set(error, ERROR_USAGE, "this version does not support \"%s\" yet; it takes: %s", row->later[i],
			  option_describe(row, allowed, sizeof(allowed)));
		return true;
	}
	return false;
}

static bool set(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	char allowed[256], quoted[QUOTE_MAX];

	if (refuse_later(row, value, error))
		return false;
	if (row->type == OPTION_OTHER)
		return row->parse(row, object, value, error);
	if (row->type == OPTION_OBJECTS) {
		/* Their reader, who knows the document, builds the objects; what comes here is no list of mappings. */
		error_set(error, ERROR_USAGE, "it takes a list of mappings, not %s",
			  value->form == OPTION_SCALAR ? slice_quote(value->items[0], quoted, sizeof(quoted))
			  : value->form == OPTION_MAP  ? "a mapping"
						       : "a list of values");
		return false;
	}
	if (value->form != OPTION_SCALAR) {
		error_set(error, ERROR_USAGE, "it takes one value (%s), not a %s", option_describe(row, allowed, sizeof(allowed)),
			  value->form == OPTION_LIST ? "list" : "mapping");
		return false;
	}
	switch (row->type) {
	case OPTION_STRING:
	case OPTION_SECRET: return set_string(row, object, value->items[0], error);
	case OPTION_BOOL: return set_bool(row, object, value->items[0], error);
	case OPTION_ENUM: return set_enum(row, object, value->items[0], error);
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_COUNT: return set_number(row, object, value->items[0], error);
	case OPTION_OTHER:
	case OPTION_OBJECTS: break;
	}
	error_set(error, ERROR_INTERNAL, "option table: '%s' has no type", row->path);
	return false;
}

bool option_set(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	static const bool enabled = true;

	if (set(row, object, value, error)) {
		if (row->enables)
			memcpy((uint8_t *)object + row->enables, &enabled, sizeof(enabled));
		return true;
	}
	if (error->hint[0] == '\0')
		error_hint(error, "for example %s: %s", row->path, row->example);
	return false;
}

void option_set_defaults(const struct option_table *table, void *object)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		struct slice text;
		struct error error;

		if (!row->fallback)
			continue;
		text = slice_of_string(row->fallback);
		/* Not option_set(): a default does not enable what it belongs to. */
		if (!set(row, object, &(struct option_value){OPTION_SCALAR, &text, 1, NULL}, &error)) {
			/* A mistake in the table, which no input can cause: the unit test of the table finds it. */
			fprintf(stderr, "keyferry: default of option '%s': %s\n", row->path, error.text);
			abort();
		}
	}
}

void option_free_strings(const struct option_table *table, void *object)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];

		if (row->type == OPTION_STRING || row->type == OPTION_SECRET)
			string_free(row, object);
		else if (row->type == OPTION_OBJECTS)
			option_free_objects(row, field_of(row, object));
	}
}

void option_free_objects(const struct option_row *row, struct option_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		void *item = (uint8_t *)objects->items + i * row->item_size;

		option_free_strings(row->item_table, item);
		if (row->item_free)
			row->item_free(item);
	}
	free(objects->items);
	*objects = (struct option_objects){0};
}

const struct option_row *option_find(const struct option_table *table, struct slice path)
{
	for (size_t i = 0; i < table->count; i++)
		if (slice_equal(path, slice_of_string(table->rows[i].path)))
			return &table->rows[i];
	return NULL;
}

bool option_has_below(const struct option_table *table, struct slice path)
{
	for (size_t i = 0; i < table->count; i++) {
		struct slice row = slice_of_string(table->rows[i].path);

		if (row.len > path.len && slice_starts_with(row, path) && row.data[path.len] == '.')
			return true;
	}
	return false;
}

/* Bytes up to and with the last dot: "source.tls." of "source.tls.ca". */
static size_t parent_len(struct slice path)
{
	const uint8_t *dot = path.data ? memrchr(path.data, '.', path.len) : NULL;

	return dot ? (size_t)(dot - path.data) + 1 : 0;
}

static struct slice last_name(struct slice path)
{
	size_t parent = parent_len(path);

	return slice_make(path.data + parent, path.len - parent);
}

/* A row of the same last name, of several the one with the nearest path; else the row with the nearest path. */
static struct slice nearest_elsewhere(const struct option_table *table, struct slice path)
{
	struct slice nearest = {0};
	size_t shortest = SIZE_MAX;
	bool same_name = false;

	for (size_t i = 0; i < table->count; i++) {
		struct slice row = slice_of_string(table->rows[i].path);
		size_t distance = suggest_distance(path, row);
		bool same = slice_equal(last_name(path), last_name(row));

		if ((same_name && !same) || (same_name == same && distance >= shortest) ||
		    (!same && !suggest_is_near(path, distance)))
			continue;
		same_name = same;
		shortest = distance;
		nearest = row;
	}
	return nearest;
}

const char *option_nearest(const struct option_table *table, struct slice path, char out[OPTION_PATH_MAX])
{
	struct slice parent = slice_make(path.data, parent_len(path));
	struct slice name = last_name(path);
	struct slice nearest = {0};
	size_t shortest = SIZE_MAX;

	for (size_t i = 0; i < table->count; i++) {
		struct slice row = slice_of_string(table->rows[i].path);
		const uint8_t *end;
		size_t distance;

		if (!slice_starts_with(row, parent))
			continue;
		/* The sibling's own name: the rows below a group all give the group. */
		end = memchr(row.data + parent.len, '.', row.len - parent.len);
		row.len = end ? (size_t)(end - row.data) : row.len;
		distance = suggest_distance(name, slice_make(row.data + parent.len, row.len - parent.len));
		if (distance < shortest && suggest_is_near(name, distance)) {
			shortest = distance;
			nearest = row;
		}
	}
	if (!nearest.len)
		nearest = nearest_elsewhere(table, path);
	if (!nearest.len)
		return NULL;
	snprintf(out, OPTION_PATH_MAX, "%.*s", (int)nearest.len, (const char *)nearest.data);
	return out;
}
