/* The applier comes to rest: it parks before a new generation of the spool, and drains before the link ends. */
#include "link/applier_state.h"

#define DRAIN_PATIENCE_TICKS (1000 / APPLIER_PUBLISH_MS)

static bool half_done(const struct applier *applier)
{
	return applier->outlet.ops->half_done && applier->outlet.ops->half_done(applier->outlet.self);
}

void applier_quiet(struct applier *applier)
{
	enum run_state was = applier->run_state;

	timer_stop(applier->deadline);
	applier_let_held_go(applier);
	if (was == PARKING && applier->anew) {
		applier->anew = false;
		applier->run_state = PARKED;
		applier->lent = true;
		applier_publish(applier);
		applier->options.source.ops->begin_anew(applier->options.source.self);
		return;
	}
	if (was == PARKING) {
		applier->run_state = PARKED;
		applier->lent = true;
		applier->events->parked(applier->owner);
		return;
	}
	applier_save_state(applier, applier->begun && applier->outlet.ops->idle(applier->outlet.self) && !half_done(applier) &&
					    !applier->copying.active);
	applier_publish(applier);
	applier->run_state = ENDED;
	applier->events->drained(applier->owner);
}

/* An event of which a part is applied already is applied to its end first: else the next start would apply that part again. */
static bool finish_event(struct applier *applier)
{
	struct error error;

	if (!half_done(applier))
		return true;
	if (applier->outlet.ops->ready(applier->outlet.self, &error) == OUTLET_FAILED)
		applier_fail(applier, ENDED, &error);
	applier->outlet.ops->flush(applier->outlet.self);
	return !half_done(applier);
}

void applier_check_quiet(struct applier *applier)
{
	if (applier->begun &&
	    ((applier->run_state == DRAINING && !finish_event(applier)) || !applier->outlet.ops->idle(applier->outlet.self)))
		return;
	/* What another machine would go on from. */
	if (applier->begun && applier->run_state == DRAINING && applier->outlet.ops->settle &&
	    applier->outlet.ops->settle(applier->outlet.self)) {
		applier->drain_ticks = 0;
		return;
	}
	applier_quiet(applier);
}

/* A target that is away, or says nothing, is not waited for to the deadline: what it was sent is found out about by the next run. But for an event that is applied in
 * part, and for answers that nobody could find out later. Counted are ticks of the timer, between each two of which answers were looked for: by the clock, a process that the
 * machine did not let run for a while would take answers that are there for missing. */
void applier_check_patience(struct applier *applier)
{
	uint64_t position;
	uint32_t db;

	if (applier->run_state != DRAINING)
		return;
	applier_low_water(applier, &position, &db);
	if (position != applier->drain_position || half_done(applier) ||
	    (applier->outlet.ops->unsure && applier->outlet.ops->unsure(applier->outlet.self)))
		applier->drain_ticks = 0;
	applier->drain_position = position;
	if (applier->drain_ticks++ >= DRAIN_PATIENCE_TICKS)
		applier_quiet(applier);
}

/* For what only a new snapshot has. */
void applier_begin_anew(struct applier *applier)
{
	struct error error;

	if (applier->options.source.ops->begin_anew && applier->options.task->snapshot) {
		applier->run_state = PARKING;
		applier_publish(applier);
		applier_check_quiet(applier);
		return;
	}
	error_set(
		&error, ERROR_CONFLICT,
		"slots have moved between masters of the source, and what this link needs of them is in a new snapshot alone, which it may not take");
	error_hint(&error, "Begin anew with an empty work directory and target.existing: flush");
	applier_fail(applier, ENDED, &error);
}

void applier_park(struct applier *applier)
{
	/* Parked still: the source insisted on another full resync before anything of the last one came. */
	if (applier->run_state == PARKED)
		applier->events->parked(applier->owner);
	if (applier->run_state != RUNNING)
		return;
	applier->run_state = PARKING;
	applier_publish(applier); /* what is said of the history that ends is over at once */
	applier_check_quiet(applier);
}

void applier_drain(struct applier *applier, uint32_t deadline_ms)
{
	if (applier->run_state == ENDED) {
		applier_save_state(applier, false);
		applier_publish(applier);
		applier->events->drained(applier->owner);
		return;
	}
	applier->run_state = DRAINING;
	applier->drain_ticks = 0;
	timer_start(applier->deadline, deadline_ms);
	applier_check_quiet(applier);
}
