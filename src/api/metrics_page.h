/* The metrics of all tasks together, in Prometheus text form 0.0.4: of the daemon, of each task, and of each link, with the names that a single task's /metrics has (docs/status.md).
 * Thread: (any). */
#ifndef KEYFERRY_API_METRICS_PAGE_H
#define KEYFERRY_API_METRICS_PAGE_H

#include "service/service.h"

/* free(); NULL + error. */
char *metrics_page(struct service *service, const char *version, struct error *error) WARN_UNUSED;

#endif
