/* The service's calls as lines of JSON, at the unix socket DATA/control (control/json_server.h): for the user of the daemon and root on the same machine, without a token.
 *
 *   {"call": "task.show", "task": "orders"}       {"ok": true, "result": {...}}
 *                                                 {"ok": false, "result": "not-found", "error": {"kind","text","hint","exit_code"}}
 *
 * Names and members: the table in call.c; docs/serve.md lists them. Documents are text ("document": "name: ..."), as the API takes them.
 * Thread: any. */
#ifndef KEYFERRY_SERVICE_CALL_H
#define KEYFERRY_SERVICE_CALL_H

#include "service/service.h"

#define CALL_REQUEST_MAX (4u << 20)

/* A new tree. */
json_t *call_answer(struct service *service, const struct service_caller *caller, const json_t *request);

#endif
