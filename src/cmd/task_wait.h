/* Waiting for a task at a daemon: by asking again and again, at most once a second, so that also a daemon that is started anew meanwhile answers in the end.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_WAIT_H
#define KEYFERRY_CMD_TASK_WAIT_H

#include "cmd/task_session.h"

/* What a task's tree says about waiting for a state. */
enum task_way {
	TASK_ON_ITS_WAY,
	TASK_THERE,
	TASK_GONE_ASTRAY, /* it will not come there by itself: it has failed for good, or somebody wants something else of it */
};

/* `states` ends with NULL. ASTRAY: *error says why. `name` is the task's, for that. */
enum task_way task_way_of(const json_t *task, const char *const *states, struct error *error);

/* --timeout as a monotonic time in microseconds; 0: none is given. ERROR_USAGE. */
bool task_take_deadline(const struct task_session *session, uint64_t *ret, struct error *error) WARN_UNUSED;
/* Until it is in one of the states; *ret is its tree then. False: error, of kind ERROR_NONE where it was interrupted. `worker`: and its process is another one than that (0: any). */
bool task_wait(struct task_session *session, const char *task, const char *const *states, uint64_t deadline_us, json_int_t worker,
	       json_t **ret, struct error *error) WARN_UNUSED;

/* Pauses before the next look, of which this is the n-th. An error that a daemon which is being started anew may give (*error, of kind ERROR_INTERNAL) is waited out for a minute and until the deadline. False:
 * leave off, with *error or interrupted. */
struct task_patience {
	uint64_t deadline_us; /* 0: none */
	uint64_t silent_us;   /* since when nothing was got; 0: it was */
	uint32_t looks;
};
bool task_wait_more(struct task_session *session, struct task_patience *patience, bool got, struct error *error) WARN_UNUSED;

#endif
