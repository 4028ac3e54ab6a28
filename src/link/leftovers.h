/* Leftovers: what the target has of a link from before its snapshot, and the snapshot has not: the source has deleted it meanwhile.
 *
 * From the second generation on, and in the first one where another work directory was lost, the names of all keys that the snapshot brings are noted (name_set.h). At its end, before the first command of the stream, the
 * target's keys of this link are gone through (clearing.h), and those that were not noted are removed. Only then a command such as APPEND finds what it found at the
 * source. A restart in the middle goes on noting; nothing is removed where names are missing.
 * Where the target held keys of others when the task began (target.existing: merge), or a Lua script makes keys of commands, which no snapshot brings, nobody can tell
 * these apart: they are left alone unless target.resync says otherwise.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_LEFTOVERS_H
#define KEYFERRY_LINK_LEFTOVERS_H

#include "link/clearing.h"
#include "task/options.h"

struct leftovers;

struct leftovers_options {
	const struct task_options *task;
	const char *path; /* of the names, in the link's folder; NULL: never */
	bool before;      /* the target may have something of the link from before the first generation */
	void (*note)(void *owner, int log_level, const char *text);
	void *owner;
};

struct leftovers *leftovers_new(const struct leftovers_options *options);
void leftovers_free(struct leftovers *leftovers);

/* Applying begins at `position` of this generation's snapshot (or behind it). */
void leftovers_begin(struct leftovers *leftovers, uint64_t generation, uint64_t position, bool in_snapshot);
/* A key of the snapshot goes to the target under this name. */
bool leftovers_note(struct leftovers *leftovers, uint32_t db, struct slice name, struct error *error) WARN_UNUSED;
/* Before a position is kept: the names that it covers are on the disk. */
bool leftovers_sync(struct leftovers *leftovers, struct error *error) WARN_UNUSED;

/* At the snapshot's end. *ret: begin a clearing of what leftovers_keeps() does not keep. */
bool leftovers_seal(struct leftovers *leftovers, bool *ret, struct error *error) WARN_UNUSED;
/* For struct clearing_order. */
bool leftovers_keeps(void *leftovers, uint32_t db, struct slice name);
/* A position behind the snapshot is kept: the names are of no use any more. */
void leftovers_done(struct leftovers *leftovers);

#endif
