/* A finding: what one item of the precheck has found at one place; and the report, which is all of them.
 *
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_FINDING_H
#define KEYFERRY_PRECHECK_FINDING_H

#include "net/endpoint.h"
#include "precheck/text.h"

#include <stdint.h>

/* SKIPPED: could not be judged, the text says why; it stops nothing. */
enum precheck_result { PRECHECK_PASSED, PRECHECK_SKIPPED, PRECHECK_WARNING, PRECHECK_FAILED, PRECHECK_RESULTS };
enum precheck_side { PRECHECK_SOURCE, PRECHECK_TARGET, PRECHECK_HERE /* the machine that keyferry runs on */ };

struct precheck_item;

struct finding {
	const struct precheck_item *item;
	enum precheck_side side;
	char node[ENDPOINT_TEXT_MAX]; /* "": the side as a whole */
	enum precheck_result result;
	bool waived;    /* a failure or warning that precheck.waive names */
	enum text text; /* TEXT_NONE: passed */
	char *arguments[TEXT_ARGUMENTS];
	uint32_t argument_count;
	char *measured; /* what was looked at, in words of options and numbers alone; NULL: nothing */
};

struct precheck_report {
	const char *task; /* its name */
	struct finding *findings;
	uint32_t count;
};

/* Where an item is being judged. */
struct precheck;
struct node;
struct subject {
	struct precheck *precheck;
	const struct precheck_item *item;
	enum precheck_side side;
	const struct node *node; /* NULL: the side as a whole */
};

/* Adds one; what it returns is good until the next is added. */
struct finding *finding_add(const struct subject *subject, enum precheck_result result, enum text text);
/* The next place of its text, or what was measured. */
void finding_argument(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);
void finding_measured(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

/* Its sentences, to be freed; NULL: there is none. */
char *finding_cause(const struct precheck_report *report, const struct finding *finding, enum language language);
char *finding_remedy(const struct precheck_report *report, const struct finding *finding, enum language language);

/* "passed", ...; "source", ...: names for programs. And for people. */
const char *precheck_result_name(enum precheck_result result);
const char *precheck_side_name(enum precheck_side side);
const char *precheck_result_word(enum precheck_result result, enum language language);
const char *precheck_side_word(enum precheck_side side, enum language language);

/* Not waived, of this result. */
uint32_t precheck_report_count(const struct precheck_report *report, enum precheck_result result);
void precheck_report_free(struct precheck_report *report);

/* "1.5 MiB", "0.08 s", "3 min", for people. Returns out. */
#define MEASURE_MAX 32
const char *measure_bytes(uint64_t bytes, char out[MEASURE_MAX]);
const char *measure_seconds(double seconds, char out[MEASURE_MAX]);

#endif
