#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "precheck/item.h"
#include "precheck/page.h"
#include "precheck/precheck.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX (64u << 20)

/* The text of a buffer that is as long as it may be is cut off there. */
static char *text_of(struct buffer *out)
{
	char *text = memory_strndup((const char *)buffer_readable(out).data, buffer_readable(out).len);

	buffer_free(out);
	return text;
}

/* ---- the table ---- */

static void put(struct buffer *out, const char *text)
{
	if (!buffer_append(out, text, strlen(text)))
		return; /* a page that is full */
}

static void put_cell(struct buffer *out, const char *text, size_t width)
{
	put(out, text);
	for (size_t used = columns_of(text); used < width; used++)
		put(out, " ");
	put(out, "  ");
}

static uint32_t count_waived(const struct precheck_report *report)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < report->count; i++)
		count += report->findings[i].waived;
	return count;
}

/* ---- JSON ---- */

/* Takes the text. */
static json_t *string_or_null(char *text)
{
	json_t *string;

	if (!text)
		return json_null();
	utf8_mend(text, strlen(text));
	string = json_string(text);
	free(text);
	return string;
}

static json_t *copy_or_null(const char *text)
{
	return string_or_null(text && text[0] ? memory_strdup(text) : NULL);
}

static json_t *finding_json(const struct precheck_report *report, const struct finding *finding, enum language language)
{
	bool told = finding->text != TEXT_NONE;

	return json_pack("{s:s, s:s, s:o, s:s, s:b, s:b, s:o, s:o, s:o}", "item", finding->item->name, "side",
			 precheck_side_name(finding->side), "node", copy_or_null(finding->node), "result",
			 precheck_result_name(finding->result), "waived", (int)finding->waived, "waivable",
			 (int)!finding->item->fixed, "measured", copy_or_null(finding->measured), "cause",
			 string_or_null(told ? finding_cause(report, finding, language) : NULL), "remedy",
			 string_or_null(told ? finding_remedy(report, finding, language) : NULL));
}

static char *dump(json_t *page)
{
	char *text = json_dumps(page, JSON_INDENT(2));
	char *line = memory_printf("%s\n", text);

	free(text);
	json_decref(page);
	return line;
}

static json_t *tree_of(const struct precheck_report *report, enum language language)
{
	enum error_kind verdict = precheck_verdict(report, NULL);
	json_t *items = json_array();

	for (uint32_t i = 0; i < report->count; i++)
		json_array_append_new(items, finding_json(report, &report->findings[i], language));
	return json_pack(
		"{s:s, s:b, s:i, s:{s:i, s:i, s:i, s:i, s:i}, s:o}", "task", report->task, "passed", (int)(verdict == ERROR_NONE),
		"exit_code", (int)verdict, "counts", "passed", (int)precheck_report_count(report, PRECHECK_PASSED), "skipped",
		(int)precheck_report_count(report, PRECHECK_SKIPPED), "warning",
		(int)precheck_report_count(report, PRECHECK_WARNING), "failed",
		(int)precheck_report_count(report, PRECHECK_FAILED), "waived", (int)count_waived(report), "items", items);
}

char *precheck_report_json(const struct precheck_report *report, enum language language)
{
	return dump(tree_of(report, language));
}

char *precheck_report_text(const struct precheck_report *report, enum language language)
{
	json_t *tree = tree_of(report, language);
	char *text = precheck_page_text(tree, language);

	json_decref(tree);
	return text;
}

/* ---- the list of items ---- */

/* "source", "target", "source, target" or "here". */
static char *places_of(const struct precheck_item *item, enum language language)
{
	bool source = item->scope & SCOPE_OF_SOURCE, target = item->scope & SCOPE_OF_TARGET;

	return memory_printf("%s%s%s", source ? precheck_side_word(PRECHECK_SOURCE, language) : "",
			     source && target ? (language == LANGUAGE_ZH ? "、" : ", ") : "",
			     target   ? precheck_side_word(PRECHECK_TARGET, language)
			     : source ? ""
				      : precheck_side_word(PRECHECK_HERE, language));
}

static const char *yes_or_no(bool yes, enum language language)
{
	return language == LANGUAGE_ZH ? (yes ? "可" : "否") : yes ? "yes" : "no";
}

static char *list_table(bool markdown, enum language language)
{
	static const char *const heading[LANGUAGES] = {"| item | where | what is looked at | can be waived |\n",
						       "| 检查项 | 位置 | 检查内容 | 可豁免 |\n"};
	struct buffer out;

	buffer_init(&out, PAGE_MAX);
	if (markdown) {
		put(&out, heading[language]);
		put(&out, "| --- | --- | --- | --- |\n");
	}
	for (uint32_t i = 0; i < precheck_item_count; i++) {
		const struct precheck_item *item = &precheck_items[i];
		char *places = places_of(item, language), *row;

		if (markdown) {
			row = memory_printf("| `%s` | %s | %s | %s |\n", item->name, places, item->what[language],
					    yes_or_no(!item->fixed, language));
			put(&out, row);
			free(row);
		} else {
			put_cell(&out, item->name, 18); /* the longest has as many */
			put_cell(&out, places, 14);
			put(&out, item->what[language]);
			if (item->fixed)
				put(&out, language == LANGUAGE_ZH ? "（不可豁免）" : " (cannot be waived)");
			put(&out, "\n");
		}
		free(places);
	}
	return text_of(&out);
}

static char *list_json(enum language language)
{
	json_t *items = json_array();

	for (uint32_t i = 0; i < precheck_item_count; i++) {
		const struct precheck_item *item = &precheck_items[i];

		json_array_append_new(items, json_pack("{s:s, s:b, s:b, s:s, s:b}", "item", item->name, "source",
						       (int)((item->scope & SCOPE_OF_SOURCE) != 0), "target",
						       (int)((item->scope & SCOPE_OF_TARGET) != 0), "what", item->what[language],
						       "waivable", (int)!item->fixed));
	}
	return dump(items);
}

char *precheck_list(enum precheck_list_format format, enum language language)
{
	return format == PRECHECK_LIST_JSON ? list_json(language) : list_table(format == PRECHECK_LIST_MARKDOWN, language);
}
