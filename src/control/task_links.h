/* The links of a task whose source is servers: one per source master, at the start, and as masters come and go.
 *
 *   a master gets its first slot --> link, begins with a snapshot --> follows its shard through failovers
 *                                                                            |
 *   forgotten: folder, marks in the target <-- link ends <-- no slots any more, and all that it ever did with them is applied
 *
 * What a new link's snapshot holds came to that master from others, by commands in their streams: it is applied behind those (link/handover.h), and so nothing else has
 * to be done for the beginning. At its end nobody waits for the link any more. Who is killed in between goes on with the next start: a link that an earlier run has left,
 * and whose shard is gone, is begun like the others, and ends in the same way.
 * Targets that are files keep the shards apart, and a source that is read by SCAN has no order to be kept: there masters that come are followed from the next start on.
 * Thread: the control thread; callbacks of the watch its own. */
#ifndef KEYFERRY_CONTROL_TASK_LINKS_H
#define KEYFERRY_CONTROL_TASK_LINKS_H

#include "control/task_state.h"

/* Opens the links of all masters; nothing runs yet. */
bool task_links_open(struct task *task, struct error *error) WARN_UNUSED;
/* Starts the watch (control/source_watch.h), from which links come and go. source_watch_stop() ends that; `stopping` is set before. */
bool task_links_watch(struct task *task, struct error *error) WARN_UNUSED;

#endif
