#include "cmd/verify_report.h"

#include "base/clock.h"
#include "base/log.h"
#include "json/bytes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_US 5000000

static const char *stage_name(enum verify_stage stage)
{
	static const char *const names[] = {"keys of the source", "keys of the target", "looking again at what differs",
					    "repairing"};

	return names[stage];
}

static double seconds_of(const struct verify_report *report)
{
	double seconds = (double)(clock_monotonic_us() - report->begun_us) / 1e6;

	return seconds > 0.001 ? seconds : 0.001;
}

/* ---- progress ---- */

static void wipe(const struct verify_report *report)
{
	if (report->bars)
		fputs("\r\033[K", stderr);
}

/* Around a log line. */
static void before_line(void)
{
	fputs("\r\033[K", stderr);
}

static void after_line(void)
{
}

void verify_report_begin(struct verify_report *report)
{
	report->begun_us = report->told_us = clock_monotonic_us();
	if (report->bars)
		log_set_screen(before_line, after_line);
}

void verify_report_progress(struct verify_report *report, const struct verify_counts *counts)
{
	uint64_t now = clock_monotonic_us(), done = counts->source_keys + counts->target_keys, here = done - counts->resumed_keys;
	char text[300];

	snprintf(text, sizeof(text), "%s: %llu of about %llu keys, %.0f keys/s, %llu differences", stage_name(counts->stage),
		 (unsigned long long)done, (unsigned long long)counts->keys_total, (double)here / seconds_of(report),
		 (unsigned long long)verify_differences(counts));
	if (report->bars) {
		fprintf(stderr, "\r\033[K%.110s", text);
		fflush(stderr);
	} else if (now - report->told_us >= LINE_US) {
		report->told_us = now;
		log_info("%s", text);
	}
}

/* ---- differences ---- */

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(const struct verify_difference *difference)
{
	printf("{\"kind\":\"%s\",\"db\":%u,\"key\":",
	       difference->undecided ? "undecided" : difference_kind_name(difference->kind), difference->source_db);
	json_bytes_print(stdout, difference->source_key);
	printf(",\"target_db\":%u,\"target_key\":", difference->target_db);
	json_bytes_print(stdout, difference->target_key);
	printf(",\"difference\":");
	print_text(difference->text);
	printf(",\"repaired\":%s}\n", difference->repaired ? "true" : "false");
}

static void print_row(struct verify_report *report, const struct verify_difference *difference)
{
	char key[200], name[200], other[240] = "";

	if (!report->headed)
		printf("%-10s %-8s %-4s %s\n", "KIND", report->repair ? "REPAIRED" : "", "DB", "KEY");
	report->headed = true;
	if (difference->source_db != difference->target_db || !slice_equal(difference->source_key, difference->target_key))
		snprintf(other, sizeof(other), " (%s in database %u of the target)",
			 slice_quote(difference->target_key, name, sizeof(name)), difference->target_db);
	printf("%-10s %-8s %-4u %s%s%s%s\n", difference->undecided ? "undecided" : difference_kind_name(difference->kind),
	       !report->repair        ? ""
	       : difference->repaired ? "yes"
				      : "no",
	       difference->source_db, slice_quote(difference->source_key, key, sizeof(key)), other,
	       difference->text[0] ? ": " : "", difference->text);
}

void verify_report_difference(struct verify_report *report, const struct verify_difference *difference)
{
	wipe(report);
	if (report->json)
		print_json(difference);
	else
		print_row(report, difference);
}

/* ---- the end ---- */

static void print_summary(const struct verify_report *report, const struct verify_counts *counts)
{
	printf("{\"summary\":{\"source_keys\":%llu,\"target_keys\":%llu,\"compared\":%llu,\"left_out\":%llu,\"others\":%llu,"
	       "\"incomparable\":%llu,"
	       "\"resumed_keys\":%llu,\"suspects\":%llu,\"differences\":{",
	       (unsigned long long)counts->source_keys, (unsigned long long)counts->target_keys,
	       (unsigned long long)counts->compared, (unsigned long long)counts->left_out, (unsigned long long)counts->others,
	       (unsigned long long)counts->incomparable, (unsigned long long)counts->resumed_keys,
	       (unsigned long long)counts->suspects);
	for (enum difference_kind kind = 0; kind < DIFFERENCE_KINDS; kind++)
		printf("%s\"%s\":%llu", kind ? "," : "", difference_kind_name(kind),
		       (unsigned long long)counts->differences[kind]);
	printf("},\"undecided\":%llu,\"repaired\":%llu,\"rounds\":%u,\"live\":%s,\"seconds\":%.3f}}\n",
	       (unsigned long long)counts->undecided, (unsigned long long)counts->repaired, counts->rounds,
	       counts->live ? "true" : "false", seconds_of(report));
}

void verify_report_end(struct verify_report *report, const struct verify_counts *counts, const char *task)
{
	uint64_t differences = verify_differences(counts),
		 keys = counts->source_keys + counts->target_keys - counts->resumed_keys;

	wipe(report);
	log_set_screen(NULL, NULL);
	if (report->json)
		print_summary(report, counts);
	fflush(stdout);
	log_info("task %s: %llu keys of the source and %llu of the target in %.1f s (%.0f keys/s): %llu compared, %llu not "
		 "selected, %llu of the target not this task's",
		 task, (unsigned long long)counts->source_keys, (unsigned long long)counts->target_keys, seconds_of(report),
		 (double)keys / seconds_of(report), (unsigned long long)counts->compared, (unsigned long long)counts->left_out,
		 (unsigned long long)counts->others);
	if (counts->incomparable > 0)
		log_warning("of %llu keys nobody can say what the target should have: the script makes several things of them, "
			    "or a rule refuses them",
			    (unsigned long long)counts->incomparable);
	if (counts->undecided > 0)
		log_warning("%llu keys changed in every round and are not decided: verify them when there is less writing",
			    (unsigned long long)counts->undecided);
	if (differences == 0)
		log_info("task %s: no differences", task);
	else
		log_warning("task %s: %llu differences: %llu missing, %llu extra, %llu of type, %llu of value, %llu of expiry; "
			    "%llu of them repaired",
			    task, (unsigned long long)differences, (unsigned long long)counts->differences[DIFFERENCE_MISSING],
			    (unsigned long long)counts->differences[DIFFERENCE_EXTRA],
			    (unsigned long long)counts->differences[DIFFERENCE_TYPE],
			    (unsigned long long)counts->differences[DIFFERENCE_VALUE],
			    (unsigned long long)counts->differences[DIFFERENCE_EXPIRY], (unsigned long long)counts->repaired);
}
