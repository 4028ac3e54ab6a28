/* Metrics that a task's process and the daemon both tell, each of its own: of a task's state, and of the process, with names as all of Prometheus' client libraries have them.
 * Thread: (any). */
#ifndef KEYFERRY_CONTROL_COMMON_METRICS_H
#define KEYFERRY_CONTROL_COMMON_METRICS_H

#include "control/exposition.h"

#define COMMON_METRICS_STATE "keyferry_task_state"

/* `state`: a name of task_state_name(). */
void common_metrics_put_state(struct exposition *page, const char *task, const char *state);
void common_metrics_put_process(struct exposition *page);

#endif
