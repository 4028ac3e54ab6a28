/* The metrics of all tasks together: of the daemon, of each task, and of each link, with the names that a single task's /metrics has (docs/status.md), as far as its status tells them.
 * Thread: (any). */
#ifndef KEYFERRY_API_ALL_METRICS_H
#define KEYFERRY_API_ALL_METRICS_H

#include "service/service.h"

/* In the format of control/exposition.h; free(). NULL + error. */
char *all_metrics_text(struct service *service, const char *version, bool open_metrics, struct error *error) WARN_UNUSED;

#endif
