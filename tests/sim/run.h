/* One seed: a world is made, goes on for a while with load and faults, comes to rest, and is looked at.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_RUN_H
#define KEYFERRY_TESTS_SIM_RUN_H

#include "profile.h"

struct run_options {
	uint64_t seed;
	const struct profile *profile;
	enum load_kind load;
	bool strict;        /* exact, whatever the profile promises */
	bool show;          /* the trace on standard output */
	const char *folder; /* an empty one, for the work directory; it is empty again afterwards */
	void (*mutate)(struct site *source, struct site *target); /* NULL: nothing is broken */
};

struct run_result {
	bool good;
	char why[512]; /* when it is not */
	uint64_t hash; /* of the trace */
	uint64_t commands, steps;
	uint64_t virtual_us;
	uint64_t starts; /* of keyferry */
	uint64_t full_resyncs, moves, source_moves, failovers;
};

void run_seed(const struct run_options *options, struct run_result *ret);

#endif
