/* The work directory of a task: its lock, and one folder per link.
 *
 *   DIR/lock            locked (flock) by the process that runs the task; holds its pid
 *   DIR/task.json       what the task was begun with (control/task_record.h)
 *   DIR/slots           which link has each slot of the source (link/handover_file.h)
 *   DIR/links.json      which folder belongs to which shard of the source
 *   DIR/verify*         of verifications that were cut off (control/verification.h)
 *   DIR/links/N/        state.json and spool/ of link N
 *
 * Folders are handed out one after the other, and named by their number from then on: of the shards that are there at the start, of links that an earlier run has left behind,
 * and of shards that come while the task runs. A link that has ended (control/task_links.h) stays in the list by its number alone, so that no other gets it.
 *
 * A shard is recognised by any address that it had before (its master's or a replica's), so a link survives a failover of its source. A source that is no
 * cluster has one link, whoever is its master.
 * Thread: the control thread; while the task runs, the one that watches the source instead. */
#ifndef KEYFERRY_CONTROL_WORK_DIR_H
#define KEYFERRY_CONTROL_WORK_DIR_H

#include "peer/topology.h"

struct work_dir;

/* Makes the folder where it is missing, and those above it. ERROR_USAGE: it cannot be made, or not be written to. */
bool work_dir_make(const char *path, struct error *error) WARN_UNUSED;
/* Makes it where it is missing and locks it. ERROR_BUSY: another process holds it, the text says which; ERROR_USAGE: not writable. */
struct work_dir *work_dir_open(const char *path, struct error *error) WARN_UNUSED;
void work_dir_close(struct work_dir *dir);
const char *work_dir_path(const struct work_dir *dir);
/* Is a process running a task there? Nothing is made. `holder`: its pid, as it has written it; it may be of another container. */
bool work_dir_is_held(const char *path, char holder[32]);
/* Has an earlier run left links here? */
bool work_dir_has_links(const struct work_dir *dir);
/* The folder of the i-th link that an earlier run has left, to be freed; NULL: there are no more. */
char *work_dir_link(const struct work_dir *dir, uint32_t i);
/* The same of a folder that is not opened, nor made where it is not there: another process may hold it. */
bool work_dir_would_resume(const char *path);
/* Gives every shard its folder, the known ones their old one, and remembers that. paths[i] is owned by the work_dir. Links whose
 * shard is gone are named in `gone` (count returned in *ret_gone): their folders are left alone. */
bool work_dir_assign(struct work_dir *dir, const struct topology *source, const char **paths, uint32_t *ret_gone,
		     struct error *error) WARN_UNUSED;
/* Behind that, as long as there are any: the folder of a link that an earlier run has left, whose shard is gone, and where its master was. NULL: no more; links of versions
 * that did not write down the master are passed over. */
const char *work_dir_next_left(struct work_dir *dir, struct endpoint *ret_master);
/* The folder of another shard. NULL + error. */
const char *work_dir_add(struct work_dir *dir, const struct shard *shard, struct error *error) WARN_UNUSED;
/* The last folder handed out is not used after all. */
void work_dir_take_back(struct work_dir *dir);
/* The shard of the i-th folder handed out has other members now: remembered too. */
bool work_dir_note_shard(struct work_dir *dir, uint32_t i, const struct shard *shard, struct error *error) WARN_UNUSED;

/* The link of the i-th folder handed out, whose id in the target's marks is `id`, has ended: nothing goes on from there any more. */
bool work_dir_end_link(struct work_dir *dir, uint32_t i, const char *id, struct error *error) WARN_UNUSED;
/* Of a link that has ended, and whose folder and marks may be there still: its id. NULL: there is none. */
const char *work_dir_ended(const struct work_dir *dir);
/* Its marks are gone: its folder goes too, and it is not told of any more. */
bool work_dir_bury(struct work_dir *dir, const char *id, struct error *error) WARN_UNUSED;
/* The same where the source is files: one folder, which later files of the same task get too (the link knows its own by their bytes). NULL + error. */
const char *work_dir_assign_files(struct work_dir *dir, struct error *error) WARN_UNUSED;

#endif
