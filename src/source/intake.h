/* The receiver's hand on the spool: begins generations, appends, finishes the snapshot, and turns what may stand in the way (no
 * room, a full or failing disk) into "hold it and try again"; of the disk it tells when that begins and when it is over, of room when it was told.
 * Every call may be repeated after HOLD_ROOM or HOLD_DISK: nothing was done, or what was done is remembered.
 * Thread: the receiver's loop. */
#ifndef KEYFERRY_SOURCE_INTAKE_H
#define KEYFERRY_SOURCE_INTAKE_H

#include "base/incident.h"
#include "spool/spool.h"

enum hold {
	HOLD_NONE,    /* done */
	HOLD_APPLIER, /* the applier has to let go of the old generation first (never answered by the intake itself) */
	HOLD_ROOM,    /* the spool is full: again when the reader has made room */
	HOLD_DISK,    /* the disk refused: again in a second */
};

struct intake_events {
	void (*note)(void *owner, int log_level, const char *text); /* a sentence for the log */
	void (*tell)(void *owner, const struct incident *incident); /* disk and spool: full, free */
};

struct intake {
	struct spool *spool;
	int64_t origin_offset; /* of the spool's generation */
	bool refused;          /* the disk refused, and has not taken anything since */
	bool flush_refused;
	bool unflushed;      /* bytes were appended since the last flush */
	uint64_t refused_us; /* since when */
	uint64_t full_us;    /* since when the spool has no room, where that is told; 0: it is not */
	const struct intake_events *events;
	void *owner;
};

void intake_init(struct intake *intake, struct spool *spool, const struct intake_events *events, void *owner);

/* The offset of the last byte held of a history that can be gone on with; -1: there is none (nothing yet, or half a snapshot). */
int64_t intake_held_offset(const struct intake *intake);

/* Begins the next generation. */
enum hold intake_begin(struct intake *intake, const char replid[41], int64_t offset, bool has_snapshot);
/* The history goes on under this id; nothing to do when it is the same. */
enum hold intake_rename(struct intake *intake, const char replid[41]);
/* Appends and shortens *bytes by what the spool took. */
enum hold intake_append(struct intake *intake, struct slice *bytes);
/* There has been no room since then, for so long that it is to be told; once until there is. */
void intake_tell_full(struct intake *intake, uint64_t since_us);
enum hold intake_finish_snapshot(struct intake *intake);
/* Best effort: a flush that fails is noted, and costs no more than asking the source for those bytes again after a crash. */
void intake_flush(struct intake *intake, bool to_disk);

#endif
