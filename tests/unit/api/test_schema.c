/* Schemas, and that the table of routes speaks of nothing that they do not have. */
#include "api/schema.h"

#include "api/api.h"
#include "api/openapi.h"
#include "api/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *components;

static int set_up(void **state)
{
	(void)state;
	components = schema_load();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(components);
	return 0;
}

static bool fits(const char *schema, const char *text, const char *pointer)
{
	json_t *value = json_loads(text, 0, NULL);
	struct schema_fault fault;
	bool ok;

	assert_non_null(value);
	ok = schema_check(components, schema, value, &fault);
	json_decref(value);
	if (!ok) {
		assert_true(fault.text[0]);
		assert_string_equal(fault.pointer, pointer ? pointer : "");
	}
	return ok;
}

static void test_bodies(void **state)
{
	(void)state;
	assert_true(fits("Limits", "{}", NULL));
	assert_true(fits("Limits", "{\"records_per_second\":0,\"bytes_per_second\":5}", NULL));
	assert_false(fits("Limits", "{\"records_per_second\":-1}", "/records_per_second"));
	assert_false(fits("Limits", "{\"records_per_second\":1.5}", "/records_per_second"));
	assert_false(fits("Limits", "{\"records_per_second\":\"1\"}", "/records_per_second"));
	assert_false(fits("Limits", "{\"x/y~z\":1}", "/x~1y~0z"));
	assert_true(fits("LogLevel", "{\"level\":\"debug\"}", NULL));
	assert_false(fits("LogLevel", "{\"level\":\"loud\"}", "/level"));
	assert_false(fits("LogLevel", "{}", ""));
	assert_false(fits("Login", "{\"token\":\"\"}", "/token"));
	assert_false(fits("TokenWish", "{\"name\":\"a\",\"role\":\"root\"}", "/role"));
	assert_false(fits("nothing", "{}", ""));
	assert_true(fits("Task", "{}", "") == false);
	assert_true(fits("JobView", "{\"running\":null,\"result\":null}", NULL));
	assert_false(fits("JobView", "{\"running\":5,\"result\":null}", "/running"));
}

/* A fault quotes nothing of the value. */
static void test_nothing_is_quoted(void **state)
{
	json_t *value = json_pack("{s:s, s:s}", "name", "a", "role", "S3cret");
	struct schema_fault fault;

	(void)state;
	assert_false(schema_check(components, "TokenWish", value, &fault));
	assert_null(strstr(fault.text, "S3cret"));
	json_decref(value);
}

static void test_long_names(void **state)
{
	char name[2000];
	json_t *value = json_object();
	struct schema_fault fault;

	(void)state;
	memset(name, '~', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	json_object_set_new(value, name, json_true());
	assert_false(schema_check(components, "Limits", value, &fault));
	assert_true(strlen(fault.pointer) < SCHEMA_POINTER_MAX);
	json_decref(value);
}

static bool known(const char *kind, const char *name)
{
	return json_object_get(json_object_get(components, kind), name) != NULL;
}

static void check_words(const json_t *schema)
{
	static const char *const words[] = {"type",     "enum",     "properties", "required",  "additionalProperties",
					    "items",    "minimum",  "maximum",    "minLength", "maxLength",
					    "maxItems", "$ref",     "anyOf",      "title",     "description",
					    "default",  "examples", "format"};
	const json_t *child;
	const char *word;
	size_t i;

	json_object_foreach ((json_t *)(uintptr_t)schema, word, child) {
		bool ok = false;

		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			ok |= strcmp(words[i], word) == 0;
		if (!ok)
			fail_msg("schemas.json uses '%s', which schema.c does not know", word);
	}
	json_object_foreach (json_object_get(schema, "properties"), word, child)
		check_words(child);
	json_array_foreach (json_object_get(schema, "anyOf"), i, child)
		check_words(child);
	if (json_object_get(schema, "items"))
		check_words(json_object_get(schema, "items"));
	if (json_object_get(schema, "$ref"))
		assert_true(
			known("schemas", json_string_value(json_object_get(schema, "$ref")) + strlen("#/components/schemas/")));
}

static void test_words(void **state)
{
	const json_t *schema;
	const char *name;

	(void)state;
	json_object_foreach (json_object_get(components, "schemas"), name, schema)
		check_words(schema);
}

static void test_routes(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &route_table[i];
		char list[128];

		assert_non_null(route->handle);
		assert_non_null(route->tag);
		assert_non_null(route->summary);
		assert_int_equal(route->body == BODY_JSON || route->body == BODY_OPTIONAL, route->schema != NULL);
		assert_true(!route->schema || known("schemas", route->schema));
		assert_true(!route->answer_schema || known("schemas", route->answer_schema));
		assert_int_equal(route->success == 204, route->types[0] == NULL);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(route->id, route_table[j].id);
			assert_false(strcmp(route->path, route_table[j].path) == 0 &&
				     strcmp(route->method, route_table[j].method) == 0);
		}
		/* Only what changes nothing may be a viewer's, but for one's own session. */
		if (strcmp(route->method, "GET") != 0 && !route->open && strcmp(route->path, "/api/v1/session") != 0)
			assert_true(route->role >= SERVICE_OPERATOR);
		snprintf(list, sizeof(list), "%s", route->parameters ? route->parameters : "");
		for (char *rest = list, *name; (name = strtok_r(rest, " ", &rest));)
			assert_true(known("parameters", name));
	}
}

static void test_document(void **state)
{
	char *text = openapi_make(components, "1.2.3");
	json_t *document = json_loads(text, 0, NULL);

	(void)state;
	assert_non_null(document);
	assert_non_null(
		json_object_get(json_object_get(json_object_get(document, "paths"), "/api/v1/tasks/{task}/document"), "put"));
	json_decref(document);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bodies),     cmocka_unit_test(test_nothing_is_quoted),
					   cmocka_unit_test(test_long_names), cmocka_unit_test(test_words),
					   cmocka_unit_test(test_routes),     cmocka_unit_test(test_document)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
