/* What the parts of the precheck share: the run, and what is known of both sides.
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_PRECHECK_STATE_H
#define KEYFERRY_PRECHECK_PRECHECK_STATE_H

#include "precheck/item.h"
#include "precheck/node.h"
#include "precheck/precheck.h"
#include "precheck/usage.h"

struct precheck {
	const struct precheck_options *options;
	struct node *nodes; /* of both sides; masters stand in the order of their shards */
	uint32_t node_count;
	struct usage usage;
	struct target_abilities abilities;
	char target_name[64];
	struct precheck_report report;
};

/* The next master of a side behind `node` (NULL: the first) that has answered. */
const struct node *precheck_next_master(const struct precheck *precheck, enum precheck_side side, const struct node *node);
/* Is it a cluster? False also where it could not be opened. */
bool precheck_is_cluster(const struct precheck *precheck, enum precheck_side side);

/* The snapshot of one source master, as far as can be told before: at most so many bytes, in about so many seconds, and what holds it up. */
struct estimate {
	uint64_t bytes;
	uint64_t keys;
	double seconds;
	const char *limit; /* "limit.spec", "rdb_last_bgsave_time_sec" ... */
};
struct estimate precheck_estimate(const struct precheck *precheck, const struct node *source);

#endif
