#include "task/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct document_node *parse(const char *text, struct error *error)
{
	error_clear(error);
	return document_parse(slice_of_string(text), "t", error);
}

static const struct document_node *child(const struct document_node *node, const char *key)
{
	for (const struct document_node *next = node->first; next; next = next->next)
		if (next->key && strcmp(next->key, key) == 0)
			return next;
	fail_msg("no '%s'", key);
	return NULL;
}

static void yaml_and_json_give_one_tree(void **state)
{
	static const char *const texts[] = {
		"name: a\n"
		"source:\n"
		"  address: ['x', \"y\"]\n"
		"  password: 0123\n"
		"  port: 1e3\n"
		"  tls: null\n"
		"snapshot: true\n",
		"{\"name\": \"a\",\n"
		" \"source\": {\n"
		"  \"address\": [ \"x\" , \"y\"],\n"
		"  \"password\": \"0123\",\n"
		"  \"port\": 1e3,\n"
		"  \"tls\": null},\n"
		" \"snapshot\": true}\n",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct error error;
		struct document_node *root = parse(texts[i], &error);
		const struct document_node *source, *address;

		assert_non_null(root);
		assert_int_equal(root->count, 3);
		assert_string_equal(child(root, "name")->text, "a");
		assert_int_equal(child(root, "name")->line, 1);
		source = child(root, "source");
		assert_int_equal(source->kind, DOCUMENT_MAP);
		assert_int_equal(source->line, 2);
		address = child(source, "address");
		assert_int_equal(address->kind, DOCUMENT_LIST);
		assert_int_equal(address->count, 2);
		assert_int_equal(address->line, 3);
		assert_string_equal(address->first->text, "x");
		assert_string_equal(address->last->text, "y");
		assert_string_equal(child(source, "password")->text, "0123");
		assert_int_equal(child(source, "password")->line, 4);
		assert_string_equal(child(source, "port")->text, "1e3"); /* as written */
		assert_int_equal(child(source, "tls")->kind, DOCUMENT_NULL);
		assert_int_equal(child(source, "tls")->line, 6);
		assert_string_equal(child(root, "snapshot")->text, "true");
		assert_int_equal(child(root, "snapshot")->line, 7);
		document_free(root);
	}
}

static void json_strings_keep_the_walk_in_step(void **state)
{
	struct error error;
	struct document_node *root = parse("{\"a\\\"]\": \"\\\\\", \"b\": [[], {}, \"],}\\\"\"],\n\"c\": \"\\u00e9\"}", &error);

	(void)state;
	assert_non_null(root);
	assert_string_equal(child(root, "a\"]")->text, "\\");
	assert_int_equal(child(root, "b")->count, 3);
	assert_string_equal(child(root, "b")->last->text, "],}\"");
	assert_string_equal(child(root, "c")->text, "\xc3\xa9");
	assert_int_equal(child(root, "c")->line, 2);
	document_free(root);
}

static void quoting_makes_text_of_null(void **state)
{
	struct error error;
	struct document_node *root = parse("a: ~\nb: '~'\nc:\nd: ''\ne: NULL\n", &error);

	(void)state;
	assert_non_null(root);
	assert_int_equal(child(root, "a")->kind, DOCUMENT_NULL);
	assert_string_equal(child(root, "b")->text, "~");
	assert_int_equal(child(root, "c")->kind, DOCUMENT_NULL);
	assert_string_equal(child(root, "d")->text, "");
	assert_int_equal(child(root, "e")->kind, DOCUMENT_NULL);
	document_free(root);
}

static void what_is_no_task_document_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{"", "t: the document is empty"},
		{"# nothing\n", "t: the document is empty"},
		{"hello", "t:1: a task document is a mapping of options, such as 'source: ...'"},
		{"- a\n", "t:1: a task document is a mapping of options, such as 'source: ...'"},
		{"a: 1\nb: 2\na: 3\n", "t:3: 'a' is given twice: first in line 1"},
		{"{\"a\": 1,\n\"a\": 2}", "t:2: not JSON: duplicate object key"},
		{"a: &x [b]\nc: *x\n", "t:2: aliases (*...) are not used in a task document: write the options out"},
		{"a:\n  <<: {b: c}\n", "t:2: merge keys (<<) are not used in a task document: write the options out"},
		{"a: !!str b\n", "t:1: tags (!...) are not used in a task document"},
		{"a: !x {b: c}\n", "t:1: tags (!...) are not used in a task document"},
		{"a: 1\n---\nb: 2\n", "t:2: a second document (---): one file describes one task"},
		{"[a]: b\n", "t:1: the name of an option is a word, not a list"},
		{"a: \"b\\0c\"\n", "t:1: a NUL character cannot be part of a text"},
		{"a: b\nc: \xff\n", "t:2: not YAML: invalid leading UTF-8 octet"},
		{"a: b\n\tc: d\n", NULL},
		{"a: [1\n", NULL},
		{"{\"a\": 1,\n \"b\": }", NULL},
		{"{\"a\": \"b\\u0000\"}", NULL},
		{"{\"a\": 99999999999999999999}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct error error;

		if (parse(wrong[i].text, &error))
			fail_msg("accepted: %s", wrong[i].text);
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_int_equal(strncmp(error.text, "t:", 2), 0);
		if (wrong[i].says)
			assert_string_equal(error.text, wrong[i].says);
	}
}

static void errors_quote_nothing(void **state)
{
	static const char *const texts[] = {
		"{\"password\": \"s3cret\" \"x\"}",
		"{\"password\": s3cret}",
		"{\"s3cret\": 1, \"s3cret\" 2}",
		"password: \"s3cret\n",
		"password: [s3cret\n",
		"password: *s3cret\n",
		"password: !s3cret x\n",
		"password: %s3cret\n",
		"password: s3cret: x\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error error;

		if (parse(texts[i], &error))
			fail_msg("accepted: %s", texts[i]);
		if (strstr(error.text, "s3cret") || strstr(error.hint, "s3cret"))
			fail_msg("shown: %s", error.text);
	}
}

/* `count` times `part`, then `end`. */
static char *repeat(const char *start, const char *part, size_t count, const char *end)
{
	static char text[DOCUMENT_BYTES_MAX + 4096];
	size_t at = (size_t)sprintf(text, "%s", start), len = strlen(part);

	for (size_t i = 0; i < count; i++, at += len)
		memcpy(text + at, part, len);
	strcpy(text + at, end);
	return text;
}

static void refused(const char *text, const char *says)
{
	struct error error;

	if (parse(text, &error))
		fail_msg("accepted, but: %s", says);
	if (!strstr(error.text, says))
		fail_msg("\"%s\" does not say: %s", error.text, says);
}

static void bounds_hold(void **state)
{
	struct document_node *root;
	struct error error;

	(void)state;
	refused(repeat("a: ", "[", 100, ""), "nested more than 16 deep");
	refused(repeat("{\"a\":", "[", 100, ""), "not JSON");
	refused(repeat("{\"a\":[[[[[[[[[[[[[[[[1]", "]", 15, "}"), "nested more than 16 deep");
	refused(repeat("a: [", "1,", DOCUMENT_NODES_MAX, "]"), "more than 10000 values");
	refused(repeat("a: ", "x", DOCUMENT_BYTES_MAX, ""), "larger than 1048576 bytes");
	root = parse(repeat("a: [", "1,", DOCUMENT_NODES_MAX - 2, "]"), &error);
	assert_non_null(root);
	document_free(root);
}

static void a_mapping_has_so_many_entries(void **state)
{
	static char text[64 * 1024];
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i <= DOCUMENT_ENTRIES_MAX; i++)
		at += (size_t)sprintf(text + at, "k%u: 1\n", i);
	refused(text, "t:257: a mapping has more than 256 entries");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_and_json_give_one_tree),   cmocka_unit_test(json_strings_keep_the_walk_in_step),
		cmocka_unit_test(quoting_makes_text_of_null),    cmocka_unit_test(what_is_no_task_document_is_refused),
		cmocka_unit_test(errors_quote_nothing),          cmocka_unit_test(bounds_hold),
		cmocka_unit_test(a_mapping_has_so_many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
