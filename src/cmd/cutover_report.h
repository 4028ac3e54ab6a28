/* The result of a cut-over: as JSON (docs/cutover.md), and for people, made of that; so that of a daemon's is shown as one of this process.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_CUTOVER_REPORT_H
#define KEYFERRY_CMD_CUTOVER_REPORT_H

#include "control/cutover.h"

#include <jansson.h>

json_t *cutover_report_tree(const struct cutover_options *options, const struct cutover_result *result, enum error_kind code);
/* A line of it, on standard output. */
void cutover_report_print_json(const json_t *report);
/* Of one that is done, or was a dry run. */
void cutover_report_print(const json_t *report);

#endif
