/* What is asked of a source before source.mode scan may begin: the rights that reading by SCAN and DUMP takes, and whether the source tells of its changes.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_LINK_SCAN_RIGHTS_H
#define KEYFERRY_LINK_SCAN_RIGHTS_H

#include "peer/topology.h"

/* Which server of a shard is read, as source.read_from says. */
struct endpoint scan_rights_read_from(const struct task_options *task, const struct shard *shard);

/* Asks the server of a shard that will be read. ERROR_PRECHECK names what is missing, and the command that gives it; `warn` is called with finished sentences. */
bool scan_rights_check(const struct task_options *task, struct loop *loop, struct deployment *source, uint32_t shard,
		       void (*warn)(void *owner, const char *text), void *owner, struct error *error) WARN_UNUSED;

#endif
