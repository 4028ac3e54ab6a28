#include "base/buffer.h"
#include "base/memory.h"
#include "precheck/item.h"
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

/* Columns that a terminal gives a text: Chinese characters, and all from U+1100 on that these texts have, take two. */
static size_t columns_of(const char *text)
{
	size_t columns = 0;

	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		if ((*at & 0xc0) != 0x80)
			columns += *at >= 0xe1 ? 2 : 1;
	return columns;
}

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

static const struct {
	const char *waived, *heading[5], *summary;
} words[LANGUAGES] = {
	[LANGUAGE_EN] = {"waived", {"RESULT", "ITEM", "SIDE", "NODE", "MEASURED"}, "%u passed, %u skipped, %u warnings, %u failed, %u waived\n"},
	[LANGUAGE_ZH] = {"已豁免", {"结果", "检查项", "端", "节点", "测得"}, "通过 %u，跳过 %u，警告 %u，失败 %u，豁免 %u\n"},
};

static const char *cell_of(const struct finding *finding, enum language language, unsigned column)
{
	switch (column) {
	case 0: return finding->waived ? words[language].waived : precheck_result_word(finding->result, language);
	case 1: return finding->item->name;
	case 2: return precheck_side_word(finding->side, language);
	case 3: return finding->node[0] ? finding->node : "-";
	default: return finding->measured ? finding->measured : "-";
	}
}

static void put_sentence(struct buffer *out, const char *indent, char *text)
{
	if (text) {
		put(out, indent);
		put(out, text);
		put(out, "\n");
	}
	free(text);
}

static uint32_t count_waived(const struct precheck_report *report)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < report->count; i++)
		count += report->findings[i].waived;
	return count;
}

char *precheck_report_text(const struct precheck_report *report, enum language language)
{
	size_t widths[5] = {0};
	struct buffer out;

	buffer_init(&out, PAGE_MAX);
	for (unsigned column = 0; column < 4; column++) {
		widths[column] = columns_of(words[language].heading[column]);
		for (uint32_t i = 0; i < report->count; i++) {
			size_t width = columns_of(cell_of(&report->findings[i], language, column));

			widths[column] = width > widths[column] ? width : widths[column];
		}
	}
	for (unsigned column = 0; column < 4; column++)
		put_cell(&out, words[language].heading[column], widths[column]);
	put(&out, words[language].heading[4]);
	put(&out, "\n");
	for (uint32_t i = 0; i < report->count; i++) {
		const struct finding *finding = &report->findings[i];

		for (unsigned column = 0; column < 4; column++)
			put_cell(&out, cell_of(finding, language, column), widths[column]);
		put(&out, cell_of(finding, language, 4));
		put(&out, "\n");
		if (finding->text == TEXT_NONE)
			continue;
		put_sentence(&out, "    ", finding_cause(report, finding, language));
		put_sentence(&out, "    -> ", finding_remedy(report, finding, language));
	}
	if (!buffer_printf(&out, words[language].summary, precheck_report_count(report, PRECHECK_PASSED), precheck_report_count(report, PRECHECK_SKIPPED),
			   precheck_report_count(report, PRECHECK_WARNING), precheck_report_count(report, PRECHECK_FAILED), count_waived(report)))
		put(&out, "\n");
	return text_of(&out);
}

/* ---- JSON ---- */

/* Servers' texts may hold any bytes: what is no UTF-8 becomes '?'. Takes the text. */
static json_t *string_or_null(char *text)
{
	json_t *string = text ? json_string(text) : json_null();

	if (!string) {
		for (char *p = text; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		string = json_string(text);
	}
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

	return json_pack("{s:s, s:s, s:o, s:s, s:b, s:b, s:o, s:o, s:o}", "item", finding->item->name, "side", precheck_side_name(finding->side), "node",
			 copy_or_null(finding->node), "result", precheck_result_name(finding->result), "waived", (int)finding->waived, "waivable",
			 (int)!finding->item->fixed, "measured", copy_or_null(finding->measured), "cause", string_or_null(told ? finding_cause(report, finding, language) : NULL), "remedy",
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

char *precheck_report_json(const struct precheck_report *report, enum language language)
{
	enum error_kind verdict = precheck_verdict(report, NULL);
	json_t *items = json_array();

	for (uint32_t i = 0; i < report->count; i++)
		json_array_append_new(items, finding_json(report, &report->findings[i], language));
	return dump(json_pack("{s:s, s:b, s:i, s:{s:i, s:i, s:i, s:i, s:i}, s:o}", "task", report->task, "passed", (int)(verdict == ERROR_NONE), "exit_code", (int)verdict,
			      "counts", "passed", (int)precheck_report_count(report, PRECHECK_PASSED), "skipped", (int)precheck_report_count(report, PRECHECK_SKIPPED), "warning",
			      (int)precheck_report_count(report, PRECHECK_WARNING), "failed", (int)precheck_report_count(report, PRECHECK_FAILED), "waived",
			      (int)count_waived(report), "items", items));
}

/* ---- the list of items ---- */

/* "source", "target", "source, target" or "here". */
static char *places_of(const struct precheck_item *item, enum language language)
{
	bool source = item->scope & SCOPE_OF_SOURCE, target = item->scope & SCOPE_OF_TARGET;

	return memory_printf("%s%s%s", source ? precheck_side_word(PRECHECK_SOURCE, language) : "",
			     source && target ? (language == LANGUAGE_ZH ? "、" : ", ") : "",
			     target ? precheck_side_word(PRECHECK_TARGET, language) : source ? "" : precheck_side_word(PRECHECK_HERE, language));
}

static const char *yes_or_no(bool yes, enum language language)
{
	return language == LANGUAGE_ZH ? (yes ? "可" : "否") : yes ? "yes" : "no";
}

static char *list_table(bool markdown, enum language language)
{
	static const char *const heading[LANGUAGES] = {"| item | where | what is looked at | can be waived |\n", "| 检查项 | 位置 | 检查内容 | 可豁免 |\n"};
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
			row = memory_printf("| `%s` | %s | %s | %s |\n", item->name, places, item->what[language], yes_or_no(!item->fixed, language));
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

		json_array_append_new(items, json_pack("{s:s, s:b, s:b, s:s, s:b}", "item", item->name, "source", (int)((item->scope & SCOPE_OF_SOURCE) != 0), "target",
						       (int)((item->scope & SCOPE_OF_TARGET) != 0), "what", item->what[language], "waivable", (int)!item->fixed));
	}
	return dump(items);
}

char *precheck_list(enum precheck_list_format format, enum language language)
{
	return format == PRECHECK_LIST_JSON ? list_json(language) : list_table(format == PRECHECK_LIST_MARKDOWN, language);
}
