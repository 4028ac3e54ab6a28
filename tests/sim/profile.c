#include "profile.h"

#include <string.h>

#define SOURCE (FAULT_SOURCE_LINK | FAULT_SOURCE_RENAME)
#define TARGET (FAULT_TARGET_LINK | FAULT_TARGET_MOVES)
#define RETURNS (SOURCE | FAULT_TARGET_LINK | FAULT_SOURCE_MOVES | FAULT_SOURCE_RETURNS)
#define RESHARD (FAULT_SOURCE_LINK | FAULT_TARGET_LINK | FAULT_STOP | FAULT_KILL | FAULT_SOURCE_MOVES)
#define CRASH (FAULT_STOP | FAULT_KILL | FAULT_POWER)

/* The expected results; what is less than exact stands above, and becomes exact there in one line each. */
const struct profile profiles[] = {
	/* promises: of the safe load, and of all */
	{"none", 0, {PROMISE_EXACT, PROMISE_EXACT}},
	{"source", SOURCE, {PROMISE_EXACT, PROMISE_EXACT}},
	{"stop", SOURCE | FAULT_STOP, {PROMISE_EXACT, PROMISE_EXACT}},
	{"move", SOURCE | FAULT_TARGET_MOVES, {PROMISE_EXACT, PROMISE_EXACT}},
	{"refuse", SOURCE | FAULT_TARGET_REFUSES, {PROMISE_EXACT, PROMISE_EXACT}},
	{"target", SOURCE | TARGET, {PROMISE_EXACT, PROMISE_EXACT}},
	{"kill", SOURCE | FAULT_STOP | FAULT_KILL, {PROMISE_EXACT, PROMISE_EXACT}},
	{"crash", SOURCE | CRASH, {PROMISE_EXACT, PROMISE_EXACT}},
	{"mixed", SOURCE | TARGET | FAULT_TARGET_REFUSES | CRASH, {PROMISE_EXACT, PROMISE_EXACT}},
	{"resync", SOURCE | FAULT_SOURCE_RESYNC, {PROMISE_EXACT, PROMISE_EXACT}},
	{"failover", SOURCE | FAULT_TARGET_LINK | FAULT_TARGET_LOSES, {PROMISE_EXACT, PROMISE_EXACT}},
	{"all", (FAULT_POWER << 1) - 1, {PROMISE_EXACT, PROMISE_EXACT}},
	/* No power cuts: here they undo the renaming of a state file, whose folder keyferry syncs, and behind which another link may have gone on. And no new histories: two of them while
	 * keyferry is down make a full resync, which must not come while a slot is half moved (docs/delivery.md). */
	{"reshard", RESHARD, {PROMISE_EXACT, PROMISE_EXACT}},
	/* docs/delivery.md, "Not covered", says what may differ then; but it goes on. */
	{"rebalance", RETURNS, {PROMISE_NOTHING, PROMISE_NOTHING}},
	{"upheaval", RETURNS | FAULT_SOURCE_RESYNC | CRASH, {PROMISE_NOTHING, PROMISE_NOTHING}},
};

const unsigned profile_count = sizeof(profiles) / sizeof(profiles[0]);

const struct profile *profile_find(const char *name)
{
	for (unsigned i = 0; i < profile_count; i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}
