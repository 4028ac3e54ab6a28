/* What a verification of a task has to do with its work directory: in which forms its runs have written times of expiry, and where it is kept how far it has come:
 *
 *   DIR/verify.json, DIR/verify.found                        of `keyferry verify` (verify/resume.h)
 *   DIR/verify-scheduled.json, DIR/verify-scheduled.found    of a running task's own
 *
 * Thread: the control thread. */
#ifndef KEYFERRY_CONTROL_VERIFICATION_H
#define KEYFERRY_CONTROL_VERIFICATION_H

#include "verify/judge.h"

struct task_options;

#define VERIFICATION_TOLERANCE_MS 1000
#define VERIFICATION_WAIT_MS 60000
#define VERIFICATION_ROUNDS 10

/* Fills the guard's part. On another machine than the task's own: what its options say. */
bool verification_take_guard(const struct task_options *task, struct judge_options *judge, struct error *error) WARN_UNUSED;

/* For verify_options.state_stem, to be freed. NULL + error: the folder is not there and cannot be made, or not be written to. */
char *verification_state_stem(const struct task_options *task, bool scheduled, struct error *error) WARN_UNUSED;

#endif
