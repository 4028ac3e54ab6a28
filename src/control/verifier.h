/* The verifier: one thread of a running task that verifies it once in a while (verify.every), as `keyferry verify` does (docs/verify.md).
 *
 *   asleep until the time -> all links stream? else asleep for a second -> a verification, with connections of its own -> told -> asleep
 *
 * The first one comes one interval after the start, the next ones an interval after the one before began, or at once where that took longer. One that the end of the task's process
 * has cut off goes on when the task runs again, as soon as all links stream.
 * Thread: new, start, stop and free are called by the control thread; it has a loop of its own. verifier_status(): any. */
#ifndef KEYFERRY_CONTROL_VERIFIER_H
#define KEYFERRY_CONTROL_VERIFIER_H

#include "base/incident.h"
#include "control/links.h"
#include "verify/verify.h"

struct verifier;

struct verifier_status {
	uint64_t runs;     /* that came to an end */
	uint64_t failures; /* that did not: a side was away, or the target did not catch up */
	bool running;
	int64_t begun_ms, ended_ms;  /* of the last run that came to an end; 0: there was none */
	int64_t next_ms;             /* not before */
	struct verify_counts counts; /* of the last run that came to an end */
	struct error error;          /* of the last one, if it failed */
};

/* Both sides of the task are servers, and verify_every_ms is not 0. `incidents` outlives it. */
struct verifier *verifier_new(const struct task_options *task, struct incidents *incidents);
bool verifier_start(struct verifier *verifier, struct links *links, struct error *error) WARN_UNUSED;
/* It ends soon; does not wait. NULL is fine. */
void verifier_stop(struct verifier *verifier);
void verifier_free(struct verifier *verifier); /* waits for its end; NULL is fine */
void verifier_status(struct verifier *verifier, struct verifier_status *ret);

#endif
