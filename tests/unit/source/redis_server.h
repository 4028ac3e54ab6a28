/* A redis-server of the machine, started for one test in a folder of its own, on a free port of the loopback. */
#ifndef KEYFERRY_TESTS_REDIS_SERVER_H
#define KEYFERRY_TESTS_REDIS_SERVER_H

#include "net/endpoint.h"
#include "peer/client.h"

#include <sys/types.h>

struct redis_server {
	char dir[64];
	struct endpoint endpoint;
	pid_t pid;
};

/* `options`: further options as "--name value" words, ended by NULL. Returns when it accepts connections. */
void redis_server_start(struct redis_server *server, const char *const *options);
void redis_server_stop(struct redis_server *server);
/* Runs a command on it by a connection and loop of its own; the reply's outermost text or number, valid until the next call. */
const char *redis_server_ask(struct redis_server *server, const char *a, const char *b, const char *c, const char *d);

#endif
