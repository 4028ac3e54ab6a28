/* Rules that can be broken, to show that the simulator notices.
 *
 * The product has no switches for this: each mutation wraps one of its functions at link time (--wrap), or breaks a promise
 * of the world around it. Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_MUTATION_H
#define KEYFERRY_TESTS_SIM_MUTATION_H

#include "profile.h"

struct mutation {
	const char *name;
	const char *rule;    /* what is broken */
	const char *profile; /* under which it has to be noticed */
	enum load_kind load;
};

extern const struct mutation mutations[];
extern const unsigned mutation_count;

/* The one that is on; NULL: none. */
void mutation_choose(const struct mutation *mutation);
const struct mutation *mutation_find(const char *name);
/* The part of it that concerns the models. */
void mutation_apply(struct site *source, struct site *target);

#endif
