/* The metrics of all tasks together (docs/serve.md): of the daemon, of each task as the daemon sees it, and all that a single task's /metrics has (docs/status.md), as its worker tells it now. What a
 * worker tells of its process has the label `task`; the daemon's own has none.
 *
 * Waits for workers, a worker that hangs once for some seconds, and then no more (service_metrics()): such a task has its state, and keyferry_task_up 0.
 * Thread: (any). */
#ifndef KEYFERRY_API_ALL_METRICS_H
#define KEYFERRY_API_ALL_METRICS_H

#include "service/service.h"

/* In the format of control/exposition.h; free(). NULL + error. */
char *all_metrics_text(struct service *service, bool open_metrics, struct error *error) WARN_UNUSED;

#endif
