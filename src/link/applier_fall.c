/* A target that has lost what it had acknowledged: the applier goes back in its spool, or asks for a new snapshot, if need be together with the task's other links. */
#include "link/applier_state.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything from the fall's position on is decoded again, and what the marks cover is skipped: as after a restart. */
static void send_again(struct applier *applier)
{
	struct link_state state = applier->saved;
	struct mark *refused = NULL;
	struct incident incident;
	uint64_t position;
	uint32_t db;

	applier_low_water(applier, &position, &db);
	applier->rollback_bytes += position - applier->fall.position;
	incident = incident_make(
		INCIDENT_TARGET_ROLLED_BACK, applier_offset_at(applier, applier->fall.position),
		"%s; %llu bytes of what was applied are gone through again, and what the marks do not cover is sent again",
		applier->fall.what, (unsigned long long)(position - applier->fall.position));
	incident_add_cost(&incident, "bytes", (double)(position - applier->fall.position));
	incident_add_cost(&incident, "slots", applier->fall.slots);
	applier->events->tell(applier->owner, &incident);
	state.generation = applier->generation;
	state.clean = false;
	state.position = applier->fall.position;
	state.place = applier->place;
	state.db = state.place.db = applier->fall.db;
	memcpy(state.epoch, applier->epoch, sizeof(state.epoch));
	state.witness_count = applier_witnesses(applier);
	state.witnesses = applier->witnesses;
	/* The outlet's own are gone when it begins. */
	state.refused =
		applier->outlet.ops->refused ? applier->outlet.ops->refused(applier->outlet.self, &state.refused_count) : NULL;
	if (state.refused_count > 0) {
		refused = memory_alloc(state.refused_count * sizeof(refused[0]));
		memcpy(refused, state.refused, state.refused_count * sizeof(refused[0]));
	}
	state.refused = refused;
	applier_begin(applier, &state);
	free(refused);
	/* Nothing of the spool above it may go, though it could not be written. */
	applier->saved.position = applier->fall.position;
	applier_write_state(applier, false);
	idle_start(applier->again);
}

static void ask_for_snapshot(struct applier *applier, const char *why)
{
	const struct source *source = &applier->options.source;
	struct incident incident;
	struct error error;

	if (source->ops->begin_anew && applier->options.task->snapshot) {
		incident = incident_make(INCIDENT_TARGET_ROLLED_BACK, -1, "%s; %s, so a new snapshot is taken",
					 applier->fall.what, why);
		incident_add_cost(&incident, "slots", applier->fall.slots);
		applier->events->tell(applier->owner, &incident);
		applier->run_state = PARKED;
		applier->lent = true;
		applier_publish(applier);
		source->ops->begin_anew(source->self);
		return;
	}
	error_set(&error, ERROR_TARGET, "%s; %s", applier->fall.what, why);
	error_hint(&error, "Begin anew with an empty work directory and target.existing: merge or flush");
	applier_fail(applier, ENDED, &error);
}

/* What a snapshot after the first one needs beside the spool is there as long as the state file says that it is under way. */
static bool may_resume_at(const struct applier *applier, uint64_t position)
{
	if (!applier_in_snapshot(applier, position))
		return true;
	/* Who began in the stream has not seen the snapshot's head. */
	return (applier->generation == 1 || applier_in_snapshot(applier, applier->saved.position)) &&
	       (position == 0 || applier->place.rdb_version > 0);
}

/* Nothing that another link's commands have come behind is to be sent again. */
static bool is_order_kept(struct applier *applier)
{
	struct handover *handover = applier->options.handover;

	if (!handover ||
	    handover_may_go_back(handover, applier->options.member, applier_offset_at(applier, applier->fall.position)))
		return true;
	applier->rounds = handover_rounds(handover);
	return false;
}

/* Copies of slots that are on their way at that position are wanted with it; without them a new snapshot will be taken when they have come. */
static bool rewind_spool(struct applier *applier)
{
	uint64_t needed = imports_needed(&applier->imports, applier->fall.position);

	if (needed < applier->fall.position && spool_rewind(applier->options.spool, needed))
		return true;
	imports_lose(&applier->imports, applier->fall.position);
	return spool_rewind(applier->options.spool, applier->fall.position);
}

void applier_join_round(struct applier *applier)
{
	uint64_t rounds = applier->options.handover ? handover_rounds(applier->options.handover) : 0;

	if (rounds == applier->rounds || applier->run_state != RUNNING || applier->running || !applier->begun)
		return;
	applier->rounds = rounds;
	if (!applier->fell) {
		/* What is under way refers to the spool: it is answered first. */
		applier_note(
			applier, LOG_WARNING,
			"what several masters of the source have done, between which slots have moved, cannot be brought into its order from here: a new snapshot is taken");
		applier->anew = true;
		idle_start(applier->again);
		return;
	}
	applier->fell = false;
	snprintf(applier->fall.what, sizeof(applier->fall.what),
		 "what several masters of the source have done cannot be brought into its order from here");
	applier->fall.slots = 0;
	ask_for_snapshot(applier, "and slots have moved between them since");
}

void applier_go_back(struct applier *applier)
{
	applier->fell = false;
	if (applier->run_state == PARKING || applier->run_state == DRAINING) {
		/* A new snapshot is coming anyway; or the next run finds it. */
		applier_quiet(applier);
		return;
	}
	if (applier->run_state != RUNNING)
		return;
	applier->rollbacks++;
	if (!is_order_kept(applier))
		ask_for_snapshot(applier,
				 "slots of the source have moved to other masters since, so links cannot send again one by one");
	else if (!applier->fall.repairable)
		ask_for_snapshot(applier, "that cannot be made good from what is kept of the stream");
	else if (!may_resume_at(applier, applier->fall.position))
		ask_for_snapshot(applier, "a part of the snapshot is among it");
	else if (!rewind_spool(applier))
		ask_for_snapshot(applier, "the spool does not hold so much any more (spool.keep_size, spool.keep_time)");
	else
		send_again(applier);
}
