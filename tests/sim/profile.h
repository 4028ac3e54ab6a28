/* What a run may meet, and what has to hold at its end.
 * Thread: constant. */
#ifndef KEYFERRY_TESTS_SIM_PROFILE_H
#define KEYFERRY_TESTS_SIM_PROFILE_H

#include "load.h"

enum fault {
	FAULT_SOURCE_LINK = 1 << 0,    /* connections to the source are cut, or fall silent; the process hangs */
	FAULT_SOURCE_RENAME = 1 << 1,  /* a source failover without loss: the same history under another id */
	FAULT_SOURCE_RESYNC = 1 << 2,  /* the backlog is too short, or a failover lost something: a full resync */
	FAULT_TARGET_LINK = 1 << 3,    /* the same as for the source; nodes down or frozen for a while */
	FAULT_TARGET_REFUSES = 1 << 4, /* OOM, LOADING */
	FAULT_TARGET_MOVES = 1 << 5,   /* slots move between target nodes */
	FAULT_TARGET_LOSES = 1 << 6,   /* failover or restart of a target node that loses acknowledged writes */
	FAULT_STOP = 1 << 7,           /* keyferry is stopped and started again */
	FAULT_KILL = 1 << 8,           /* kill -9 */
	FAULT_POWER = 1 << 9,          /* kill -9, and what was not synced is gone from the disk */
	FAULT_SOURCE_MOVES =
		1 << 10, /* slots move between source masters, in all directions, some at a time; each of them once, and not
					* before the first snapshots are applied */
	FAULT_SOURCE_RETURNS = 1 << 11, /* the same, and they come back, or go on to a third one, as soon as may be */
};

/* What the target must be at the end, compared with the source. */
enum promise {
	PROMISE_NOTHING, /* keyferry must have caught up and be running, or have stopped at a conflict, that is all */
	PROMISE_EXACT,   /* what the source is */
};

struct profile {
	const char *name;
	unsigned faults;
	enum promise promises[LOAD_ALL + 1]; /* of LOAD_SAFE, LOAD_ALL */
};

/* NULL: no such name. */
const struct profile *profile_find(const char *name);
extern const struct profile profiles[];
extern const unsigned profile_count;

#endif
