/* What the applier keeps: how far the target is, the state file, and what of the spool is needed still. */
#include "link/applier_state.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNLOAD_STEP (1u << 20)
#define RELEASE_STEP (16u << 20) /* at most; the spool gives back whole segments */

void applier_note(struct applier *applier, enum log_level level, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	applier->events->note(applier->owner, (int)level, text);
}

void applier_low_water(const struct applier *applier, uint64_t *position, uint32_t *db)
{
	if (applier->begun) {
		applier->outlet.ops->applied(applier->outlet.self, position, db);
	} else {
		*position = applier->position;
		*db = 0;
	}
}

void applier_kept(const struct applier *applier, uint64_t *position, uint32_t *db)
{
	if (applier->begun && applier->outlet.ops->kept)
		applier->outlet.ops->kept(applier->outlet.self, position, db);
	else
		applier_low_water(applier, position, db);
}

bool applier_in_snapshot(const struct applier *applier, uint64_t position)
{
	return position < spool_snapshot_end(applier->options.spool);
}

int64_t applier_offset_at(const struct applier *applier, uint64_t position)
{
	return applier_in_snapshot(applier, position) ? EVENT_IN_SNAPSHOT : spool_offset_of(applier->options.spool, position);
}

/* ---- the state file ---- */

/* To be tried again by the next run. */
static const struct mark *refused(const struct applier *applier, uint32_t *ret_count)
{
	*ret_count = 0;
	return applier->outlet.ops->refused ? applier->outlet.ops->refused(applier->outlet.self, ret_count) : NULL;
}

/* What the next run compares the target with. */
uint32_t applier_witnesses(struct applier *applier)
{
	const struct outlet *outlet = &applier->outlet;
	uint32_t count =
		outlet->ops->witnesses ? outlet->ops->witnesses(outlet->self, applier->witnesses, applier->witness_room) : 0;

	if (count <= applier->witness_room)
		return count;
	applier->witness_room = count;
	applier->witnesses = memory_realloc_array(applier->witnesses, count, sizeof(applier->witnesses[0]));
	return outlet->ops->witnesses(outlet->self, applier->witnesses, count);
}

bool applier_is_marked(const struct applier_options *options)
{
	return !options->file && options->task->checkpoint == CHECKPOINT_TARGET;
}

bool applier_epoch_is_saved(const struct applier *applier)
{
	return strcmp(applier->saved.epoch, applier->epoch) == 0;
}

bool applier_write_state(struct applier *applier, bool clean)
{
	struct link_state state = {.generation = applier->generation, .clean = clean};
	const struct outlet *outlet = &applier->outlet;
	struct scripts *scripts = applier->options.scripts;
	struct error error;

	applier_kept(applier, &state.position, &state.db);
	applier->save_failed = (outlet->ops->secure && !outlet->ops->secure(outlet->self, &state, &error));
	/* The place is that of the last decoded event; version and family are the same in the whole snapshot, the database is kept by the window. */
	state.place = applier->place;
	state.place.db = state.db;
	memcpy(state.link, applier->link, sizeof(state.link));
	memcpy(state.task, applier->task, sizeof(state.task));
	memcpy(state.epoch, applier->epoch, sizeof(state.epoch));
	state.refused = refused(applier, &state.refused_count);
	state.witness_count = applier_witnesses(applier);
	state.witnesses = applier->witnesses;
	state.imports = imports_write(&applier->imports, state.position);
	applier->save_failed = applier->save_failed || (scripts && !scripts_keep(scripts, &error)) ||
			       (applier->outlet.ops->sync && !applier->outlet.ops->sync(applier->outlet.self, &error)) ||
			       !link_state_write(applier->options.state_path, &state, &error);
	json_decref(state.imports);
	state.imports = NULL;
	if (applier->save_failed) {
		applier_note(applier, LOG_WARNING, "%s. %s; it is tried again each second", error.text, error.hint);
		return false;
	}
	free((void *)applier->saved.refused);
	applier->saved = link_state_copy(&state);
	if (scripts)
		scripts_applied(scripts, state.position);
	if (applier->outlet.ops->snapshot_kept && applier->run_state != PARKED && !applier_in_snapshot(applier, state.position))
		applier->outlet.ops->snapshot_kept(applier->outlet.self);
	return true;
}

void applier_save_state(struct applier *applier, bool clean)
{
	struct link_state now = {.generation = applier->generation, .clean = clean};

	/* Lent, what is saved says already where the next run begins, if that comes before the next generation does. */
	if (applier->generation == 0 || !applier->begun || applier->lent)
		return;
	applier_kept(applier, &now.position, &now.db);
	memcpy(now.epoch, applier->epoch, sizeof(now.epoch));
	now.refused = refused(applier, &now.refused_count);
	if (!link_state_same(&now, &applier->saved))
		applier_write_state(applier, clean);
}

void applier_save_retried(struct applier *applier)
{
	uint32_t count;

	if (applier->saved.refused_count == 0 || applier->save_failed) /* then the timer tries */
		return;
	refused(applier, &count);
	if (count < applier->saved.refused_count)
		applier_save_state(applier, false);
}

void applier_tell_applied(const struct applier *applier, bool now)
{
	uint64_t position;
	uint32_t db;

	applier_low_water(applier, &position, &db);
	if (!applier_in_snapshot(applier, position))
		applier->options.source.ops->set_applied(applier->options.source.self,
							 spool_offset_before(applier->options.spool, position), now);
}

/* ---- the spool ---- */

void applier_let_go(struct applier *applier)
{
	if (applier->position - applier->unloaded >= UNLOAD_STEP) {
		spool_unload(applier->options.spool, applier->unloaded, applier->position);
		applier->unloaded = applier->position;
	}
}

void applier_release_saved(struct applier *applier)
{
	uint64_t position;

	/* Parked, the spool is the source's: it may hold the next generation already. */
	if (!applier->begun || applier->run_state == PARKED || applier->saved.generation != applier->generation ||
	    applier->saved.position <= applier->released || applier->saved.position > spool_end(applier->options.spool))
		return;
	position = applier_keep_imports(applier, applier->saved.position);
	if (position <= applier->released)
		return;
	spool_release(applier->options.spool, position);
	applier->released = position;
}

void applier_release(struct applier *applier, bool all)
{
	uint64_t segment = applier->options.task->spool_segment_size;
	uint64_t step = segment && segment < RELEASE_STEP ? segment : RELEASE_STEP;
	uint64_t position;
	uint32_t db;

	if (applier->lent)
		return;
	applier_kept(applier, &position, &db);
	if (position <= applier->released || (position - applier->released < step && !all))
		return;
	/* A file is synced each time that the state is saved, which the timer does soon enough as long as the spool has room. */
	if (applier->outlet.ops->secure && !all && spool_room(applier->options.spool) > 0)
		return;
	if (!applier->save_failed) /* else the timer tries */
		applier_save_state(applier, false);
	applier_release_saved(applier);
}

void applier_keep(struct applier *applier)
{
	uint64_t now = clock_monotonic_us(), keep_us = (uint64_t)applier->options.task->spool_keep_time_ms * 1000;
	const struct keep_sample *first = &applier->samples[applier->sample_first], *second, *last;
	uint64_t position;
	uint32_t db;

	if (!applier->begun || applier->run_state == PARKED)
		return;
	applier_low_water(applier, &position, &db);
	last = &applier->samples[(applier->sample_first + applier->sample_count + KEEP_SAMPLES - 1) % KEEP_SAMPLES];
	/* As many as the ring holds are spread over the time. */
	if (applier->sample_count == 0 ||
	    (now - last->at_us >= keep_us / (KEEP_SAMPLES - 2) && applier->sample_count < KEEP_SAMPLES))
		applier->samples[(applier->sample_first + applier->sample_count++) % KEEP_SAMPLES] =
			(struct keep_sample){now, position};
	for (; applier->sample_count > 1; applier->sample_count--) {
		second = &applier->samples[(applier->sample_first + 1) % KEEP_SAMPLES];
		if (now - second->at_us < keep_us)
			break;
		applier->sample_first = (applier->sample_first + 1) % KEEP_SAMPLES;
		first = second;
	}
	spool_forget(applier->options.spool, first->position);
}
