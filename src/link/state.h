/* The link's state file: up to where everything is applied, kept in the work directory.
 *
 * JSON, replaced atomically (written beside, synced, renamed). Written about once a second while the position moves and at a clean stop. After a crash
 * it may lie up to a second behind what the target has: the target's marks tell which of those commands are applied (checkpoint: target), or they are
 * applied again (local).
 * Thread: the link's applier; reading before it starts. */
#ifndef KEYFERRY_LINK_STATE_H
#define KEYFERRY_LINK_STATE_H

#include "base/error.h"
#include "decode/snapshot.h"
#include "sink/mark.h"

#include <jansson.h>

/* Where the target is a file: how far that is (link/recorder.h). */
enum file_phase {
	FILE_NONE,     /* the target is no file; or nothing of this generation is written */
	FILE_SNAPSHOT, /* the snapshot goes into the file beside */
	FILE_WHOLE,    /* all of it is there, on the disk: it may take its place, or has done so */
	FILE_STREAM,   /* it has; commands are written behind it */
	FILE_DONE,
};

struct file_state {
	enum file_phase phase;
	unsigned format;   /* enum scribe_kind */
	uint64_t length;   /* of the file that is written: what lies before the position, and no more */
	uint64_t checksum; /* CRC-64 of these bytes, in the snapshot */
	int64_t db;        /* selected at the end of the file; -1: none */
	uint32_t number;   /* in parts: of the present ones */
	bool has_base;     /* in parts: there is a snapshot */
};

struct link_state {
	uint64_t generation; /* of the spool's history; 0: nothing yet */
	uint64_t position;   /* spool position below which everything is applied, and cannot be lost by the target unnoticed */
	uint32_t db;         /* selected in the stream there */
	struct snapshot_place place;    /* where the position lies in the snapshot */
	bool clean;                     /* written at a clean stop: nothing above the position was ever sent */
	char link[MARK_ID_LEN + 1];     /* its name in the target (sink/mark.h); empty: it has none yet */
	char task[101];                 /* the task's name when they were begun: part of the marks' keys */
	char epoch[MARK_EPOCH_LEN + 1]; /* of the generation's marks there; empty: none yet */
	const struct mark *refused;     /* of the epoch: commands that lie below their mark, and are to be tried again */
	uint32_t refused_count;
	const struct mark_witness *witnesses; /* low marks that the target has had (sink/floor.h) */
	uint32_t witness_count;
	json_t *imports; /* of slots, open at the position (link/imports.h); NULL: none */
	struct file_state file;
};

/* A missing file is an empty state. What is read has memory of its own: link_state_free(). */
bool link_state_read(const char *path, struct link_state *ret, struct error *error) WARN_UNUSED;
/* True: it outlives a power cut. */
bool link_state_write(const char *path, const struct link_state *state, struct error *error) WARN_UNUSED;

/* Of what was read, or is a copy. */
void link_state_free(struct link_state *state);

/* Do both say the same of what is applied? Of `place` and `file`, which go with the position, nothing is asked. */
bool link_state_same(const struct link_state *a, const struct link_state *b);
/* A copy whose `refused` is its own, without witnesses and imports: link_state_free(). */
struct link_state link_state_copy(const struct link_state *state);

#endif
