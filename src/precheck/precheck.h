/* The precheck: whether a task will work, and what has to be changed first.
 *
 * One list of items (item.h) is judged for `keyferry precheck` and by the gate before every start (control/gate.h). All servers of both sides are asked at once
 * (interview.h), then each item judges what they have told. Nothing is ever written, to neither side: rights are asked for by ACL DRYRUN, or by commands that the
 * server refuses or drops after it has looked at the rights (rights.h).
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_PRECHECK_PRECHECK_H
#define KEYFERRY_PRECHECK_PRECHECK_H

#include "link/inspection.h"
#include "peer/topology.h"
#include "precheck/finding.h"
#include "sink/encode.h"

struct precheck_options {
	const struct task_options *task;
	struct loop *loop;
	struct deployment *source; /* NULL: it is files, or could not be opened */
	struct deployment *target;
	const struct error *source_error; /* why it could not be opened; NULL: it could */
	const struct error *target_error;
	const struct input *input;      /* the source's files; NULL: none */
	const struct inspection *files; /* what is in them; NULL: not looked at */
	bool own_data;                  /* the target holds what an earlier run of this task has brought */
	uint32_t sample_ms;             /* how long the rate of writes is measured; 0: as the servers tell it themselves */
};

/* Judges all items. *ret_abilities, where it is not NULL, are the target's (of a target of files: the source's), if it could be asked; `name`, which they point to, lives
 * as long as the caller's. False: precheck.waive names what cannot be waived; ERROR_USAGE. */
bool precheck_run(const struct precheck_options *options, struct precheck_report *ret, struct target_abilities *ret_abilities,
		  char name[64], struct error *error) WARN_UNUSED;

/* Is every name of precheck.waive that of an item which can be waived? ERROR_USAGE. */
bool precheck_waive_check(const struct task_options *task, struct error *error) WARN_UNUSED;

/* The verdict: ERROR_NONE where nothing failed that is not waived. When all that failed is a side that cannot be reached or refuses: ERROR_SOURCE or ERROR_TARGET; the work
 * directory alone: ERROR_USAGE; else ERROR_PRECHECK. *ret_finding, where it is not NULL, is the first one of that kind. */
enum error_kind precheck_verdict(const struct precheck_report *report, const struct finding **ret_finding);

/* The report as a table for people, or as one JSON object (docs/precheck.md); to be freed. */
char *precheck_report_text(const struct precheck_report *report, enum language language);
char *precheck_report_json(const struct precheck_report *report, enum language language);
/* The list of items: as text, JSON, or the Markdown of the reference page; to be freed. */
enum precheck_list_format { PRECHECK_LIST_TEXT, PRECHECK_LIST_JSON, PRECHECK_LIST_MARKDOWN };
char *precheck_list(enum precheck_list_format format, enum language language);

#endif
