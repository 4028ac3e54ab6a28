/* Metrics of several processes on one page: each family once, its samples together, and nothing of what is none. */
#include "control/exposition.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct exposition page;

static int set_up(void **state)
{
	(void)state;
	exposition_begin(&page);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	exposition_free(&page);
	return 0;
}

static void merge(const char *families, const char *task)
{
	json_t *tree = json_loads(families, JSON_DECODE_ANY, NULL);

	assert_non_null(tree);
	exposition_merge(&page, tree, task);
	json_decref(tree);
}

static void expect(const char *text)
{
	char *made = exposition_text(&page, false);

	assert_string_equal(made, text);
	free(made);
}

static void test_families_stand_together(void **state)
{
	(void)state;
	exposition_family(&page, METRIC_GAUGE, "process_threads", "Threads");
	exposition_put(&page, "", 3, NULL);
	merge("{\"keyferry_a\": {\"type\": \"counter\", \"help\": \"A\", \"samples\": [[\"\", 1, \"task\", \"one\", \"link\", \"x\"]]},"
	      " \"process_threads\": {\"type\": \"gauge\", \"help\": \"Threads\", \"samples\": [[\"\", 7]]}}",
	      "one");
	merge("{\"keyferry_b\": {\"type\": \"info\", \"help\": \"B\", \"samples\": [[\"\", 1, \"version\", \"2\"]]},"
	      " \"keyferry_a\": {\"type\": \"counter\", \"help\": \"of a later version\", \"samples\": [[\"\", 2.5, \"task\", \"not its own\", \"link\", \"x\"]]}}",
	      "two");
	expect("# HELP process_threads Threads\n# TYPE process_threads gauge\nprocess_threads 3\nprocess_threads{task=\"one\"} 7\n"
	       "# HELP keyferry_a_total A\n# TYPE keyferry_a_total counter\nkeyferry_a_total{task=\"one\",link=\"x\"} 1\nkeyferry_a_total{task=\"two\",link=\"x\"} 2.5\n"
	       "# HELP keyferry_b_info B\n# TYPE keyferry_b_info gauge\nkeyferry_b_info{task=\"two\",version=\"2\"} 1\n");
}

/* What another version of the program, or a broken one, may say. */
static void test_what_is_none(void **state)
{
	static const char *const families[] = {
		"[]",
		"1",
		"null",
		"{\"keyferry_a\": null}",
		"{\"keyferry_a\": {\"type\": \"summary\", \"help\": \"\", \"samples\": [[\"\", 1]]}}",
		"{\"keyferry_a\": {\"type\": \"gauge\", \"samples\": [[\"\", 1]]}}",
		"{\"keyferry_a\": {\"type\": \"gauge\", \"help\": \"x\\ny 1\", \"samples\": [[\"\", 1]]}}",
		"{\"\": {\"type\": \"gauge\", \"help\": \"\", \"samples\": [[\"\", 1]]}}",
		"{\"a b\": {\"type\": \"gauge\", \"help\": \"\", \"samples\": [[\"\", 1]]}}",
		"{\"process_threads\": {\"type\": \"counter\", \"help\": \"\", \"samples\": [[\"\", 1]]}}",
		"{\"process_threads\": {\"type\": \"gauge\", \"help\": \"\", \"samples\": [null, 1, [], [\"\"], [\"\", null], [\"\", 1, \"x\"], [\"\", 1, \"x y\", \"z\"], [\"\", 1, \"x\", 2], [\"_no\", 1], [3, 1]]}}",
		"{\"process_threads\": {\"type\": \"gauge\", \"help\": \"\", \"samples\": {\"a\": 1}}}",
	};

	(void)state;
	exposition_family(&page, METRIC_GAUGE, "process_threads", "Threads");
	exposition_put(&page, "", 3, NULL);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		merge(families[i], "one");
	expect("# HELP process_threads Threads\n# TYPE process_threads gauge\nprocess_threads 3\n");
}

static void test_texts(void **state)
{
	char text[700], *made;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text + 317, "\xe4\xb8\xad", 3); /* one character, across the cut */
	exposition_family(&page, METRIC_GAUGE, "keyferry_a", "A");
	exposition_put(&page, "", 1, "a", "\\ \" \n", "b", "\xff\xc3\xa4", NULL);
	exposition_put(&page, "", NAN, NULL);
	exposition_put(&page, "", INFINITY, NULL);
	exposition_put(&page, "", 1e300, "a", text, NULL);
	made = exposition_text(&page, false);
	assert_non_null(strstr(made, "gauge\nkeyferry_a{a=\"\\\\ \\\"  \",b=\"???\"} 1\nkeyferry_a{a=\"xx"));
	assert_non_null(strstr(made, "xx\"} 1.0000000000000001e+300\n"));
	assert_null(strstr(made, "\xe4"));
	free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_families_stand_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
