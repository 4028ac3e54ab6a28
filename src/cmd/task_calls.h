/* The functions of `keyferry task`, as task_session.h says of them; one a row of task_commands.c.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_CALLS_H
#define KEYFERRY_CMD_TASK_CALLS_H

#include "cmd/task_session.h"

#define TASK_CALL(name) bool name(struct task_session *session, struct error *error)

/* task_list.c */
TASK_CALL(cmd_task_list);
TASK_CALL(cmd_task_show);
TASK_CALL(cmd_task_status);
TASK_CALL(cmd_task_names);
/* task_create.c */
TASK_CALL(cmd_task_create);
/* task_document.c */
TASK_CALL(cmd_task_edit);
TASK_CALL(cmd_task_export);
TASK_CALL(cmd_task_import);
TASK_CALL(cmd_task_check);
TASK_CALL(cmd_task_databases);
/* task_run.c */
TASK_CALL(cmd_task_start);
TASK_CALL(cmd_task_pause);
TASK_CALL(cmd_task_resume);
TASK_CALL(cmd_task_stop);
TASK_CALL(cmd_task_restart);
TASK_CALL(cmd_task_delete);
TASK_CALL(cmd_task_limits);
TASK_CALL(cmd_task_log_level);
/* task_jobs.c */
TASK_CALL(cmd_task_precheck);
TASK_CALL(cmd_task_verify);
TASK_CALL(cmd_task_cutover);
TASK_CALL(cmd_task_finish);
TASK_CALL(cmd_task_cancel);
/* task_logs.c */
TASK_CALL(cmd_task_results);
TASK_CALL(cmd_task_logs);
TASK_CALL(cmd_task_events);
TASK_CALL(cmd_task_history);
TASK_CALL(cmd_task_audit);
/* task_watch.c */
TASK_CALL(cmd_task_watch);
/* task_daemon.c */
TASK_CALL(cmd_task_info);
TASK_CALL(cmd_task_call);
/* token.c */
TASK_CALL(cmd_token_elsewhere);

#endif
