/* The status document (JSON) and the metrics page (Prometheus text) of a task.
 * Names and units: docs/status.md. Thread: any. */
#ifndef KEYFERRY_CONTROL_STATUS_PAGE_H
#define KEYFERRY_CONTROL_STATUS_PAGE_H

#include "control/task.h"

/* NUL-terminated text; free(). */
char *status_page_json(const struct task_status *status);

/* Of the source's stream, not applied yet; -1: not known. */
int64_t status_page_lag_bytes(const struct link_status *link);
/* Names of phases: "connecting", "snapshot", "streaming", "stopped", "failed". */
const char *status_page_phase(enum link_phase phase);

#endif
