/* The metrics of a task, for Prometheus (docs/status.md lists them). Labels: task, link (as status names it), and those that a metric has of its own; all of them come
 * from what is bounded: masters of the source, words of tables.
 * Thread: any; it reads a status. */
#ifndef KEYFERRY_CONTROL_METRICS_PAGE_H
#define KEYFERRY_CONTROL_METRICS_PAGE_H

#include "control/task.h"

#include <jansson.h>

/* NUL-terminated text in the format of exposition.h; free(). NULL: too many of them. */
char *metrics_page_text(const struct task_status *status, bool open_metrics);
/* The same as a tree of exposition.h, for the daemon, which tells the state of a task itself. */
json_t *metrics_page_tree(const struct task_status *status);

#endif
