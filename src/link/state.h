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

struct link_state {
	uint64_t generation; /* of the spool's history; 0: nothing yet */
	uint64_t position;   /* spool position below which everything is applied */
	uint32_t db;         /* selected in the stream there */
	struct snapshot_place place; /* where the position lies in the snapshot */
	bool clean;          /* written at a clean stop: nothing above the position was ever sent */
	char link[MARK_ID_LEN + 1];     /* its name in the target (sink/mark.h); empty: it has none yet */
	char task[101];                 /* the task's name when they were begun: part of the marks' keys */
	char epoch[MARK_EPOCH_LEN + 1]; /* of the generation's marks there; empty: none yet */
	const struct mark *refused; /* of the epoch: commands that lie below their mark, and are to be tried again */
	uint32_t refused_count;
};

/* A missing file is an empty state. `refused` of what is read: free(). */
bool link_state_read(const char *path, struct link_state *ret, struct error *error) WARN_UNUSED;
bool link_state_write(const char *path, const struct link_state *state, struct error *error) WARN_UNUSED;

#endif
