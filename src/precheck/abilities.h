/* The abilities of a deployment: what the oldest of its masters is able to take.
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_ABILITIES_H
#define KEYFERRY_PRECHECK_ABILITIES_H

#include "precheck/precheck_state.h"

/* Of the side's masters that have answered; `name`, which *ret points to, is that of the oldest. False: none has. */
bool abilities_read(const struct precheck *precheck, enum precheck_side side, struct target_abilities *ret,
		    char name[64]) WARN_UNUSED;
/* Where the source is files and the target too: nothing is known of who will load them, and what is in them they have to know in any case. */
struct target_abilities abilities_of_files(char name[64]);

#endif
