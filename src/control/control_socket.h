/* The control socket of a running task: `control` in its work directory, a unix socket of mode 0600 by which others on this machine ask the process that runs it.
 *
 * A request is a line of JSON, and so is its answer (control/json_server.h); at most CONTROL_REQUEST_MAX bytes:
 *
 *   {"do": "hello"}                                                     {"ok": true, "task", "version", "pid", "started", "run", "revision"}
 *   {"do": "status"}                                                    {"ok": true, "status": {...}}          as docs/status.md has it
 *   {"do": "metrics"}                                                   {"ok": true, "metrics": {...}}         a tree of control/exposition.h; {} before there are any
 *   {"do": "limit", "records_per_second": N, "bytes_per_second": N}     {"ok": true}                           0: unlimited
 *   {"do": "log_level", "level": "debug"}                               {"ok": true}
 *   {"do": "end"}                                                       {"ok": true}                           as SIGTERM does
 *   anything else                                                       {"ok": false, "error": "..."}
 *
 * Thread: one of its own, on which the calls are made; start and stop the control thread. */
#ifndef KEYFERRY_CONTROL_CONTROL_SOCKET_H
#define KEYFERRY_CONTROL_CONTROL_SOCKET_H

#include "base/error.h"

#include <jansson.h>
#include <stdint.h>

#define CONTROL_REQUEST_MAX 4096
#define CONTROL_NAME "control"

struct control_socket;

struct control_socket_calls {
	char *(*status)(void *owner);    /* JSON text to be freed */
	json_t *(*metrics)(void *owner); /* a new tree */
	void (*limit)(void *owner, uint64_t records_per_second, uint64_t bytes_per_second);
	void (*end)(void *owner);
};

struct control_socket_options {
	const char *data_dir; /* locked by this process */
	const char *task;     /* all texts outlive it */
	const char *version;
	const char *run;  /* who started it with which number; "": nobody in particular */
	int64_t revision; /* of its document, likewise */
};

struct control_socket *control_socket_start(const struct control_socket_options *options,
					    const struct control_socket_calls *calls, void *owner,
					    struct error *error) WARN_UNUSED;
void control_socket_stop(struct control_socket *socket); /* removes it; NULL is fine */

#endif
