/* Starting a task of a daemon.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_RUN_H
#define KEYFERRY_CMD_TASK_RUN_H

#include "cmd/task_session.h"

/* As `keyferry task start NAME` does, with --wait and --timeout, and says so. False: error, of kind ERROR_NONE where it was interrupted. */
bool task_run_start(struct task_session *session, const char *name, struct error *error) WARN_UNUSED;

#endif
