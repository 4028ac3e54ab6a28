/* The outlet to a deployment of servers: dispatch and sink.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_SERVER_OUTLET_H
#define KEYFERRY_LINK_SERVER_OUTLET_H

#include "link/outlet.h"

struct server_outlet_options {
	struct loop *loop;
	const struct task_options *task;
	struct deployment *target;
	const struct topology *topology;
	struct target_abilities abilities;
	bool only_link;                                /* the source has one master: FLUSHALL means the whole target */
	bool (*owns)(void *owns_owner, uint16_t slot); /* not the only link: does its source master own that slot? */
	void *owns_owner;
	const char *names_path; /* dispatch.h */
	bool brought_before;    /* dispatch.h */
	const char *name;       /* of its connections */
	struct spool *spool;
	struct lag *lag;
	struct scripts *scripts;             /* NULL: none are remembered */
	struct tally *tally;                 /* as the sink's */
	const struct marker_options *marker; /* as of each begin(); NULL: the target keeps no marks */
};

struct outlet server_outlet_new(const struct server_outlet_options *options, const struct outlet_events *events, void *owner);

#endif
