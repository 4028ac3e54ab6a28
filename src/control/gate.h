/* The gate: what is checked on both sides before a task may write anything.
 *
 * Refuses (ERROR_PRECHECK) what cannot work or would do harm, and warns of what may. A full precheck with its own command builds on these.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_CONTROL_GATE_H
#define KEYFERRY_CONTROL_GATE_H

#include "link/inspection.h"
#include "peer/topology.h"
#include "sink/encode.h"

/* `source` is NULL where it is files; `files` tells what is in them then, else it is NULL. `target` is NULL where it is files: then *ret are the abilities of
 * the source's servers, or of the newest.
 * `own_data`: the target holds what an earlier run of this task has brought, so it need not be empty. `warn` is called for each warning. On success the target's
 * abilities are in *ret (the name lives as long as the deployment's facts: in `name`). With target.existing: flush and no own data the target is
 * emptied here, as the last step. */
bool gate_pass(const struct task_options *task, struct deployment *source, const struct inspection *files, struct deployment *target,
	       bool own_data, void (*warn)(const char *text), struct target_abilities *ret, char name[64], struct error *error) WARN_UNUSED;

#endif
