/* What probes ask for: does the process live, and does the task do what it is there for?
 *
 *   live    the control thread turns (or the task is being ended, which may take its time), and no link has failed for good. A supervisor that restarts a process which
 *           is not live does good.
 *   ready   live, and every link follows its source, or all is done. During the snapshot, while the source is away or the target takes nothing it is not, and
 *           restarting would not help.
 * Thread: any. */
#ifndef KEYFERRY_CONTROL_HEALTH_H
#define KEYFERRY_CONTROL_HEALTH_H

#include "control/task.h"

enum health_probe { HEALTH_LIVE, HEALTH_READY };

#define HEALTH_SILENCE_US 30000000u /* a control thread that has not turned for so long hangs; it turns ten times a second */

struct health {
	atomic_uint_fast64_t turned_us; /* clock_monotonic_us() */
	atomic_bool ending;
};

/* The control thread turns. */
void health_turn(struct health *health);
/* From here on it only waits for the end. */
void health_end(struct health *health);
/* One line for people, with a newline; free(). */
char *health_answer(const struct health *health, const struct task_status *status, enum health_probe probe, bool *ret_ok);

#endif
