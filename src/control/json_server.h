/* A server of lines of JSON at a unix socket of a folder, mode 0600: a request is a line, and so is its answer, in order.
 *
 * Only the user of the process (and root) may ask, by the credentials of the connection. A socket that a killed process has left is replaced; nobody listens there. The folder is the
 * process's own (locked). Paths of sockets are short: both sides go by a descriptor of the folder.
 * A client that sends a line longer than request_max is hung up on; one that does not read its answer is asked nothing more.
 * Thread: one of its own, on which `answer` is called; start and stop one other. */
#ifndef KEYFERRY_CONTROL_JSON_SERVER_H
#define KEYFERRY_CONTROL_JSON_SERVER_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

#define JSON_ANSWER_MAX (16u << 20)
#define JSON_CLIENTS_MAX 16

struct json_server;

struct json_server_options {
	const char *folder, *name;
	size_t request_max;
	/* A new tree. `request` NULL: it was no JSON. `uid`: who asks. */
	json_t *(*answer)(void *owner, const json_t *request, unsigned uid);
	void *owner;
};

/* ERROR_USAGE. */
struct json_server *json_server_start(const struct json_server_options *options, struct error *error) WARN_UNUSED;
void json_server_stop(struct json_server *server); /* removes the socket; NULL is fine */

/* A connection to the one in that folder, not blocking; -1: nobody listens there. *ret_pid: of the process that does. (any) */
int json_server_connect(const char *folder, const char *name, int *ret_pid);

#endif
