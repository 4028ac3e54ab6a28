/* A call of the daemon's (service/call.h) from the command line of the same machine: at its socket where it runs, else on its data directory, which no other may have meanwhile.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_DAEMON_CALL_H
#define KEYFERRY_CMD_DAEMON_CALL_H

#include "service/config.h"

#include <jansson.h>

/* The result, new; the request is taken over. NULL + error: not done, with the service's words. */
json_t *daemon_call(const struct service_config *config, json_t *request, struct error *error);

#endif
