#include "precheck/finding.h"

#include "base/memory.h"
#include "precheck/precheck_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_waived(const struct task_options *task, const struct precheck_item *item)
{
	for (size_t i = 0; i < task->waive.count; i++)
		if (strcmp(task->waive.items[i], item->name) == 0)
			return true;
	return false;
}

struct finding *finding_add(const struct subject *subject, enum precheck_result result, enum text text)
{
	struct precheck_report *report = &subject->precheck->report;
	const struct precheck_options *options = subject->precheck->options;
	struct finding *finding;

	/* What a running task waits out is waited out by one that goes on, too. */
	if (result == PRECHECK_FAILED && subject->item->waited_out && options->own_data)
		result = PRECHECK_WARNING;
	report->findings = memory_realloc_array(report->findings, report->count + 1, sizeof(*report->findings));
	finding = &report->findings[report->count++];
	*finding = (struct finding){.item = subject->item, .side = subject->side, .result = result, .text = text};
	finding->waived = result >= PRECHECK_WARNING && is_waived(options->task, subject->item);
	if (subject->node)
		snprintf(finding->node, sizeof(finding->node), "%s", subject->node->name);
	return finding;
}

static char *print(const char *format, va_list args)
{
	char *text;

	/* The one way in which it fails is want of memory. */
	return vasprintf(&text, format, args) < 0 ? memory_strdup("") : text;
}

void finding_argument(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	finding->arguments[finding->argument_count++] = print(format, args);
	va_end(args);
}

void finding_measured(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	free(finding->measured);
	finding->measured = print(format, args);
	va_end(args);
}

static char *sentence(const struct precheck_report *report, const struct finding *finding, const char *text,
		      enum language language)
{
	struct text_places places = {
		.side = precheck_side_word(finding->side, language),
		.option = precheck_side_name(finding->side),
		.node = finding->node,
		.task = report->task,
	};
	char *filled;

	if (!text)
		return NULL;
	for (uint32_t i = 0; i < finding->argument_count; i++)
		places.arguments[i] = finding->arguments[i];
	filled = text_fill(text, &places);
	if (filled[0])
		return filled;
	free(filled);
	return NULL;
}

char *finding_cause(const struct precheck_report *report, const struct finding *finding, enum language language)
{
	return sentence(report, finding, text_table[finding->text].cause[language], language);
}

char *finding_remedy(const struct precheck_report *report, const struct finding *finding, enum language language)
{
	return sentence(report, finding, text_table[finding->text].remedy[language], language);
}

/* ---- names ---- */

static const struct {
	const char *name;
	const char *word[LANGUAGES];
} results[PRECHECK_RESULTS] =
	{
		[PRECHECK_PASSED] = {"passed", {"passed", "通过"}},
		[PRECHECK_SKIPPED] = {"skipped", {"skipped", "跳过"}},
		[PRECHECK_WARNING] = {"warning", {"warning", "警告"}},
		[PRECHECK_FAILED] = {"failed", {"failed", "失败"}},
},
  sides[] = {
	  [PRECHECK_SOURCE] = {"source", {"source", "源端"}},
	  [PRECHECK_TARGET] = {"target", {"target", "目标端"}},
	  [PRECHECK_HERE] = {"here", {"here", "本机"}},
};

const char *precheck_result_name(enum precheck_result result)
{
	return results[result].name;
}

const char *precheck_side_name(enum precheck_side side)
{
	return sides[side].name;
}

const char *precheck_result_word(enum precheck_result result, enum language language)
{
	return results[result].word[language];
}

const char *precheck_side_word(enum precheck_side side, enum language language)
{
	return sides[side].word[language];
}

/* ---- the report ---- */

uint32_t precheck_report_count(const struct precheck_report *report, enum precheck_result result)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < report->count; i++)
		count += report->findings[i].result == result && !report->findings[i].waived;
	return count;
}

void precheck_report_free(struct precheck_report *report)
{
	for (uint32_t i = 0; i < report->count; i++) {
		for (uint32_t k = 0; k < report->findings[i].argument_count; k++)
			free(report->findings[i].arguments[k]);
		free(report->findings[i].measured);
	}
	free(report->findings);
	*report = (struct precheck_report){.task = report->task};
}

const char *measure_bytes(uint64_t bytes, char out[MEASURE_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, MEASURE_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return out;
}

const char *measure_seconds(double seconds, char out[MEASURE_MAX])
{
	if (seconds < 10)
		snprintf(out, MEASURE_MAX, "%.2f s", seconds);
	else if (seconds < 120)
		snprintf(out, MEASURE_MAX, "%.0f s", seconds);
	else if (seconds < 7200)
		snprintf(out, MEASURE_MAX, "%.0f min", seconds / 60);
	else
		snprintf(out, MEASURE_MAX, "%.1f h", seconds / 3600);
	return out;
}
