/* A service without processes and disk, for tests of the API: tasks are trees in memory, and what was asked of it is remembered.
 *
 * Tokens are "kf_viewer", "kf_operator" and "kf_admin", until fake_service_revoke(). Secrets do not occur in it. Thread: (any). */
#ifndef KEYFERRY_TESTS_FAKE_SERVICE_H
#define KEYFERRY_TESTS_FAKE_SERVICE_H

#include "service/service.h"

struct service *fake_service_new(void);
void fake_service_free(struct service *service);
void fake_service_revoke(struct service *service);
/* Its health is bad from now on. */
void fake_service_unwell(struct service *service);
/* As if a worker had told it. */
void fake_service_set(struct service *service, const char *task, const char *name, json_t *value);
/* An entry of a log, of a task; its id is the next one. */
void fake_service_tell(struct service *service, enum service_log log, int64_t task, const char *kind);
/* A line of every task's log. */
void fake_service_log(struct service *service, const char *line);
/* What the audit log has, the newest first, as text: "token:admin start ok;...". free() */
char *fake_service_audit(struct service *service);

#endif
