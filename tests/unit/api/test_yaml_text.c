/* JSON as YAML: read again by the reader of task documents it is the same. */
#include "api/yaml_text.h"

#include "task/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_form(void **state)
{
	json_t *tree = json_loads(
		"{\"name\":\"orders\",\"source\":{\"address\":[\"10.0.0.1:6379\",\"b\"],\"tls\":{\"ca\":\"/etc/ca.pem\"}},\"snapshot\":true,\"n\":5,"
		"\"filter\":{\"allow\":[{\"prefix\":\"user:\",\"type\":[\"hash\"]},{\"glob\":\"*\"}],\"block\":[]},\"odd key\":\"no\",\"x\":{}}",
		0, NULL);
	char *text = yaml_text(tree);

	(void)state;
	assert_string_equal(text, "name: orders\n"
				  "source:\n"
				  "  address:\n"
				  "    - \"10.0.0.1:6379\"\n"
				  "    - b\n"
				  "  tls:\n"
				  "    ca: /etc/ca.pem\n"
				  "snapshot: true\n"
				  "\"n\": 5\n"
				  "filter:\n"
				  "  allow:\n"
				  "    - prefix: \"user:\"\n"
				  "      type:\n"
				  "        - hash\n"
				  "    - glob: \"*\"\n"
				  "  block: []\n"
				  "\"odd key\": \"no\"\n"
				  "x: {}\n");
	free(text);
	json_decref(tree);
}

static void test_read_again(void **state)
{
	json_t *tree = json_pack("{s:s, s:{s:s, s:s}, s:{s:s}, s:{s:[{s:[s, s]}]}}", "name", "orders", "source", "address",
				 "10.0.0.1:6379", "password", "- ugly: \"'#\\\n\t\xc3\xa9 |", "target", "address",
				 "10.0.0.2:6379", "filter", "block", "key", "~", "0x10");
	char *text = yaml_text(tree);
	struct task_options options;
	struct error error;

	(void)state;
	task_options_init(&options);
	assert_true(task_options_parse(&options, slice_of_string(text), "test", &error));
	assert_string_equal(options.source.credentials.password, "- ugly: \"'#\\\n\t\xc3\xa9 |");
	assert_int_equal(options.block.count, 1);
	task_options_free(&options);
	free(text);
	json_decref(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_form), cmocka_unit_test(test_read_again)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
