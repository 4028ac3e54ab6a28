/* A table for people: columns as wide as their widest cell, counted as a terminal draws them (base/columns.h), two spaces between.
 *
 * A heading that begins with '>' is of a column of numbers, which stand to the right. Cells are made fit for a terminal: what servers and documents bring with them is not obeyed by it.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_CMD_TABLE_H
#define KEYFERRY_CMD_TABLE_H

#include "base/error.h"

#include <stddef.h>
#include <stdio.h>

enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_BUSY, TABLE_WAITING, TABLE_BAD };

struct table;

/* `headings` ends with NULL and outlives the table. */
struct table *table_new(const char *const *headings);
void table_free(struct table *table);
/* The next cell; after the last of a row a new row begins. Rows that are not full are filled up with nothing. */
void table_cell(struct table *table, enum table_colour colour, const char *format, ...) PRINTF_LIKE(3, 4);
size_t table_rows(const struct table *table);
/* `width`: lines are cut off there; 0: nowhere. */
void table_print(const struct table *table, FILE *out, bool colours, size_t width);

/* What a task's or link's state looks like. */
enum table_colour table_state_colour(const char *state);
/* "\033[32m", ...; "" for PLAIN. And the end of it. */
const char *table_colour_begin(enum table_colour colour);
const char *table_colour_end(enum table_colour colour);

#endif
