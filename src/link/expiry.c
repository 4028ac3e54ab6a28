#include "link/expiry.h"

#define IN_STEP_MS 2000
/* Offsets are sampled once a second, and a busy machine is late now and then. */
#define BEHIND_MIN_MS 3000

void expiry_begin(struct expiry *expiry, const struct expiry_plan *plan)
{
	*expiry = (struct expiry){
		.plan = *plan,
		.switches = expiry->switches + 1,
		.times = {.form = plan->form, .base = plan->base, .margin_ms = plan->margin_ms},
	};
}

static bool may_go_live(const struct expiry *expiry, const struct expiry_view *view)
{
	return !expiry->plan.always && view->caught_up && view->behind_ms >= 0 && view->behind_ms <= IN_STEP_MS;
}

static bool is_behind(const struct expiry *expiry, const struct expiry_view *view)
{
	int64_t bound = expiry->plan.margin_ms / 2 > BEHIND_MIN_MS ? expiry->plan.margin_ms / 2 : BEHIND_MIN_MS;

	return !view->caught_up || view->behind_ms < 0 || view->behind_ms > bound;
}

static enum guard_form next_form(const struct expiry *expiry, const struct expiry_view *view)
{
	switch (expiry->times.form) {
	case GUARD_OFF: break;
	case GUARD_IMPORT: return expiry->plan.import_lost && atomic_load(expiry->plan.import_lost) ? GUARD_HELD : GUARD_IMPORT;
	case GUARD_HELD: return may_go_live(expiry, view) ? GUARD_LIVE : GUARD_HELD;
	case GUARD_LIVE: return is_behind(expiry, view) ? GUARD_HELD : GUARD_LIVE;
	}
	return GUARD_OFF;
}

bool expiry_update(struct expiry *expiry, const struct expiry_view *view)
{
	enum guard_form form = next_form(expiry, view);

	if (form == expiry->times.form) {
		if (form == GUARD_LIVE && view->applied >= expiry->switched_at)
			expiry->ready = true;
		return false;
	}
	expiry->times.form = form;
	expiry->switches++;
	expiry->switched_at = view->decoded;
	expiry->ready = false;
	return true;
}
