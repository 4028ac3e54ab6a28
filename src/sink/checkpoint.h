/* What a target holds of a task's marks, for the control thread: found before the links start, and removed when the task is finished.
 * Thread: the control thread, straight-line (peer/client.h). */
#ifndef KEYFERRY_SINK_CHECKPOINT_H
#define KEYFERRY_SINK_CHECKPOINT_H

#include "peer/topology.h"
#include "sink/mark.h"

struct checkpoint_link {
	char id[MARK_ID_LEN + 1];
	struct mark_record record; /* epoch empty: the link has begun and written none */
};

struct checkpoint {
	struct checkpoint_link *links;
	uint32_t count;
};

/* All links of the task that the target knows. ERROR_TARGET: it cannot be asked, or denies HGETALL. */
bool checkpoint_read(struct deployment *target, const char *task, struct checkpoint *ret, struct error *error) WARN_UNUSED;
void checkpoint_free(struct checkpoint *checkpoint);
/* The link that belongs to a source: by its replication id, by that of the master before it (replid2, empty: not known), else by its address; else, where `alone` says
 * that the source has but one master at a time, the only one there is. NULL: none. */
const struct checkpoint_link *checkpoint_find(const struct checkpoint *checkpoint, const char *replid, const char *replid2,
					      const char *source, bool alone);

/* How many keys of all tasks' marks lie on a master (of database 0; nothing is there of others). */
bool checkpoint_count(struct deployment *target, uint32_t shard, uint64_t *ret, struct error *error) WARN_UNUSED;

/* Removes one link's marks; nobody may run it. May be cut off and done again. */
bool checkpoint_forget_link(struct deployment *target, const char *task, const char *id, struct error *error) WARN_UNUSED;
/* Removes the task's marks. Nobody may run it. *ret_links: how many links had any. */
bool checkpoint_forget(struct deployment *target, const char *task, uint32_t *ret_links, struct error *error) WARN_UNUSED;

#endif
