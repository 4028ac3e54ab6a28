/* The clearing: FLUSHDB and FLUSHALL of a link that has no right to all that the target holds, and what is left of an earlier snapshot. What the link has brought is
 * found by a survey of the target's keys (transform_brought() judges them) and removed; what lies beside it stays.
 *
 * It begins when all that came before it is answered, and nothing that comes after it is handed in before it is done. Removals go the sink's
 * way, in order per slot, with all that it does about nodes that fail and slots that move. Told twice (a restart in the middle) it does no harm.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_CLEARING_H
#define KEYFERRY_LINK_CLEARING_H

#include "peer/topology.h"
#include "sink/sink.h"
#include "transform/transform.h"

struct clearing;

struct clearing_options {
	struct loop *loop;
	struct deployment *target;
	struct transform *transform; /* outlives it */
	struct target_abilities abilities;
	const char *name; /* of its connections */
	void (*note)(void *owner, int log_level, const char *text);
	void (*go_on)(void *owner); /* clearing_go_on() should be called, not from within this call */
	void *owner;
};

/* The removal of what an earlier snapshot had left; zero before there was one. */
struct clearing_leftovers {
	uint64_t passes;             /* such removals since the start */
	uint64_t removed, looked_at; /* by the last one */
	uint64_t us;
	uint64_t unclear; /* that stay, for they may have come from elsewhere */
};

struct clearing *clearing_new(const struct clearing_options *options);
void clearing_free(struct clearing *clearing);
/* A new sink: what was under way is forgotten. */
void clearing_reset(struct clearing *clearing, struct sink *sink);

/* `event`: FLUSHDB or FLUSHALL as the source sent it; its memory stays until it is done. */
void clearing_begin(struct clearing *clearing, const struct event *event, uint32_t db_stream);
/* `event`: the snapshot's end. All that the link has brought, less what keeps() answers true for. Where nobody can tell whether the link has brought a key, it stays. */
void clearing_begin_leftovers(struct clearing *clearing, const struct event *event, uint32_t db_stream,
			      bool (*keeps)(void *owner, uint32_t db, struct slice key), void *owner);
/* The one begun last. */
const struct event *clearing_event(const struct clearing *clearing);
struct clearing_leftovers clearing_leftovers(const struct clearing *clearing);
bool clearing_under_way(const struct clearing *clearing);

enum clearing_state { CLEARING_DONE, CLEARING_WAITS, CLEARING_FAILED };
/* Does what can be done now. FAILED: the error says why. DONE: the position is behind the command. */
enum clearing_state clearing_go_on(struct clearing *clearing, struct error *error);

#endif
