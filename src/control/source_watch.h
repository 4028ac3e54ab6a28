/* The source watch: finds out which server is the master of each link's shard now, so that a failover of the source moves the link to it.
 *
 *   all links connected: the source's map is read every 10 s, that of a cluster every 2 s;    a link has lost its master, slots move, or a link has none: every second
 *
 * A link stays with its master while that is one. Otherwise it follows the shard that has its old master as a replica, or else the one that has taken
 * most of its slots; a shard that another link has is nobody else's. A shard that is nobody's gets a link of its own, and one without a shard may end. With Sentinel the master is the one that it names, and of a standalone source
 * given by several addresses the one that is a master.
 * A map that is older than one seen before (a node cut off from its cluster tells such) is not believed.
 * Thread: one of its own, on which the events are called. */
#ifndef KEYFERRY_CONTROL_SOURCE_WATCH_H
#define KEYFERRY_CONTROL_SOURCE_WATCH_H

#include "peer/topology.h"

#define NO_SHARD UINT32_MAX

struct source_watch;

struct source_watch_events {
	/* The link's shard, at each reading. False: it stays where it was (the new master cannot be reached). */
	bool (*seen)(void *owner, uint32_t link, struct deployment *source, uint32_t shard);
	/* A shard of a cluster that no link has. True: it has one from now on, whose number is the next one. False: asked again at the next reading. */
	bool (*came)(void *owner, struct deployment *source, uint32_t shard);
	/* At each reading, behind that: the link of each slot, as far as it is known; NO_SHARD: there is none. */
	void (*mapped)(void *owner, const uint32_t *link_of_slot);
	/* Behind that, of each link without a shard: has it ended? It is not asked about again then. */
	bool (*left)(void *owner, uint32_t link);
	/* Are all links connected to their sources, and no slots moving? */
	bool (*calm)(void *owner);
};

struct source_watch_options {
	const struct deployment_options *source; /* outlives it */
	const char *client_name;
	uint32_t connect_timeout_ms;
	const struct topology *topology; /* as it was found when the links were made, one link per shard; copied */
	const struct endpoint *left;     /* masters of further links, that have no slots any more; copied */
	uint32_t left_count;
};

/* Starts the thread. */
struct source_watch *source_watch_start(const struct source_watch_options *options, const struct source_watch_events *events,
					void *owner, struct error *error) WARN_UNUSED;
/* Ends the thread. NULL is fine. */
void source_watch_stop(struct source_watch *watch);

/* What the watch knows of its links. */
struct followers {
	uint32_t count;
	struct endpoint *masters;          /* of each link; of one that has ended, with an empty host */
	uint32_t link_of_slot[SLOT_COUNT]; /* as last known; NO_SHARD: nobody's */
};
/* The shard that each link follows in `topology`, in shards[]; NO_SHARD: there is none now. Pure. */
void followers_match(const struct followers *followers, const struct topology *topology, uint32_t *shards);

#endif
