#include "cmd/reference.h"

#include "task/options_table.h"

#include <string.h>

#define TEXT_COLUMNS 78

/* "source.tls" belongs to the group "source", "name" to none. */
static size_t group_len(const struct option_row *row)
{
	const char *dot = strchr(row->path, '.');

	return dot ? (size_t)(dot - row->path) : 0;
}

/* Words wrapped to the terminal's usual width, each line after the indent. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = 0;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (column > 0 && indent + column + 1 + len > TEXT_COLUMNS) {
			fputc('\n', out);
			column = 0;
		}
		column += column > 0 ? fprintf(out, " %.*s", len, text) : fprintf(out, "%*s%.*s", indent, "", len, text) - indent;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

/* Of a rule's option its own name: "filter.allow[].prefix" is written as "prefix". */
static const char *last_name(const char *path)
{
	const char *rule = strstr(path, "[].");

	return rule ? rule + 3 : path;
}

static void print_text_row(FILE *out, const struct option_row *row)
{
	char takes[256], line[512];

	fprintf(out, "  %s\n", row->path);
	print_wrapped(out, row->sentence, 6);
	snprintf(line, sizeof(line), "takes: %s%s%s", option_describe(row, takes, sizeof(takes)), row->fallback ? "; default: " : "",
		row->fallback ? row->fallback : "");
	print_wrapped(out, line, 6);
	fprintf(out, "      example: %s: %s\n", last_name(row->path), row->example);
}

/* A table's cell ends at '|'. */
static void print_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_markdown_row(FILE *out, const struct option_row *row)
{
	char takes[256];

	fprintf(out, "| `%s` | ", row->path);
	print_cell(out, option_describe(row, takes, sizeof(takes)));
	if (row->fallback)
		fprintf(out, " | `%s` | ", row->fallback);
	else
		fprintf(out, " | | ");
	fprintf(out, "`%s: %s` | ", last_name(row->path), row->example);
	print_cell(out, row->sentence);
	fprintf(out, " |\n");
}

/* scdoc takes '_', '*', '\\', '<' and '>' as markup, '#' and '-' where a line begins. */
static void print_man_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '`')
			continue;
		if (strchr("_*\\<>#[]|", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_man_row(FILE *out, const struct option_row *row)
{
	char takes[256];

	fprintf(out, "*%s*\n\t", row->path);
	print_man_text(out, row->sentence);
	fprintf(out, "++\nTakes ");
	print_man_text(out, option_describe(row, takes, sizeof(takes)));
	if (row->fallback) {
		fprintf(out, "; default ");
		print_man_text(out, row->fallback);
	}
	fprintf(out, ". Example: ");
	print_man_text(out, row->example);
	fprintf(out, "\n\n");
}

static void print_group_title(FILE *out, enum reference_format format, const char *name, size_t len)
{
	const char *title = len > 0 ? name : "The task";
	int shown = len > 0 ? (int)len : (int)strlen(title);

	switch (format) {
	case REFERENCE_TEXT:
		fprintf(out, "\n%.*s\n", shown, title);
		break;
	case REFERENCE_MARKDOWN:
		fprintf(out, len > 0 ? "\n## `%.*s`\n\n" : "\n## %.*s\n\n", shown, title);
		fprintf(out, "| option | takes | default | example | what it does |\n| --- | --- | --- | --- | --- |\n");
		break;
	case REFERENCE_MAN:
		fprintf(out, "## %.*s\n\n", shown, title);
		break;
	}
}

/* A group's short form ("heartbeat: false") has no dot, but stands with its group. */
static bool belongs(const struct option_row *row, const char *group, size_t len)
{
	if (strncmp(row->path, group, len) != 0)
		return false;
	if (len > 0)
		return row->path[len] == '.' || row->path[len] == '\0';
	return group_len(row) == 0 && !option_has_below(&task_option_table, slice_of_string(row->path));
}

static void print_row(FILE *out, enum reference_format format, const struct option_row *row)
{
	if (format == REFERENCE_TEXT)
		print_text_row(out, row);
	else if (format == REFERENCE_MARKDOWN)
		print_markdown_row(out, row);
	else
		print_man_row(out, row);
}

/* The options of one rule of a list, below the list; of two lists of the same rules below the first. */
static void print_items(FILE *out, enum reference_format format, const struct option_row *row)
{
	if (row->type != OPTION_OBJECTS)
		return;
	for (const struct option_row *before = task_option_table.rows; before < row; before++)
		if (before->item_table == row->item_table)
			return;
	for (size_t i = 0; i < row->item_table->count; i++) {
		struct option_row item = row->item_table->rows[i];
		char path[OPTION_PATH_MAX];

		snprintf(path, sizeof(path), "%s[].%s", row->path, item.path);
		item.path = path;
		print_row(out, format, &item);
	}
}

static void print_group(FILE *out, enum reference_format format, const char *name, size_t len)
{
	print_group_title(out, format, name, len);
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];

		if (!belongs(row, name, len))
			continue;
		print_row(out, format, row);
		print_items(out, format, row);
	}
}

void reference_print(FILE *out, enum reference_format format)
{
	if (format == REFERENCE_MARKDOWN)
		fprintf(out, "# Options of a task document\n\n"
			"<!-- Made by `keyferry help options --format markdown`; tools/update-reference writes it. Do not edit. -->\n\n"
			"A task document is YAML, or JSON when it begins with `{`. `source.tls.ca` means the option `ca` in the mapping\n"
			"`tls` in the mapping `source`; on the command line it is `--set source.tls.ca=FILE`. Sizes take B, KiB, MiB,\n"
			"GiB, TiB (or KB, MB, GB, TB), durations ms, s, m, h, d. Only `source.address` and `target.address` must be\n"
			"given.\n");
	print_group(out, format, "", 0);
	for (size_t i = 0; i < task_option_table.count; i++) {
		const char *path = task_option_table.rows[i].path;
		size_t len = group_len(&task_option_table.rows[i]);
		bool seen = len == 0;

		for (size_t j = 0; j < i && !seen; j++)
			seen = group_len(&task_option_table.rows[j]) == len && strncmp(task_option_table.rows[j].path, path, len) == 0;
		if (!seen)
			print_group(out, format, path, len);
	}
}

bool reference_print_topic(FILE *out, const char *topic)
{
	size_t len = strlen(topic);
	bool found = false;

	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];

		if (len == 0 || strncmp(row->path, topic, len) != 0 || (row->path[len] != '\0' && row->path[len] != '.'))
			continue;
		print_text_row(out, row);
		print_items(out, REFERENCE_TEXT, row);
		found = true;
	}
	return found;
}
