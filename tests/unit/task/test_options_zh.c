/* Every option has its sentence in Chinese, as it has one in English. */
#include "task/options_table.h"
#include "task/options_zh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check_row(const struct option_row *row, const char *path)
{
	const char *sentence = option_sentence_zh(path);
	size_t quotes = 0;

	if (!sentence)
		fail_msg("%s has no sentence in Chinese: add one to src/task/options_zh.c", path);
	if (row->kind && !option_kind_zh(row->kind))
		fail_msg("%s takes '%s', for which there are no Chinese words in src/task/options_zh.c", path, row->kind);
	/* It is Chinese: not all of it is ASCII, and its quotes are closed. */
	assert_int_not_equal(
		strspn(sentence,
		       "\t\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"),
		strlen(sentence));
	for (const char *at = sentence; *at; at++)
		quotes += *at == '`';
	assert_int_equal(quotes % 2, 0);
}

static void every_option_has_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];

		check_row(row, row->path);
		for (size_t j = 0; row->item_table && j < row->item_table->count; j++) {
			char path[OPTION_PATH_MAX];

			snprintf(path, sizeof(path), "%s[].%s", row->path, row->item_table->rows[j].path);
			check_row(&row->item_table->rows[j], path);
		}
	}
}

static void what_is_no_option_has_none(void **state)
{
	(void)state;
	assert_null(option_sentence_zh("nonsense"));
	assert_null(option_sentence_zh(""));
	assert_null(option_sentence_zh(".tls"));
	assert_null(option_kind_zh("nonsense"));
}

static void a_path_of_its_own_comes_first(void **state)
{
	(void)state;
	assert_string_equal(option_sentence_zh("filter.allow[].prefix"), option_sentence_zh("expiry[].prefix"));
	assert_string_not_equal(option_sentence_zh("rename[].prefix"), option_sentence_zh("expiry[].prefix"));
	assert_string_equal(option_sentence_zh("source.tls.ca"), option_sentence_zh("target.sentinel.tls.ca"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_has_a_sentence),
		cmocka_unit_test(what_is_no_option_has_none),
		cmocka_unit_test(a_path_of_its_own_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
