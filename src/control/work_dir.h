/* The work directory of a task: its lock, and one folder per link.
 *
 *   DIR/lock            locked (flock) by the process that runs the task; holds its pid
 *   DIR/task.json       what the task was begun with (control/task_record.h)
 *   DIR/slots           which link has each slot of the source (link/handover_file.h)
 *   DIR/links.json      which folder belongs to which shard of the source
 *   DIR/verify*         of verifications that were cut off (control/verification.h)
 *   DIR/links/N/        state.json and spool/ of link N
 *
 * A shard is recognised by any address that it had before (its master's or a replica's), so a link survives a failover of its source. A source that is no
 * cluster has one link, whoever is its master.
 * Thread: the control thread; work_dir_note_shard(): one other. */
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
bool work_dir_assign(struct work_dir *dir, const struct topology *source, const char **paths, uint32_t *ret_gone, struct error *error) WARN_UNUSED;
/* The shard of the i-th folder handed out has other members now: remembered too. */
bool work_dir_note_shard(struct work_dir *dir, uint32_t i, const struct shard *shard, struct error *error) WARN_UNUSED;
/* The same where the source is files: one folder, which later files of the same task get too (the link knows its own by their bytes). NULL + error. */
const char *work_dir_assign_files(struct work_dir *dir, struct error *error) WARN_UNUSED;

#endif
