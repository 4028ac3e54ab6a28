/* Keeps the target's topology fresh: asks a node (or, with Sentinel, the Sentinels) when told that something has moved.
 *
 * One question at a time, at most one each second while wanted; the nodes known to work are asked first, then every other known address in turn.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_REFRESH_H
#define KEYFERRY_SINK_REFRESH_H

#include "net/loop.h"
#include "peer/topology.h"

struct refresh;

struct refresh_events {
	/* Fills up to max endpoints worth asking, best first; returns their number. Called when a question is due. */
	uint32_t (*candidates)(void *owner, struct endpoint *out, uint32_t max);
	/* A new map of the target; the callee may keep nothing of it. False: it is older than what is known already, in part at least: another node is asked. */
	bool (*topology)(void *owner, const struct topology *topology);
};

/* `target` tells mode, credentials and the addresses of the task document. A standalone target has nothing to ask: no question is made. */
struct refresh *refresh_new(struct loop *loop, struct deployment *target, bool cluster, const char *name, uint32_t timeout_ms,
			    const struct refresh_events *events, void *owner);
void refresh_free(struct refresh *refresh);
/* Something has moved: ask soon. */
void refresh_want(struct refresh *refresh);

#endif
