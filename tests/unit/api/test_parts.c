/* Small parts: entity tags, places of errors, words of options, keys of databases. */
#include "api/answer.h"
#include "api/etag.h"
#include "api/option_page.h"
#include "control/keyspace.h"
#include "task/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_etags(void **state)
{
	int64_t revision = 0;

	(void)state;
	assert_int_equal(etag_parse("*", &revision), ETAG_ANY);
	assert_int_equal(etag_parse("\"17\"", &revision), ETAG_ONE);
	assert_int_equal(revision, 17);
	assert_int_equal(etag_parse("17", &revision), ETAG_NONE);
	assert_int_equal(etag_parse("W/\"17\"", &revision), ETAG_NONE);
	assert_int_equal(etag_parse("\"\"", &revision), ETAG_NONE);
	assert_int_equal(etag_parse("\"0\"", &revision), ETAG_NONE);
	assert_int_equal(etag_parse("\"1\", \"2\"", &revision), ETAG_NONE);
	assert_true(etag_matches("W/\"3\"", 3));
	assert_true(etag_matches("\"2\", \"3\"", 3));
	assert_true(etag_matches("*", 3));
	assert_false(etag_matches("\"33\"", 3));
	assert_false(etag_matches(NULL, 3));
}

/* Of errors as task documents really have them. */
static void test_places(void **state)
{
	static const struct {
		const char *document;
		unsigned line;
		const char *option;
	} cases[] = {
		{"name: a\nsource:\n  addres: x\n", 3, "source.addres"},
		{"name: a\nfilter:\n  allow:\n  - glob: a\n  - regex: \"(\"\n", 5, "filter.allow[1].regex"},
		{"name: a\nlimit:\n  spec: huge\n", 3, "limit.spec"},
		{"name: [\n", 2, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct task_options options;
		struct error error;
		char option[128];
		unsigned line;

		task_options_init(&options);
		assert_false(task_options_parse(&options, slice_of_string(cases[i].document), "document", &error));
		answer_place(error.text, &line, option);
		if (line != cases[i].line || strcmp(option, cases[i].option) != 0)
			fail_msg("%s: line %u, option '%s'", error.text, line, option);
		task_options_free(&options);
	}
}

/* Every option has its sentence in each language. */
static void check_language(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *sentence = json_string_value(json_object_get(row, "sentence"));
		bool chinese = false;

		for (const char *at = sentence; *at; at++)
			chinese |= (*at & 0x80) != 0;
		if (!chinese)
			fail_msg("option %s has no Chinese sentence in options_zh.c",
				 json_string_value(json_object_get(row, "path")));
		check_language(json_object_get(row, "items"));
	}
}

static void test_option_words(void **state)
{
	json_t *page = option_page("zh");

	(void)state;
	assert_true(json_array_size(json_object_get(page, "options")) > 50);
	check_language(json_object_get(page, "options"));
	json_decref(page);
	page = option_page("en");
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(page, "options"), 0), "path")),
			    "name");
	json_decref(page);
}

static void test_keyspace(void **state)
{
	struct keyspace keyspace = {.cluster = true};

	(void)state;
	assert_int_equal(
		keyspace_add_info(
			&keyspace,
			SLICE("# Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=0\r\ndb9:keys=5,expires=0,avg_ttl=0,subexpiry=0\r\n")),
		17);
	assert_int_equal(
		keyspace_add_info(&keyspace, SLICE("# Keyspace\r\ndb3:keys=1,expires=1\r\ndb0:keys=2,expires=1,avg_ttl=5\r\n")),
		3);
	assert_int_equal(keyspace.database_count, 3);
	assert_int_equal(keyspace.databases[0].keys, 14);
	assert_int_equal(keyspace.databases[0].expiring, 4);
	assert_int_equal(keyspace.databases[1].number, 3);
	assert_int_equal(keyspace.databases[2].number, 9);
	/* of no form that is known */
	assert_int_equal(
		keyspace_add_info(
			&keyspace,
			SLICE("db:keys=1\ndb99999:keys=4\ndb1:keys=\ndbx\n:keys=3\ndb2:keys=99999999999999999999999\n\n")),
		0);
	assert_int_equal(keyspace.database_count, 3);
	keyspace_free(&keyspace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_etags), cmocka_unit_test(test_places),
					   cmocka_unit_test(test_option_words), cmocka_unit_test(test_keyspace)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
