/* Results of jobs as the API tells them, printed as the commands of their names print their own: `keyferry precheck`, `verify`, `cutover`, `finish`.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_JOB_REPORT_H
#define KEYFERRY_CMD_JOB_REPORT_H

#include "base/language.h"

#include <jansson.h>

/* `result` is a Result of the API; `task` names its task. False: it came to no result of its own, and what the result says of the cause is all there is to tell. */
bool job_report_print(const json_t *result, const char *task, enum language language);
/* "passed", "3 differences, 3 repaired", ...; in a few words, of a list. free() */
char *job_report_outline(const json_t *result);

#endif
