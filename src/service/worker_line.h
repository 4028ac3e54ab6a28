/* The line to a worker: a connection to its control socket (control/control_socket.h), which waits for nobody.
 *
 * Requests are sent in order, and so are answers told. A line that breaks, or says what is no answer, is told as closed once; then it is freed.
 * Thread: the loop's. */
#ifndef KEYFERRY_SERVICE_WORKER_LINE_H
#define KEYFERRY_SERVICE_WORKER_LINE_H

#include "net/loop.h"

#include <jansson.h>
#include <sys/types.h>

struct worker_line;

enum worker_request { WORKER_HELLO, WORKER_STATUS, WORKER_METRICS, WORKER_ORDER /* its answer means little */ };

struct worker_line_events {
	/* Borrowed; sent_ms: wall clock when the request went off. */
	void (*answered)(void *owner, enum worker_request request, const json_t *answer, int64_t sent_ms);
	void (*closed)(void *owner); /* free it, not from within */
};

/* NULL: nobody listens in that work directory. *ret_pid: of the process that does. */
struct worker_line *worker_line_open(struct loop *loop, const char *data_dir, const struct worker_line_events *events,
				     void *owner, pid_t *ret_pid);
void worker_line_free(struct worker_line *line); /* NULL is fine */
/* The tree is taken over. With more than a handful under way it is dropped: who does not answer is not asked more. */
void worker_line_ask(struct worker_line *line, enum worker_request request, json_t *tree);
/* How many are not answered. */
unsigned worker_line_pending(const struct worker_line *line);

#endif
