/* The progress of a task: bars on a terminal, one line each few seconds elsewhere.
 * Thread: the control thread; the log steps aside by log_set_screen(). */
#ifndef KEYFERRY_CMD_PROGRESS_H
#define KEYFERRY_CMD_PROGRESS_H

#include "control/task.h"

/* bars: standard error is a terminal and the operator did not forbid them. */
void progress_start(bool bars);
/* Shows the present state; call it a few times a second. */
void progress_show(const struct task_status *status);
/* Leaves the last state standing. */
void progress_end(void);

#endif
