#include "cmd/job_report.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cmd/cutover_report.h"
#include "cmd/task_session.h"
#include "cmd/verify_report.h"
#include "precheck/page.h"
#include "json/bytes.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX (4u * JSON_BYTES_MAX)

static uint64_t number_of(const json_t *object, const char *name)
{
	json_int_t number = json_integer_value(json_object_get(object, name));

	return number > 0 ? (uint64_t)number : 0;
}

/* ---- verify ---- */

/* A key as docs/verify.md has it; one that is too long for that is named by its digest. */
static struct slice read_key(const json_t *key, struct buffer *buffer)
{
	const char *b64 = json_string_value(json_object_get(key, "b64")),
		   *digest = json_string_value(json_object_get(key, "sha256"));

	if (json_is_string(key))
		return slice_make(json_string_value(key), json_string_length(key));
	buffer_clear(buffer);
	if (b64 ? !json_bytes_decode(b64, buffer)
		: !buffer_printf(buffer, "sha256 %s, %llu bytes", digest ? digest : "?",
				 (unsigned long long)number_of(key, "len")))
		return SLICE("?");
	return buffer_readable(buffer);
}

static enum difference_kind kind_of(const char *name)
{
	enum difference_kind kind = DIFFERENCE_MISSING;

	while (kind + 1 < DIFFERENCE_KINDS && strcmp(name, difference_kind_name(kind)) != 0)
		kind++;
	return kind;
}

static void print_difference(struct verify_report *report, const json_t *told)
{
	struct buffer source, target;
	struct verify_difference difference = {
		.undecided = strcmp(task_text(told, "kind"), "undecided") == 0,
		.repaired = json_is_true(json_object_get(told, "repaired")),
		.kind = kind_of(task_text(told, "kind")),
		.source_db = (uint32_t)number_of(told, "db"),
		.target_db = (uint32_t)number_of(told, "target_db"),
	};
	char *text = task_clean(task_text(told, "difference"));

	buffer_init(&source, KEY_MAX);
	buffer_init(&target, KEY_MAX);
	difference.source_key = read_key(json_object_get(told, "key"), &source);
	difference.target_key = read_key(json_object_get(told, "target_key"), &target);
	difference.text = text;
	verify_report_difference(report, &difference);
	buffer_free(&source);
	buffer_free(&target);
	free(text);
}

static struct verify_counts read_counts(const json_t *summary)
{
	struct verify_counts counts = {
		.live = json_is_true(json_object_get(summary, "live")),
		.resumed_keys = number_of(summary, "resumed_keys"),
		.source_keys = number_of(summary, "source_keys"),
		.target_keys = number_of(summary, "target_keys"),
		.compared = number_of(summary, "compared"),
		.left_out = number_of(summary, "left_out"),
		.others = number_of(summary, "others"),
		.incomparable = number_of(summary, "incomparable"),
		.suspects = number_of(summary, "suspects"),
		.undecided = number_of(summary, "undecided"),
		.repaired = number_of(summary, "repaired"),
		.rounds = (uint32_t)number_of(summary, "rounds"),
	};

	for (enum difference_kind kind = 0; kind < DIFFERENCE_KINDS; kind++)
		counts.differences[kind] = number_of(json_object_get(summary, "differences"), difference_kind_name(kind));
	return counts;
}

static bool print_verify(const json_t *told, const char *task)
{
	const json_t *summary = json_object_get(told, "summary"), *differences = json_object_get(told, "differences"),
		     *difference;
	struct verify_counts counts = read_counts(summary);
	struct verify_report report = {.repair = counts.repaired > 0};
	double seconds = json_number_value(json_object_get(summary, "seconds"));
	size_t i;

	if (!json_is_object(summary))
		return false;
	json_array_foreach (differences, i, difference)
		print_difference(&report, difference);
	if (json_is_true(json_object_get(told, "differences_cut")))
		printf("... and more: the first %zu are kept\n", json_array_size(differences));
	report.begun_us = clock_monotonic_us();
	report.begun_us -= seconds > 0 && seconds * 1e6 < (double)report.begun_us ? (uint64_t)(seconds * 1e6) : 0;
	verify_report_end(&report, &counts, task);
	return true;
}

/* ---- any ---- */

static bool print_precheck(const json_t *told, enum language language)
{
	char *text;

	if (!json_is_array(json_object_get(told, "items")))
		return false;
	text = precheck_page_text(told, language);
	fputs(text, stdout);
	free(text);
	return true;
}

bool job_report_print(const json_t *result, const char *task, enum language language)
{
	const char *kind = task_text(result, "kind");
	const json_t *told = json_object_get(result, "result");
	bool done = json_is_integer(json_object_get(result, "exit_code")) && number_of(result, "exit_code") == ERROR_NONE;

	if (strcmp(kind, "precheck") == 0)
		return print_precheck(told, language);
	if (strcmp(kind, "verify") == 0)
		return print_verify(told, task);
	if (!done)
		return false;
	if (strcmp(kind, "cutover") == 0 && json_is_object(told))
		cutover_report_print(told);
	else
		printf("task %s: %s is done\n", task, kind);
	return true;
}

static char *outline_of_verify(const json_t *summary)
{
	struct verify_counts counts = read_counts(summary);

	return memory_printf("%llu differences, %llu repaired, %llu compared", (unsigned long long)verify_differences(&counts),
			     (unsigned long long)counts.repaired, (unsigned long long)counts.compared);
}

char *job_report_outline(const json_t *result)
{
	const json_t *told = json_object_get(result, "result"), *counts = json_object_get(told, "counts");
	const char *cause = task_text(json_object_get(result, "error"), "text");

	if (json_is_object(json_object_get(told, "summary")))
		return outline_of_verify(json_object_get(told, "summary"));
	if (json_is_object(counts))
		return memory_printf("%llu passed, %llu warnings, %llu failed%s%s",
				     (unsigned long long)number_of(counts, "passed"),
				     (unsigned long long)number_of(counts, "warning"),
				     (unsigned long long)number_of(counts, "failed"), cause[0] ? ": " : "", cause);
	return memory_strdup(cause[0] ? cause : "done");
}
