#include "cmd/table.h"

#include "base/columns.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

struct cell {
	char *text;
	enum table_colour colour;
};

struct table {
	const char *const *headings;
	size_t columns, count, cap; /* cells */
	struct cell *cells;
};

struct table *table_new(const char *const *headings)
{
	struct table *table = memory_alloc_zero(1, sizeof(*table));

	table->headings = headings;
	while (headings[table->columns])
		table->columns++;
	return table;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

void table_cell(struct table *table, enum table_colour colour, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = memory_strdup("?");
	va_end(arguments);
	columns_clean(text);
	if (table->count == table->cap) {
		table->cap = table->cap ? table->cap * 2 : 64;
		table->cells = memory_realloc(table->cells, table->cap * sizeof(*table->cells));
	}
	table->cells[table->count++] = (struct cell){text, colour};
}

size_t table_rows(const struct table *table)
{
	return table->columns > 0 ? (table->count + table->columns - 1) / table->columns : 0;
}

static bool is_right(const struct table *table, size_t column)
{
	return table->headings[column][0] == '>';
}

static const char *heading_of(const struct table *table, size_t column)
{
	return table->headings[column] + is_right(table, column);
}

static void print_spaces(FILE *out, size_t count)
{
	while (count-- > 0)
		putc(' ', out);
}

/* *left: columns that the line still has. */
static void print_cell(FILE *out, const char *text, enum table_colour colour, size_t width, bool right, bool last, bool colours,
		       size_t *left)
{
	size_t fits = columns_fit(text, *left), used = columns_of(text), pad = width > used ? width - used : 0;

	if (right && pad + used <= *left)
		print_spaces(out, pad);
	if (text[0])
		fprintf(out, "%s%.*s%s", colours ? table_colour_begin(colour) : "", (int)fits, text,
			colours ? table_colour_end(colour) : "");
	if (!right && !last && used + pad < *left)
		print_spaces(out, pad);
	if (!last && used + pad + GAP < *left)
		print_spaces(out, GAP);
	*left = used + pad + GAP < *left ? *left - used - pad - GAP : 0;
}

void table_print(const struct table *table, FILE *out, bool colours, size_t width)
{
	size_t *widths = memory_alloc_zero(table->columns, sizeof(*widths));

	for (size_t column = 0; column < table->columns; column++) {
		widths[column] = columns_of(heading_of(table, column));
		for (size_t i = column; i < table->count; i += table->columns) {
			size_t used = columns_of(table->cells[i].text);

			widths[column] = used > widths[column] ? used : widths[column];
		}
	}
	for (size_t row = 0; row <= table_rows(table); row++) {
		size_t left = width ? width : SIZE_MAX;

		for (size_t column = 0; column < table->columns && left > 0; column++) {
			size_t at = row > 0 ? (row - 1) * table->columns + column : 0;
			const struct cell *cell = row > 0 && at < table->count ? &table->cells[at] : NULL;

			print_cell(out,
				   row == 0 ? heading_of(table, column)
				   : cell   ? cell->text
					    : "",
				   cell ? cell->colour : TABLE_PLAIN, widths[column], is_right(table, column),
				   column + 1 == table->columns, colours, &left);
		}
		putc('\n', out);
	}
	free(widths);
}

enum table_colour table_state_colour(const char *state)
{
	static const struct {
		const char *name;
		enum table_colour colour;
	} colours[] = {
		{"streaming", TABLE_GOOD},      {"finished", TABLE_GOOD},   {"ready", TABLE_PLAIN},
		{"created", TABLE_PLAIN},       {"snapshot", TABLE_BUSY},   {"prechecking", TABLE_BUSY},
		{"starting", TABLE_BUSY},       {"connecting", TABLE_BUSY}, {"stopping", TABLE_WAITING},
		{"stopped", TABLE_WAITING},     {"paused", TABLE_WAITING},  {"failed", TABLE_BAD},
		{"precheck-failed", TABLE_BAD},
	};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		if (strcmp(state, colours[i].name) == 0)
			return colours[i].colour;
	return TABLE_PLAIN;
}

const char *table_colour_begin(enum table_colour colour)
{
	static const char *const codes[] = {[TABLE_PLAIN] = "",
					    [TABLE_GOOD] = "\033[32m",
					    [TABLE_BUSY] = "\033[36m",
					    [TABLE_WAITING] = "\033[33m",
					    [TABLE_BAD] = "\033[31m"};

	return codes[colour];
}

const char *table_colour_end(enum table_colour colour)
{
	return colour == TABLE_PLAIN ? "" : "\033[0m";
}
