/* Catching up: whether a link of the task is running, and when the target has what the source had written at some moment.
 *
 * A running link is seen by its connections at the target, which have its name. How far it has come is told by its record in the target (sink/mark.h), or where it keeps
 * none (checkpoint: local) by what it has acknowledged to the source. Sources that are read by SCAN have no positions; there a time has to do.
 * Thread: the loop's, straight-line. */
#ifndef KEYFERRY_VERIFY_CATCH_UP_H
#define KEYFERRY_VERIFY_CATCH_UP_H

#include "verify/side.h"

struct catch_up_options {
	const struct task_options *task;
	struct side *source, *target;
	bool demanded;    /* where no link is running, too: else nobody brings the target any further, and it counts as there */
	uint32_t wait_ms; /* the most that the target is waited for */
	bool (*go_on)(void *owner); /* false: give up */
	void *owner;
};

/* *ret: a link is running. */
bool catch_up_find(const struct catch_up_options *options, bool *ret, struct error *error) WARN_UNUSED;
/* Returns when the target has all that the source had written at the time of the call. False: it has not come so far within wait_ms (ERROR_TARGET), or given up (ERROR_NONE). */
bool catch_up_wait(const struct catch_up_options *options, struct error *error) WARN_UNUSED;

#endif
