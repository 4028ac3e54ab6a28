#include "source/intake.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

void intake_init(struct intake *intake, struct spool *spool, const struct intake_events *events, void *owner)
{
	*intake = (struct intake){.spool = spool, .events = events, .owner = owner};
}

#define SENTENCE_MAX (sizeof(((struct error *)NULL)->text) + sizeof(((struct error *)NULL)->hint) + 200)

/* Returns out. */
static const char *intake_sentence(const struct error *error, const char *consequence, char out[SENTENCE_MAX])
{
	snprintf(out, SENTENCE_MAX, "%s%s%s%s; %s", error->text, error->hint[0] != '\0' ? " (" : "", error->hint,
		 error->hint[0] != '\0' ? ")" : "", consequence);
	return out;
}

int64_t intake_held_offset(const struct intake *intake)
{
	int64_t next = spool_offset_of(intake->spool, spool_end(intake->spool));

	return next < 0 || spool_origin(intake->spool).generation == 0 ? -1 : next - 1;
}

static enum hold intake_refused(struct intake *intake, const struct error *error)
{
	char text[SENTENCE_MAX];
	struct incident incident;

	if (intake->refused)
		return HOLD_DISK;
	intake->refused = true;
	intake->refused_us = clock_monotonic_us();
	incident = incident_make(
		INCIDENT_DISK_FULL, intake_held_offset(intake), "%s",
		intake_sentence(error, "reading from the source waits, and the disk is tried again each second", text));
	intake->events->tell(intake->owner, &incident);
	return HOLD_DISK;
}

static enum hold intake_took(struct intake *intake)
{
	struct incident incident;
	double seconds;

	if (intake->full_us > 0) {
		seconds = (double)(clock_monotonic_us() - intake->full_us) / 1e6;
		incident = incident_make(INCIDENT_SPOOL_FREE, intake_held_offset(intake),
					 "the spool has room again after %.1f s, reading goes on", seconds);
		incident_add_cost(&incident, "seconds", seconds);
		intake->events->tell(intake->owner, &incident);
		intake->full_us = 0;
	}
	if (!intake->refused)
		return HOLD_NONE;
	intake->refused = false;
	seconds = (double)(clock_monotonic_us() - intake->refused_us) / 1e6;
	incident = incident_make(INCIDENT_DISK_FREE, intake_held_offset(intake),
				 "the spool's disk takes bytes again after %.1f s, reading goes on", seconds);
	incident_add_cost(&incident, "seconds", seconds);
	intake->events->tell(intake->owner, &incident);
	return HOLD_NONE;
}

void intake_tell_full(struct intake *intake, uint64_t since_us)
{
	struct incident incident;

	if (intake->full_us > 0)
		return;
	intake->full_us = since_us;
	incident = incident_make(
		INCIDENT_SPOOL_FULL, intake_held_offset(intake),
		"the spool is full, so reading has waited for %.0f s; if the target cannot keep up, the source will cut "
		"the connection at its client-output-buffer-limit or repl-timeout (raise those, or spool.max_size)",
		(double)(clock_monotonic_us() - since_us) / 1e6);
	intake->events->tell(intake->owner, &incident);
}

enum hold intake_begin(struct intake *intake, const char replid[41], int64_t offset, bool has_snapshot)
{
	struct spool_origin origin = {.generation = spool_origin(intake->spool).generation + 1, .offset = offset};
	struct error error;

	memcpy(origin.replid, replid, sizeof(origin.replid));
	if (!spool_start(intake->spool, &origin, has_snapshot, &error))
		return intake_refused(intake, &error);
	intake->origin_offset = offset;
	return intake_took(intake);
}

enum hold intake_rename(struct intake *intake, const char replid[41])
{
	struct error error;

	if (strcmp(spool_origin(intake->spool).replid, replid) == 0)
		return HOLD_NONE;
	if (!spool_rename_history(intake->spool, replid, &error))
		return intake_refused(intake, &error);
	return intake_took(intake);
}

enum hold intake_append(struct intake *intake, struct slice *bytes)
{
	struct error error;
	bool disk_full;

	while (bytes->len > 0) {
		uint64_t room = spool_room(intake->spool);
		size_t len = bytes->len < room ? bytes->len : (size_t)room;

		if (len == 0)
			return HOLD_ROOM;
		/* Full or failing makes no difference here: what was received is in hand, and the disk may come to itself. */
		if (!spool_append(intake->spool, bytes->data, len, &disk_full, &error))
			return intake_refused(intake, &error);
		intake_took(intake);
		intake->unflushed = true;
		*bytes = slice_make(bytes->data + len, bytes->len - len);
	}
	return HOLD_NONE;
}

enum hold intake_finish_snapshot(struct intake *intake)
{
	struct error error;

	if (!spool_finish_snapshot(intake->spool, &error))
		return intake_refused(intake, &error);
	intake->unflushed = false;
	return intake_took(intake);
}

void intake_flush(struct intake *intake, bool to_disk)
{
	char text[SENTENCE_MAX];
	struct error error;

	if (spool_flush(intake->spool, to_disk, &error)) {
		intake->unflushed = false;
		intake->flush_refused = false;
		return;
	}
	if (!intake->flush_refused)
		intake->events->note(intake->owner, LOG_WARNING,
				     intake_sentence(&error, "after a crash now, what came last would be asked for again", text));
	intake->flush_refused = true;
}
