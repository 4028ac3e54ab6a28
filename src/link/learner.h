/* The learner: asks the target's COMMAND INFO about a command that the table does not know (a module's, or a newer server's).
 * Keeps asking while the target is away. Thread: the link's applier. */
#ifndef KEYFERRY_LINK_LEARNER_H
#define KEYFERRY_LINK_LEARNER_H

#include "peer/topology.h"
#include "wire/command.h"

struct learner;

struct learner *learner_new(struct loop *loop, struct deployment *target, const struct topology *topology, const char *name,
			    struct command_table *table);
void learner_free(struct learner *learner);
/* One question at a time. `told` gets the entry, now in the table, or NULL: the target does not know the command. */
void learner_ask(struct learner *learner, struct slice name, void (*told)(void *owner, const struct command_info *info),
		 void *owner);

#endif
