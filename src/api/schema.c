#include "api/schema.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Generated of schemas.json. */
extern const char api_schemas_json[];

struct check {
	const json_t *components;
	struct schema_fault *fault;
};

json_t *schema_load(void)
{
	json_error_t problem;
	json_t *components = json_loads(api_schemas_json, JSON_REJECT_DUPLICATES, &problem);

	if (!components) {
		fprintf(stderr, "keyferry: schemas.json:%d: %s\n", problem.line, problem.text);
		abort();
	}
	return components;
}

static bool fail(struct check *check, const char *text)
{
	snprintf(check->fault->text, sizeof(check->fault->text), "%s", text);
	return false;
}

static const json_t *resolve(const struct check *check, const json_t *schema)
{
	static const char prefix[] = "#/components/schemas/";
	const char *name = json_string_value(json_object_get(schema, "$ref"));

	if (!name)
		return schema;
	return json_object_get(json_object_get(check->components, "schemas"), name + sizeof(prefix) - 1);
}

static bool is_type(const json_t *value, const char *type)
{
	switch (type[0]) {
	case 'o': return json_is_object(value);
	case 'a': return json_is_array(value);
	case 's': return json_is_string(value);
	case 'i': return json_is_integer(value);
	case 'b': return json_is_boolean(value);
	default: return strcmp(type, "null") == 0 ? json_is_null(value) : json_is_number(value);
	}
}

static bool check_type(struct check *check, const json_t *type, const json_t *value)
{
	char words[96] = "", text[128];
	const json_t *one;
	size_t i;

	if (!type || (json_is_string(type) && is_type(value, json_string_value(type))))
		return true;
	json_array_foreach (type, i, one)
		if (is_type(value, json_string_value(one)))
			return true;
	json_array_foreach (type, i, one)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", i ? " or " : "", json_string_value(one));
	snprintf(text, sizeof(text), "it has to be of type %s", json_is_string(type) ? json_string_value(type) : words);
	return fail(check, text);
}

static bool check_enum(struct check *check, const json_t *words, const json_t *value)
{
	char text[256] = "it has to be one of:";
	const json_t *word;
	size_t i;

	if (!words)
		return true;
	json_array_foreach (words, i, word)
		if (json_equal(word, value))
			return true;
	json_array_foreach (words, i, word)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s", i ? "," : "",
			 json_is_string(word) ? json_string_value(word) : "null");
	return fail(check, text);
}

static bool check_bounds(struct check *check, const json_t *schema, const json_t *value)
{
	const json_t *low = json_object_get(schema, "minimum"), *high = json_object_get(schema, "maximum");
	char text[128];

	if (json_is_number(value) && ((low && json_number_value(value) < json_number_value(low)) ||
				      (high && json_number_value(value) > json_number_value(high)))) {
		snprintf(text, sizeof(text), "it is out of bounds: at least %g%s", low ? json_number_value(low) : 0,
			 high ? ", and not above its maximum" : "");
		return fail(check, text);
	}
	low = json_object_get(schema, "minLength");
	high = json_object_get(schema, "maxLength");
	if (json_is_string(value) && low && json_string_length(value) < (size_t)json_integer_value(low))
		return fail(check, "the text is too short");
	if (json_is_string(value) && high && json_string_length(value) > (size_t)json_integer_value(high))
		return fail(check, "the text is too long");
	high = json_object_get(schema, "maxItems");
	if (json_is_array(value) && high && json_array_size(value) > (size_t)json_integer_value(high))
		return fail(check, "the list is too long");
	return true;
}

static bool check_value(struct check *check, const json_t *schema, const json_t *value, unsigned depth);

/* The member's check with its name at the end of the pointer; '~' and '/' are escaped as RFC 6901 says. */
static bool check_below(struct check *check, const json_t *schema, const char *name, const json_t *value, unsigned depth)
{
	size_t at = strlen(check->fault->pointer), begin = at;

	check->fault->pointer[at++] = '/';
	for (; *name && at + 3 < SCHEMA_POINTER_MAX; name++) {
		if (*name == '~' || *name == '/') {
			check->fault->pointer[at++] = '~';
			check->fault->pointer[at++] = *name == '~' ? '0' : '1';
		} else {
			check->fault->pointer[at++] = *name;
		}
	}
	check->fault->pointer[at] = '\0';
	if (!schema)
		return fail(check, "there is no such member");
	if (!check_value(check, schema, value, depth + 1))
		return false;
	check->fault->pointer[begin] = '\0';
	return true;
}

static bool check_object(struct check *check, const json_t *schema, const json_t *value, unsigned depth)
{
	const json_t *properties = json_object_get(schema, "properties"),
		     *others = json_object_get(schema, "additionalProperties");
	const json_t *name_value, *member;
	const char *name;
	char text[128];
	size_t i;

	json_array_foreach (json_object_get(schema, "required"), i, name_value) {
		if (!json_object_get(value, json_string_value(name_value))) {
			snprintf(text, sizeof(text), "'%s' is missing", json_string_value(name_value));
			return fail(check, text);
		}
	}
	/* Reading alone; Jansson's macro wants a pointer that may write. */
	json_object_foreach ((json_t *)(uintptr_t)value, name, member) {
		const json_t *rule = json_object_get(properties, name);

		if (!rule && !json_is_false(others) && !json_is_object(others))
			continue;
		if (!rule)
			rule = json_is_object(others) ? others : NULL;
		if (!check_below(check, rule, name, member, depth))
			return false;
	}
	return true;
}

static bool check_array(struct check *check, const json_t *schema, const json_t *value, unsigned depth)
{
	const json_t *rule = json_object_get(schema, "items"), *item;
	char name[24];
	size_t i;

	json_array_foreach (value, i, item) {
		snprintf(name, sizeof(name), "%zu", i);
		if (rule && !check_below(check, rule, name, item, depth))
			return false;
	}
	return true;
}

static bool check_value(struct check *check, const json_t *schema, const json_t *value, unsigned depth)
{
	const json_t *choices, *choice;
	size_t i;

	if (depth > SCHEMA_DEPTH_MAX)
		return fail(check, "it is nested too deep");
	schema = resolve(check, schema);
	if (!check_type(check, json_object_get(schema, "type"), value) ||
	    !check_enum(check, json_object_get(schema, "enum"), value) || !check_bounds(check, schema, value))
		return false;
	choices = json_object_get(schema, "anyOf");
	json_array_foreach (choices, i, choice) {
		if (check_value(check, choice, value, depth + 1))
			break;
	}
	if (choices && i == json_array_size(choices))
		return false;
	if (json_is_object(value))
		return check_object(check, schema, value, depth);
	return !json_is_array(value) || check_array(check, schema, value, depth);
}

bool schema_check_by(const json_t *components, const json_t *schema, const json_t *value, struct schema_fault *ret)
{
	struct check check = {components, ret};

	ret->pointer[0] = '\0';
	ret->text[0] = '\0';
	return schema ? check_value(&check, schema, value, 0) : fail(&check, "the API has no such schema");
}

bool schema_check(const json_t *components, const char *name, const json_t *value, struct schema_fault *ret)
{
	return schema_check_by(components, json_object_get(json_object_get(components, "schemas"), name), value, ret);
}
