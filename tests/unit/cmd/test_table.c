#include "cmd/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const headings[] = {"NAME", ">KEYS", "STATE", NULL};

static char *print(const struct table *table, bool colours, size_t width)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	table_print(table, out, colours, width);
	fclose(out);
	return text;
}

static struct table *make(void)
{
	struct table *table = table_new(headings);

	table_cell(table, TABLE_PLAIN, "订单");
	table_cell(table, TABLE_PLAIN, "%d", 12345);
	table_cell(table, TABLE_GOOD, "streaming");
	table_cell(table, TABLE_PLAIN, "users");
	table_cell(table, TABLE_PLAIN, "7");
	table_cell(table, TABLE_BAD, "gone\033[2J");
	return table;
}

static void expect(const struct table *table, bool colours, size_t width, const char *expected)
{
	char *text = print(table, colours, width);

	assert_string_equal(text, expected);
	free(text);
}

static void columns_are_aligned(void **state)
{
	struct table *table = make();

	(void)state;
	assert_int_equal(table_rows(table), 2);
	expect(table, false, 0, "NAME    KEYS  STATE\n订单   12345  streaming\nusers      7  gone [2J\n");
	expect(table, true, 0,
	       "NAME    KEYS  STATE\n订单   12345  \033[32mstreaming\033[0m\nusers      7  \033[31mgone [2J\033[0m\n");
	table_free(table);
}

static void lines_end_at_the_edge(void **state)
{
	struct table *table = make();

	(void)state;
	expect(table, false, 18, "NAME    KEYS  STAT\n订单   12345  stre\nusers      7  gone\n");
	expect(table, false, 3, "NAM\n订\nuse\n");
	table_free(table);
}

static void rows_need_not_be_full(void **state)
{
	struct table *table = table_new(headings);

	(void)state;
	expect(table, false, 0, "NAME  KEYS  STATE\n");
	table_cell(table, TABLE_PLAIN, "a");
	expect(table, false, 0, "NAME  KEYS  STATE\na           \n");
	table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned),
		cmocka_unit_test(lines_end_at_the_edge),
		cmocka_unit_test(rows_need_not_be_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
