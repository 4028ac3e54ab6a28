#include "precheck/page.h"

#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "precheck/finding.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_MAX (64u << 20)
#define COLUMNS 5

static const struct {
	const char *waived, *heading[COLUMNS], *summary;
} words[LANGUAGES] = {
	[LANGUAGE_EN] = {"waived",
			 {"RESULT", "ITEM", "SIDE", "NODE", "MEASURED"},
			 "%d passed, %d skipped, %d warnings, %d failed, %d waived\n"},
	[LANGUAGE_ZH] = {"已豁免", {"结果", "检查项", "端", "节点", "测得"}, "通过 %d，跳过 %d，警告 %d，失败 %d，豁免 %d\n"},
};

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static const char *result_word(const json_t *item, enum language language)
{
	const char *name = text_of(item, "result");

	if (json_is_true(json_object_get(item, "waived")))
		return words[language].waived;
	for (enum precheck_result result = 0; name && result < PRECHECK_RESULTS; result++)
		if (strcmp(name, precheck_result_name(result)) == 0)
			return precheck_result_word(result, language);
	return name ? name : "-";
}

static const char *side_word(const json_t *item, enum language language)
{
	const char *name = text_of(item, "side");

	for (enum precheck_side side = PRECHECK_SOURCE; name && side <= PRECHECK_HERE; side++)
		if (strcmp(name, precheck_side_name(side)) == 0)
			return precheck_side_word(side, language);
	return name ? name : "-";
}

static const char *cell_of(const json_t *item, enum language language, unsigned column)
{
	static const char *const names[COLUMNS] = {NULL, "item", NULL, "node", "measured"};
	const char *text = column == 0   ? result_word(item, language)
			   : column == 2 ? side_word(item, language)
					 : text_of(item, names[column]);

	return text ? text : "-";
}

/* Of a page that is full, what more there is is left out. */
static void put(struct buffer *out, const char *text)
{
	if (!buffer_append(out, text, strlen(text)))
		return;
}

/* What servers have said may hold anything. */
static void put_clean(struct buffer *out, const char *text)
{
	char *clean = memory_strdup(text);

	columns_clean(clean);
	put(out, clean);
	free(clean);
}

static void put_cell(struct buffer *out, const char *text, size_t width)
{
	put_clean(out, text);
	for (size_t used = columns_of(text); used < width; used++)
		put(out, " ");
	put(out, "  ");
}

static void put_sentence(struct buffer *out, const char *indent, const char *text)
{
	if (!text)
		return;
	put(out, indent);
	put_clean(out, text);
	put(out, "\n");
}

static void put_item(struct buffer *out, const json_t *item, enum language language, const size_t *widths)
{
	for (unsigned column = 0; column < COLUMNS - 1; column++)
		put_cell(out, cell_of(item, language, column), widths[column]);
	put_clean(out, cell_of(item, language, COLUMNS - 1));
	put(out, "\n");
	put_sentence(out, "    ", text_of(item, "cause"));
	put_sentence(out, "    -> ", text_of(item, "remedy"));
}

static int count(const json_t *report, const char *name)
{
	return (int)json_integer_value(json_object_get(json_object_get(report, "counts"), name));
}

char *precheck_page_text(const json_t *report, enum language language)
{
	const json_t *items = json_object_get(report, "items"), *item;
	size_t widths[COLUMNS] = {0}, i;
	struct buffer out;
	char *text;

	buffer_init(&out, PAGE_MAX);
	for (unsigned column = 0; column < COLUMNS - 1; column++) {
		widths[column] = columns_of(words[language].heading[column]);
		json_array_foreach (items, i, item) {
			size_t width = columns_of(cell_of(item, language, column));

			widths[column] = width > widths[column] ? width : widths[column];
		}
	}
	for (unsigned column = 0; column < COLUMNS - 1; column++)
		put_cell(&out, words[language].heading[column], widths[column]);
	put(&out, words[language].heading[COLUMNS - 1]);
	put(&out, "\n");
	json_array_foreach (items, i, item)
		put_item(&out, item, language, widths);
	if (!buffer_printf(&out, words[language].summary, count(report, "passed"), count(report, "skipped"),
			   count(report, "warning"), count(report, "failed"), count(report, "waived")))
		put(&out, "\n");
	text = memory_strndup((const char *)buffer_readable(&out).data, buffer_readable(&out).len);
	buffer_free(&out);
	return text;
}
