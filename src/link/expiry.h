/* The keeper of expiries: in which form a link writes times at the moment (transform/guard.h), by how far it is behind its source.
 *
 *            caught up, and behind by no more than 2 s               everything written before the switch is applied
 *   held ------------------------------------------------> live ------------------------------------------------> live, ready
 *    ^                                                       |                                                        |
 *    '------- behind by more than half the margin (at least 3 s), or not known to be less, or a new generation -------'
 *
 * Ready: nothing that is written from now on is held for being behind, so the task may turn held times of the target into live ones (control/settler.h); before that
 * a held time that is still on its way could come after the scan had passed its key.
 * Behind: the time since the last moment of the source that is known to be applied; it grows as well while the source cannot be asked.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_EXPIRY_H
#define KEYFERRY_LINK_EXPIRY_H

#include "transform/guard.h"

#include <stdatomic.h>

/* What the task has decided (control/expiry_plan.h). */
struct expiry_plan {
	enum guard_form form; /* OFF, IMPORT, or HELD: guarded */
	bool always;          /* HELD until the task is finished: never live */
	int64_t base, margin_ms;
	const atomic_bool *import_lost; /* IMPORT: the target has left import mode; it is guarded from then on. May be NULL */
};

struct expiry {
	struct expiry_plan plan;
	struct guard_times times;
	uint64_t
		switches; /* how often the form has changed: whoever looks now and then does not miss that it was held for a moment */
	uint64_t switched_at; /* LIVE: the position decoded up to when it became so */
	bool ready;
};

/* A start (zeroed before), or a new generation. */
void expiry_begin(struct expiry *expiry, const struct expiry_plan *plan);

struct expiry_view {
	bool caught_up;
	int64_t behind_ms; /* -1: not known */
	uint64_t decoded;  /* position up to which events were handed on */
	uint64_t applied;  /* low-water position */
};
/* Now and then. True: `times` have changed. */
bool expiry_update(struct expiry *expiry, const struct expiry_view *view) WARN_UNUSED;

#endif
