/* A task run by this process until it ends, as `keyferry sync` does, and the daemon's worker.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_SYNC_H
#define KEYFERRY_CMD_SYNC_H

#include "task/options.h"

/* What the daemon has started it with; it tells that at its control socket. */
struct sync_worker {
	const char *run;
	int64_t revision; /* of the document */
	uint64_t
		log_size; /* standard error is the file `log` in the work directory, which is renamed `log.1` when it is larger */
};

/* Until SIGINT or SIGTERM, the end, or a failure. Returns the exit code; ret->error is why (kind ERROR_NONE: nothing failed), and has been told. `worker` NULL: of nobody; `bars`: of
 * progress may be drawn. */
struct sync_end {
	bool finished; /* everything there will ever be is applied */
	char *status;  /* the last one, as docs/status.md has it; free(); NULL: it did not come so far */
	struct error error;
};
int sync_task(struct task_options *options, bool bars, const struct sync_worker *worker, struct sync_end *ret);

#endif
