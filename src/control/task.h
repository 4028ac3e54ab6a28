/* A running task: both deployments opened and checked, and a link per source master.
 *
 *   task_open (connect, gate, work directory) -> task_start (threads) -> task_poll ... -> task_stop -> task_free
 *
 * Thread: the control thread; task_status() from any once started. */
#ifndef KEYFERRY_CONTROL_TASK_H
#define KEYFERRY_CONTROL_TASK_H

#include "control/settler.h"
#include "control/verifier.h"
#include "link/link.h"

struct task;

enum task_state {
	TASK_CREATED,
	TASK_PRECHECKING,
	TASK_PRECHECK_FAILED,
	TASK_READY,
	TASK_SNAPSHOT,
	TASK_STREAMING,
	TASK_PAUSED,
	TASK_FAILED,
	TASK_FINISHED,
	TASK_STATES
};

/* "created", "snapshot", "streaming", ...: the names of states everywhere. */
const char *task_state_name(enum task_state state);

struct task_status {
	const char *name;
	enum task_state state;
	int64_t since_ms;   /* wall clock: when it came into this state */
	struct error error; /* the first link's that failed */
	bool caught_up;     /* every link */
	bool verifies;      /* verify.every */
	struct verifier_status verifier;
	struct settler_status expiry;
	struct incidents *incidents;    /* of the task's (any) */
	struct target_masters *targets; /* of the target, the task's (any); NULL: files */
	uint32_t link_count;            /* links come and go with the masters of the source */
	struct link_status *links;      /* of the caller's; freed by task_status_free() */
};

struct task_events {
	/* From any thread: a link has failed. Poll then. */
	void (*changed)(void *owner);
	/* Asked while files are looked through, which may take minutes: give up? */
	bool (*interrupted)(void *owner);
	/* In task_open(): the work directory is this process's from now on. False ends it, with the error. NULL: nobody asks. */
	bool (*locked)(void *owner, struct error *error);
};

/* `options` outlives the task. NULL with an error of kind ERROR_NONE: interrupted. */
struct task *task_open(struct loop *loop, const struct task_options *options, const struct task_events *events, void *owner,
		       struct error *error) WARN_UNUSED;
bool task_start(struct task *task, struct error *error) WARN_UNUSED;
/* Stops all links at once, each waiting at most deadline_ms for what is in flight. */
void task_stop(struct task *task, uint32_t deadline_ms);
/* Does a cut-over ask for the end of this process (control/cutover_file.h)? Costs one call. */
bool task_end_asked(const struct task *task);
/* A source that has come to its end: times of expiry that were guarded until then become the true ones, and keys whose time has passed go. After task_stop(), and
 * again where it was cut off. False with an error of kind ERROR_NONE: interrupted. */
bool task_settle_end(struct task *task, struct error *error) WARN_UNUSED;
/* Of each link, from now on; 0: unlimited. Once started. (any) */
void task_limit(struct task *task, uint64_t records_per_second, uint64_t bytes_per_second);
void task_free(struct task *task);

/* Takes a reading for the rates; twice a second is enough. */
void task_sample(struct task *task);
/* (any) */
void task_status(struct task *task, struct task_status *ret);
void task_status_free(struct task_status *status);

#endif
