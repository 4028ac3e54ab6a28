/* The handlers of the routes, by what they are about; the table is route_table.c. Each finds its call admitted and its body checked.
 * Thread: a worker. */
#ifndef KEYFERRY_API_HANDLERS_H
#define KEYFERRY_API_HANDLERS_H

#include "api/answer.h"

struct api;

/* handle_tasks.c */
void handle_task_list(struct api *api, const struct call *call, struct answer *answer);
void handle_task_create(struct api *api, const struct call *call, struct answer *answer);
void handle_task_show(struct api *api, const struct call *call, struct answer *answer);
void handle_task_delete(struct api *api, const struct call *call, struct answer *answer);
void handle_task_status(struct api *api, const struct call *call, struct answer *answer);
void handle_document_show(struct api *api, const struct call *call, struct answer *answer);
void handle_document_put(struct api *api, const struct call *call, struct answer *answer);
void handle_document_check(struct api *api, const struct call *call, struct answer *answer);

/* handle_databases.c */
void handle_databases(struct api *api, const struct call *call, struct answer *answer);

/* handle_actions.c; those for several rows look at route.which */
void handle_action(struct api *api, const struct call *call, struct answer *answer);
void handle_limits(struct api *api, const struct call *call, struct answer *answer);
void handle_log_level(struct api *api, const struct call *call, struct answer *answer);
void handle_job_start(struct api *api, const struct call *call, struct answer *answer);
void handle_job_show(struct api *api, const struct call *call, struct answer *answer);
void handle_job_cancel(struct api *api, const struct call *call, struct answer *answer);

/* handle_logs.c */
void handle_all_events(struct api *api, const struct call *call, struct answer *answer);
void handle_events(struct api *api, const struct call *call, struct answer *answer);
void handle_history(struct api *api, const struct call *call, struct answer *answer);
void handle_results(struct api *api, const struct call *call, struct answer *answer);
void handle_differences(struct api *api, const struct call *call, struct answer *answer);
void handle_trend(struct api *api, const struct call *call, struct answer *answer);
void handle_log(struct api *api, const struct call *call, struct answer *answer);
void handle_audit(struct api *api, const struct call *call, struct answer *answer);

/* handle_access.c */
void handle_session_show(struct api *api, const struct call *call, struct answer *answer);
void handle_session_begin(struct api *api, const struct call *call, struct answer *answer);
void handle_session_end(struct api *api, const struct call *call, struct answer *answer);
void handle_token_list(struct api *api, const struct call *call, struct answer *answer);
void handle_token_create(struct api *api, const struct call *call, struct answer *answer);
void handle_token_delete(struct api *api, const struct call *call, struct answer *answer);

/* handle_daemon.c */
void handle_openapi(struct api *api, const struct call *call, struct answer *answer);
void handle_options(struct api *api, const struct call *call, struct answer *answer);
void handle_version(struct api *api, const struct call *call, struct answer *answer);
void handle_health(struct api *api, const struct call *call, struct answer *answer);
void handle_healthz(struct api *api, const struct call *call, struct answer *answer);
void handle_readyz(struct api *api, const struct call *call, struct answer *answer);
void handle_metrics(struct api *api, const struct call *call, struct answer *answer);

#endif
