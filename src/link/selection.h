/* What of the source is copied: the chosen databases, and never keyferry's own keys or the heartbeat.
 * Thread: none. */
#ifndef KEYFERRY_LINK_SELECTION_H
#define KEYFERRY_LINK_SELECTION_H

#include "decode/event.h"
#include "task/options.h"

enum selection { SELECTION_COPY, SELECTION_LEAVE, SELECTION_HEARTBEAT, SELECTION_REFUSED };

/* For keys of the snapshot and commands of the stream alike. REFUSED (ERROR_CONFLICT): a command touches chosen and other databases together. */
enum selection selection_of(const struct task_options *options, const struct event *event, struct error *error);

/* Keys that keyferry itself keeps in a target; a source that is another task's target holds them too. */
bool selection_is_own_key(struct slice key);

#endif
