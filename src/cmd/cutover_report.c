#include "cmd/cutover_report.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tree ---- */

static const char *verified_name(const struct cutover_options *options)
{
	return options->verify == CUTOVER_VERIFY_FULL ? "full" : options->verify == CUTOVER_VERIFY_OUTLINE ? "outline" : "none";
}

static json_t *time_json(int64_t ms)
{
	char text[32];

	return ms ? json_string(clock_format_rfc3339(ms, text)) : json_null();
}

static json_t *masters_json(const struct cutover_result *result)
{
	json_t *masters = json_array();

	for (uint32_t i = 0; i < result->master_count; i++)
		json_array_append_new(masters,
				      json_pack("{s:s, s:s, s:I}", "address", result->masters[i].address, "replid",
						result->masters[i].replid, "offset", (json_int_t)result->masters[i].offset));
	return masters;
}

static json_t *verified_json(const struct cutover_options *options, const struct verify_counts *counts)
{
	json_t *differences = json_object();

	for (enum difference_kind kind = 0; kind < DIFFERENCE_KINDS; kind++)
		json_object_set_new(differences, difference_kind_name(kind), json_integer((json_int_t)counts->differences[kind]));
	return json_pack("{s:s, s:I, s:I, s:o}", "mode", verified_name(options), "compared", (json_int_t)counts->compared,
			 "undecided", (json_int_t)counts->undecided, "differences", differences);
}

json_t *cutover_report_tree(const struct cutover_options *options, const struct cutover_result *result, enum error_kind code)
{
	json_t *name = json_string(options->task->name);

	return json_pack("{s:o, s:b, s:b, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:i, s:b}", "task",
			 name ? name : json_null(), "done", result->done, "dry_run", options->dry_run, "by_hand", result->by_hand,
			 "exit_code", (int)code, "moment", time_json(result->moment_ms), "applied", time_json(result->applied_ms),
			 "ended", time_json(result->end_ms), "held_until", time_json(result->held_until_ms), "masters",
			 masters_json(result), "verified", verified_json(options, &result->verified), "expiries_made_true",
			 (json_int_t)result->finish.counts.changed, "temporary_removed",
			 (json_int_t)result->finish.counts.temporary, "marks_removed_of_links",
			 (int)result->finish.forgotten_links, "marks_left", result->finish.cut_off_links > 0);
}

void cutover_report_print_json(const json_t *report)
{
	char *text = json_dumps(report, JSON_COMPACT);

	puts(text);
	free(text);
}

/* ---- for people ---- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static bool is_set(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static long long number_of(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

static double seconds_between(const json_t *report, const char *from, const char *to)
{
	return (double)(clock_parse_rfc3339(text_of(report, to)) - clock_parse_rfc3339(text_of(report, from))) / 1000;
}

static void print_next(const json_t *report)
{
	const char *held = text_of(report, "held_until");

	if (is_set(report, "dry_run"))
		printf("next           the same without --dry-run\n");
	else if (held[0])
		printf("next           point all clients at the target before %s: until then the source\n"
		       "               takes no writes. 'CLIENT UNPAUSE' on each of its masters ends that\n",
		       held);
	else if (is_set(report, "by_hand"))
		printf("next           start the writers again, on the target; let none write to the source\n");
	else
		printf("next           point all clients at the target; the source takes writes again,\n"
		       "               and nobody copies them\n");
}

void cutover_report_print(const json_t *report)
{
	const json_t *verified = json_object_get(report, "verified"), *master;
	const char *moment = text_of(report, "moment"), *mode = text_of(verified, "mode");
	size_t i;

	printf("task           %s: %s\n", text_of(report, "task"),
	       is_set(report, "dry_run") ? "could be cut over (dry run)" : "cut over");
	if (moment[0])
		printf("moment         %s: the source's last write was before it\n", moment);
	json_array_foreach (json_object_get(report, "masters"), i, master)
		printf("source         %s, offset %lld of %s\n", text_of(master, "address"), number_of(master, "offset"),
		       text_of(master, "replid")[0] ? text_of(master, "replid") : "its history");
	if (moment[0])
		printf("applied        %.3f s later; all done %.3f s later\n", seconds_between(report, "moment", "applied"),
		       seconds_between(report, "moment", "ended"));
	if (strcmp(mode, "none") == 0)
		printf("verified       not at all\n");
	else
		printf("verified       %s: %lld keys, no differences\n", mode, number_of(verified, "compared"));
	if (is_set(report, "done"))
		printf("expiry         %lld times made true\nmarks          %s\n", number_of(report, "expiries_made_true"),
		       is_set(report, "marks_left") ? "left: the task's process was cut off" : "removed");
	print_next(report);
}
