#include "source/intake.h"

#include "base/log.h"

#include <stdio.h>

void intake_init(struct intake *intake, struct spool *spool, void (*note)(void *owner, int log_level, const char *text),
		 void *owner)
{
	*intake = (struct intake){.spool = spool, .note = note, .owner = owner};
}

static void intake_note(struct intake *intake, int level, const struct error *error, const char *consequence)
{
	char text[sizeof(error->text) + sizeof(error->hint) + 200];

	snprintf(text, sizeof(text), "%s%s%s%s; %s", error->text, error->hint[0] != '\0' ? " (" : "", error->hint,
		 error->hint[0] != '\0' ? ")" : "", consequence);
	intake->note(intake->owner, level, text);
}

static enum hold intake_refused(struct intake *intake, const struct error *error)
{
	if (!intake->refused)
		intake_note(intake, LOG_ERROR, error, "reading from the source waits, and the disk is tried again each second");
	intake->refused = true;
	return HOLD_DISK;
}

static enum hold intake_took(struct intake *intake)
{
	if (intake->refused)
		intake->note(intake->owner, LOG_INFO, "the spool's disk takes bytes again, reading goes on");
	intake->refused = false;
	return HOLD_NONE;
}

int64_t intake_held_offset(const struct intake *intake)
{
	int64_t next = spool_offset_of(intake->spool, spool_end(intake->spool));

	return next < 0 || spool_origin(intake->spool).generation == 0 ? -1 : next - 1;
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
	struct error error;

	if (spool_flush(intake->spool, to_disk, &error)) {
		intake->unflushed = false;
		intake->flush_refused = false;
		return;
	}
	if (!intake->flush_refused)
		intake_note(intake, LOG_WARNING, &error, "after a crash now, what came last would be asked for again");
	intake->flush_refused = true;
}
