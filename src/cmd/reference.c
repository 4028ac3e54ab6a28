#include "cmd/reference.h"

#include "task/options_table.h"
#include "task/options_zh.h"

#include <string.h>

#define TEXT_COLUMNS 78
#define TAKES_MAX 256

/* What stands around the table's own words. */
static const struct words {
	const char *task;                              /* heading of the options that belong to no group */
	const char *takes, *fallback, *example, *stop; /* of a row */
	const char *heading;                           /* of a table's columns */
	const char *introduction;                      /* of the page */
} words[LANGUAGES] = {
	[LANGUAGE_EN] =
		{
			"The task",
			"Takes ",
			"; default ",
			"Example: ",
			". ",
			"| option | takes | default | example | what it does |",
			"# Options of a task document\n\n"
			"<!-- Made by `keyferry help options --format markdown`; tools/update-reference writes it. Do not edit. -->\n\n"
			"[中文](zh/options.md)\n\n"
			"A task document is YAML, or JSON when it begins with `{`. `source.tls.ca` means the option `ca` in the mapping\n"
			"`tls` in the mapping `source`; on the command line it is `--set source.tls.ca=FILE`. Sizes take B, KiB, MiB,\n"
			"GiB, TiB (or KB, MB, GB, TB), durations ms, s, m, h, d. Only `source.address` and `target.address` must be\n"
			"given.\n",
		},
	[LANGUAGE_ZH] =
		{
			"任务",
			"取值：",
			"；默认：",
			"示例：",
			"。",
			"| 选项 | 取值 | 默认 | 示例 | 作用 |",
			"# 任务文档的选项\n\n"
			"<!-- 由 `keyferry help options --format markdown --lang zh` 生成，tools/update-reference 写入。请勿手工修改。 -->\n\n"
			"[English](../options.md)\n\n"
			"任务文档是 YAML；以 `{` 开头时是 JSON。`source.tls.ca` 表示映射 `source` 中的映射 `tls` 中的选项 `ca`，在命令行上写作 `--set source.tls.ca=FILE`。\n"
			"大小的单位是 B、KiB、MiB、GiB、TiB（或 KB、MB、GB、TB），时长的单位是 ms、s、m、h、d。只有 `source.address` 和 `target.address` 必须写出。\n",
		},
};

/* What is printed, where and how. */
struct reference {
	FILE *out;
	enum reference_format format;
	enum language language;
};

static const char *sentence_of(const struct reference *reference, const struct option_row *row)
{
	const char *sentence = reference->language == LANGUAGE_ZH ? option_sentence_zh(row->path) : NULL;

	return sentence ? sentence : row->sentence;
}

static const char *takes_of(const struct reference *reference, const struct option_row *row, char out[TAKES_MAX])
{
	struct option_row translated = *row;

	if (reference->language == LANGUAGE_ZH && row->kind && option_kind_zh(row->kind))
		translated.kind = option_kind_zh(row->kind);
	return option_describe(&translated, out, TAKES_MAX);
}

/* "source.tls" belongs to the group "source", "name" to none. */
static size_t group_len(const struct option_row *row)
{
	const char *dot = strchr(row->path, '.');

	return dot ? (size_t)(dot - row->path) : 0;
}

/* Bytes of the character at text, which is valid UTF-8. */
static size_t character_len(const char *text)
{
	unsigned char first = (unsigned char)*text;

	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Chinese punctuation that no line begins with. */
static bool ends_word(const char *text)
{
	static const char *const marks[] = {"，", "。", "；", "：", "、", "）", "”"};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strncmp(text, marks[i], strlen(marks[i])) == 0)
			return true;
	return false;
}

/* What must stay in one line: a word of Latin letters, or one Chinese character, with the punctuation behind it. Its bytes; *columns: what a terminal gives it. */
static size_t word_len(const char *text, size_t *columns)
{
	size_t len = 0;

	*columns = 0;
	if ((unsigned char)*text >= 0x80) {
		len = character_len(text);
		*columns = 2;
	} else {
		len = strcspn(text, " ");
		for (size_t i = 0; i < len; i++) {
			if ((unsigned char)text[i] >= 0x80)
				len = i;
		}
		*columns = len;
	}
	while (ends_word(text + len)) {
		len += character_len(text + len);
		*columns += 2;
	}
	return len;
}

/* Words wrapped to the terminal's usual width, each line after the indent. */
static void print_wrapped(FILE *out, const char *text, size_t indent)
{
	size_t at = 0, columns;

	while (*text) {
		size_t blank = *text == ' ';
		size_t len = word_len(text + blank, &columns);

		if (at > 0 && at + blank + columns > TEXT_COLUMNS) {
			fputc('\n', out);
			at = 0;
		}
		if (at == 0) {
			fprintf(out, "%*s", (int)indent, "");
			at = indent;
		} else if (blank) {
			fputc(' ', out);
			at++;
		}
		fwrite(text + blank, 1, len, out);
		at += columns;
		text += blank + len;
	}
	fputc('\n', out);
}

/* Of a rule's option its own name: "filter.allow[].prefix" is written as "prefix". */
static const char *last_name(const char *path)
{
	const char *rule = strstr(path, "[].");

	return rule ? rule + 3 : path;
}

static void print_text_row(const struct reference *reference, const struct option_row *row)
{
	const struct words *around = &words[reference->language];
	char takes[TAKES_MAX], line[512];

	fprintf(reference->out, "  %s\n", row->path);
	print_wrapped(reference->out, sentence_of(reference, row), 6);
	snprintf(line, sizeof(line), "%s%s%s%s", around->takes, takes_of(reference, row, takes),
		 row->fallback ? around->fallback : "", row->fallback ? row->fallback : "");
	print_wrapped(reference->out, line, 6);
	fprintf(reference->out, "      %s%s: %s\n", around->example, last_name(row->path), row->example);
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

static void print_markdown_row(const struct reference *reference, const struct option_row *row)
{
	FILE *out = reference->out;
	char takes[TAKES_MAX];

	fprintf(out, "| `%s` | ", row->path);
	print_cell(out, takes_of(reference, row, takes));
	if (row->fallback)
		fprintf(out, " | `%s` | ", row->fallback);
	else
		fprintf(out, " | | ");
	fprintf(out, "`%s: %s` | ", last_name(row->path), row->example);
	print_cell(out, sentence_of(reference, row));
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

static void print_man_row(const struct reference *reference, const struct option_row *row)
{
	const struct words *around = &words[reference->language];
	FILE *out = reference->out;
	char takes[TAKES_MAX];

	fprintf(out, "*%s*\n\t", row->path);
	print_man_text(out, sentence_of(reference, row));
	fprintf(out, "++\n");
	print_man_text(out, around->takes);
	print_man_text(out, takes_of(reference, row, takes));
	if (row->fallback) {
		print_man_text(out, around->fallback);
		print_man_text(out, row->fallback);
	}
	fprintf(out, "%s%s", around->stop, around->example);
	print_man_text(out, row->example);
	fprintf(out, "\n\n");
}

static void print_group_title(const struct reference *reference, const char *name, size_t len)
{
	const char *title = len > 0 ? name : words[reference->language].task;
	int shown = len > 0 ? (int)len : (int)strlen(title);
	FILE *out = reference->out;

	switch (reference->format) {
	case REFERENCE_TEXT: fprintf(out, "\n%.*s\n", shown, title); break;
	case REFERENCE_MARKDOWN:
		fprintf(out, len > 0 ? "\n## `%.*s`\n\n" : "\n## %.*s\n\n", shown, title);
		fprintf(out, "%s\n| --- | --- | --- | --- | --- |\n", words[reference->language].heading);
		break;
	case REFERENCE_MAN: fprintf(out, "## %.*s\n\n", shown, title); break;
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

static void print_row(const struct reference *reference, const struct option_row *row)
{
	if (reference->format == REFERENCE_TEXT)
		print_text_row(reference, row);
	else if (reference->format == REFERENCE_MARKDOWN)
		print_markdown_row(reference, row);
	else
		print_man_row(reference, row);
}

/* The options of one rule of a list, below the list; of two lists of the same rules below the first. */
static void print_items(const struct reference *reference, const struct option_row *row)
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
		print_row(reference, &item);
	}
}

static void print_group(const struct reference *reference, const char *name, size_t len)
{
	print_group_title(reference, name, len);
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];

		if (!belongs(row, name, len))
			continue;
		print_row(reference, row);
		print_items(reference, row);
	}
}

void reference_print(FILE *out, enum reference_format format, enum language language)
{
	const struct reference reference = {out, format, language};

	if (format == REFERENCE_MARKDOWN)
		fprintf(out, "%s", words[language].introduction);
	print_group(&reference, "", 0);
	for (size_t i = 0; i < task_option_table.count; i++) {
		const char *path = task_option_table.rows[i].path;
		size_t len = group_len(&task_option_table.rows[i]);
		bool seen = len == 0;

		for (size_t j = 0; j < i && !seen; j++)
			seen = group_len(&task_option_table.rows[j]) == len &&
			       strncmp(task_option_table.rows[j].path, path, len) == 0;
		if (!seen)
			print_group(&reference, path, len);
	}
}

bool reference_print_topic(FILE *out, const char *topic, enum language language)
{
	const struct reference reference = {out, REFERENCE_TEXT, language};
	size_t len = strlen(topic);
	bool found = false;

	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];

		if (len == 0 || strncmp(row->path, topic, len) != 0 || (row->path[len] != '\0' && row->path[len] != '.'))
			continue;
		print_text_row(&reference, row);
		print_items(&reference, row);
		found = true;
	}
	return found;
}
