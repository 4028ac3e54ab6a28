/* The libraries: a master that joins the target cluster is given the function libraries that the others have.
 *
 * Libraries are no keys: they come with no slot, and commands for all masters go to those that own slots at that time. A master that gets its first slot later lacks them,
 * so FUNCTION DUMP of a master that was there before goes to it by FUNCTION RESTORE ... REPLACE. Calls in the stream do not depend on that (servers with functions
 * replicate effects), clients of the target do.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_LIBRARIES_H
#define KEYFERRY_LINK_LIBRARIES_H

#include "peer/topology.h"

struct libraries;

struct libraries_options {
	struct loop *loop;
	struct deployment *target;                                  /* read-only, outlives it */
	const char *name;                                           /* of its connections */
	void (*note)(void *owner, int log_level, const char *text); /* a finished sentence for the log */
	void (*settled)(void *owner); /* libraries_busy() has become false; not from within a call */
	void *owner;
};

struct libraries *libraries_new(const struct libraries_options *options);
void libraries_free(struct libraries *libraries);
/* The masters as of now. The first are taken as they are; one that was not named before is given what the first of the others has. */
void libraries_masters(struct libraries *libraries, const struct endpoint *masters, uint32_t count);
/* Copying is under way: a command that changes libraries has to wait, or the copy would undo it. */
bool libraries_busy(const struct libraries *libraries);

#endif
