/* What servers are able to take, by family and version.
 * Thread: values. */
#ifndef KEYFERRY_SINK_ABILITIES_H
#define KEYFERRY_SINK_ABILITIES_H

#include "peer/server.h"
#include "sink/encode.h"

#define ABILITIES_BULK_MAX_DEFAULT (512ULL << 20) /* proto-max-bulk-len where it is not told */

/* `redis`, `valkey`, and all that one version has and another has not; proto-max-bulk-len is taken for the default, what only its settings or the task tell is not set. */
struct target_abilities abilities_of_server(const struct server_info *info);
/* What both have. `name`, `databases` and what the task wants stay as they are. */
void abilities_meet(struct target_abilities *all, const struct target_abilities *one);
/* Does RESTORE take a payload whose footer has this RDB version? Its bytes may be refused all the same. */
bool abilities_take_version(const struct target_abilities *target, int rdb_version);

#endif
