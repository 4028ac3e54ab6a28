/* A poller: waits in a loop for a file descriptor of the caller's, a socket, a pipe, or what else poll(2) takes.
 * Thread: the loop's. */
#ifndef KEYFERRY_NET_POLLER_H
#define KEYFERRY_NET_POLLER_H

#include "net/loop.h"

/* READ: there is something to read, or its end, or an error, which reading tells. */
enum { POLLER_READ = 1, POLLER_WRITE = 2 };

struct poller;

/* The descriptor outlives the poller, and has one at a time. */
struct poller *poller_new(struct loop *loop, int fd, void (*callback)(void *owner, int ready), void *owner);
/* Calls back again and again; a running one waits for `what` from now on. */
void poller_start(struct poller *poller, int what);
void poller_stop(struct poller *poller);
void poller_free(struct poller *poller); /* NULL is fine; no callback after this, and the descriptor may be closed */

#endif
