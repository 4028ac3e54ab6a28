/* The rehearsal: the precheck of a task that is not started (`keyferry precheck`).
 *
 * Opens both sides as far as that goes, looks through a source of files, and judges all items. Nothing is written: neither to a side, nor to the work directory, which may
 * be that of a running task.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_CONTROL_REHEARSAL_H
#define KEYFERRY_CONTROL_REHEARSAL_H

#include "precheck/precheck.h"

/* `go_on` is asked while files are looked through. False: ERROR_USAGE, the task cannot be judged; or of kind ERROR_NONE: left off. */
bool rehearsal_run(struct loop *loop, const struct task_options *task, bool (*go_on)(void *owner), void *owner,
		   struct precheck_report *ret, struct error *error) WARN_UNUSED;

#endif
