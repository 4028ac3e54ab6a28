/* The settler: one thread of a task whose target is guarded, which puts held times of expiry right whenever all links are in step with their sources.
 *
 *   links not all ready -> waiting -> a pass over the target (control/settle.h), again while keys were moved under it -> settled
 *        ^                                |                                                                              |
 *        '--------- a link falls behind --+---------------------------------------------- connections lost, slots moved -'
 *
 * In import mode it asks the masters now and then whether they still are, and tells the links when not.
 * Thread: settler_new(), settler_start(), settler_stop() and settler_free() are called by the control thread; it has a loop and connections of its own. */
#ifndef KEYFERRY_CONTROL_SETTLER_H
#define KEYFERRY_CONTROL_SETTLER_H

#include "control/links.h"
#include "control/settle.h"

struct settler;

struct settler_options {
	const struct task_options *task;
	struct expiry_plan plan;
};

struct settler *settler_new(const struct settler_options *options);
/* What the links' plan points to. */
const atomic_bool *settler_import_lost(const struct settler *settler);
/* The links outlive it. */
bool settler_start(struct settler *settler, struct links *links, struct error *error) WARN_UNUSED;
/* It ends soon; does not wait. */
void settler_stop(struct settler *settler);
void settler_free(struct settler *settler); /* waits for its end; NULL is fine */

struct settler_status {
	enum guard_form form; /* of the plan: OFF, IMPORT, HELD */
	bool always;
	bool import_lost;
	bool settled; /* no held times are left that the links have written while behind, but those that have passed */
	bool running; /* a pass is under way */
	struct settle_counts counts; /* of the pass under way, or the last one */
	uint64_t passes;
};
/* (any) */
void settler_status(struct settler *settler, struct settler_status *ret);

#endif
