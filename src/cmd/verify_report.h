/* What `keyferry verify` prints: differences on standard output as they are found, progress and the end on standard error.
 *
 *   table   kind  database  key  what differs
 *   json    {"kind":"value","db":0,"key":"user:1","target_db":0,"target_key":"user:1","difference":"...","repaired":false}, one a line, and at the end
 *           {"summary":{...}}
 *
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_VERIFY_REPORT_H
#define KEYFERRY_CMD_VERIFY_REPORT_H

#include "verify/verify.h"

struct verify_report {
	bool json;
	bool bars; /* a line of progress on a terminal */
	bool repair;
	bool headed; /* the table's heading is printed */
	uint64_t begun_us, told_us;
};

void verify_report_begin(struct verify_report *report);
void verify_report_difference(struct verify_report *report, const struct verify_difference *difference);
void verify_report_progress(struct verify_report *report, const struct verify_counts *counts);
void verify_report_end(struct verify_report *report, const struct verify_counts *counts, const char *task);

#endif
