/* The gate: the precheck (precheck/precheck.h) before a task may write anything.
 *
 * A failed item stops the start, unless precheck.waive names it; warnings, and what is waived, are told.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_CONTROL_GATE_H
#define KEYFERRY_CONTROL_GATE_H

#include "precheck/precheck.h"

/* Both deployments are open, where they are not files, and the source's files were looked through. `warn` is called with each finished sentence. On success the target's abilities
 * (of a target of files: the source's) are in *ret, and their name in `name`. With target.existing: flush and no own data the target is emptied here, as the last
 * step. False: the error is the first failure's, of the kind that precheck_verdict() gives; further failures were told. */
bool gate_pass(const struct precheck_options *options, void (*warn)(const char *text), struct target_abilities *ret,
	       char name[64], struct error *error) WARN_UNUSED;

#endif
