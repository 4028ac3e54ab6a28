/* One side of a verification: an asker for each master, found by a key's slot.
 *
 * Answers that say "not here" or "not now" (MOVED, CLUSTERDOWN, LOADING ...) leave a key unread; it is asked for again in a later round, for which the map is read anew.
 * Thread: the loop's; side_open() and side_refresh() run the loop (straight-line). */
#ifndef KEYFERRY_VERIFY_SIDE_H
#define KEYFERRY_VERIFY_SIDE_H

#include "peer/topology.h"
#include "verify/asker.h"

struct side {
	struct deployment *deployment;
	struct loop *loop;
	const struct deployment_options *options;
	const char *name;
	uint32_t timeout_ms;
	enum error_kind blame;
	const atomic_bool *stop; /* NULL: never */
	struct asker **askers;   /* one per shard of the topology */
	uint32_t map_number;     /* how often the map has been read */
	uint32_t count;
	bool cluster;
	bool tells_times;                  /* PEXPIRETIME: Redis 7.0, Valkey */
	bool absolute_ttl;                 /* RESTORE ... ABSTTL: Redis 5.0, Valkey */
	bool exists_many;                  /* EXISTS of several keys: Redis 3.0.3, Valkey */
	bool moved;                        /* an answer said so: the map is to be read again */
	struct error error;                /* it is of no use any more; ERROR_NONE: it is */
	const struct asker_events *events; /* `idle` is the owner's */
	void (*turn)(void *owner);         /* something came, or failed */
	void *owner;
};

/* The strings and options outlive it. `stop`: true, and nothing is waited for any more. */
bool side_open(struct side *side, struct loop *loop, const struct deployment_options *options, const char *name,
	       uint32_t timeout_ms, enum error_kind blame, const atomic_bool *stop, void (*turn)(void *owner), void *owner,
	       struct error *error) WARN_UNUSED;
void side_close(struct side *side);
/* Nothing may be under way. */
bool side_refresh(struct side *side, struct error *error) WARN_UNUSED;
/* Asks a master straight-line; error replies are replies. A lost connection is made again for ASKER_PATIENCE_MS. *ret is valid until the next call. */
bool side_call(struct side *side, uint32_t shard, struct client_reply *ret, struct error *error, const char *first,
	       const char *second) WARN_UNUSED;
uint32_t side_shard(const struct side *side, struct slice key);
struct asker *side_asker(const struct side *side, struct slice key);
/* The shard whose master that is; SHARD_NONE: there is none any more. */
uint32_t side_shard_of(const struct side *side, const struct endpoint *master);
/* Does an error reply say "not here" or "not now"? Notes that the map is to be read again. */
bool side_is_passing(struct side *side, struct slice text);
/* An error reply: true, it may be otherwise later; else side->error says what it is. */
bool side_may_pass(struct side *side, const char *peer, struct slice text);

#endif
