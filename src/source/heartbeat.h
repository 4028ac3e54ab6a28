/* The heartbeat of one source shard, and the sampling of its offsets: what the lag is measured by.
 *
 * Each interval: SETEX <key> <ttl> <Unix ms> on the source master (key DTS_REDIS_TIMESTAMP_HEARTBEAT, on a cluster with a {tag} that lands in the
 * shard's slots), and INFO replication for master_repl_offset. The applier meets the key in the stream, drops it, and reports it. Where writing is
 * not permitted or the heartbeat is off, the lag comes from the sampled offsets alone.
 * Thread: the receiver's loop; functions marked (any) from every thread. */
#ifndef KEYFERRY_SOURCE_HEARTBEAT_H
#define KEYFERRY_SOURCE_HEARTBEAT_H

#include "net/loop.h"
#include "peer/client.h"
#include "source/samples.h"
#include "wire/slot.h"

#define HEARTBEAT_KEY "DTS_REDIS_TIMESTAMP_HEARTBEAT"
#define HEARTBEAT_NAME_MAX 64

struct heartbeat;

struct heartbeat_options {
	struct client_options client; /* of the source master */
	bool write;                   /* false: sample only */
	bool fed;                     /* samples are not taken, they come by heartbeat_feed() */
	bool cluster;
	uint16_t slot;                /* cluster: a slot of this shard, for the tag */
	uint32_t interval_ms;         /* of the writes */
	uint32_t sample_ms;           /* between samples of the offset; 0: 1000 */
	uint32_t hurry_ms;            /* the same while hurries() answers true */
	bool (*hurries)(void *owner); /* NULL: never. `owner` is that of the notes */
};

/* note: finished sentences for the log (no permission: once, as a warning). */
struct heartbeat *heartbeat_new(struct loop *loop, const struct heartbeat_options *options,
				void (*note)(void *owner, int log_level, const char *text), void *owner);
void heartbeat_free(struct heartbeat *heartbeat);
/* The shard's slots have moved: this is one of those that it has now. */
void heartbeat_rename(struct heartbeat *heartbeat, uint16_t slot);
void heartbeat_move(struct heartbeat *heartbeat, const struct endpoint *endpoint, uint16_t slot);

/* Its last writing was answered well. */
bool heartbeat_is_written(const struct heartbeat *heartbeat);
/* A sample of the owner's: begun (its number, for struct sample), and known. Begun ones may be left. */
uint64_t heartbeat_begin_sample(struct heartbeat *heartbeat);
void heartbeat_feed(struct heartbeat *heartbeat, const struct sample *sample);

/* The name of a shard's: `slot`, on a cluster, is one of its. Returns out. */
const char *heartbeat_name(bool cluster, uint16_t slot, char out[HEARTBEAT_NAME_MAX]);
/* Is this key a heartbeat (of any shard)? Exactly the name, or the name with ":{...}". */
bool heartbeat_is_key(struct slice key);

/* (any) The source's offset as sampled last, and when (clock_monotonic_us()); false: not sampled yet. */
bool heartbeat_source_offset(const struct heartbeat *heartbeat, int64_t *ret_offset, uint64_t *ret_at_us);
/* (any) A sample taken after the call will be awaited: returns a ticket; heartbeat_sampled_since() gives the offset sampled after it. */
uint64_t heartbeat_ticket(struct heartbeat *heartbeat);
bool heartbeat_sampled_since(const struct heartbeat *heartbeat, uint64_t ticket, int64_t *ret_offset);
/* (any) When had the source certainly executed all up to `offset` of the history of that replication id, by clock_monotonic_us()? *ret_to: the same is true up to there.
 * False: not known. */
bool heartbeat_executed(const struct heartbeat *heartbeat, const char *history, int64_t offset, uint64_t *ret_us,
			int64_t *ret_to);
/* (any) An offset behind all that the source had executed by that time, the lowest that is known. False: none is known; heartbeat_ticket() brings one.
 * *ret_same: it is of the history of that replication id; or the server does not tell. */
bool heartbeat_fence(const struct heartbeat *heartbeat, const char *history, uint64_t us, int64_t *ret_offset, bool *ret_same);
/* (any) Asked of a source that has no slots any more: as a replica of another master, but before it has taken over that one's history, it still tells where its own has
 * ended. False: it was not seen so with the history `replid`. */
bool heartbeat_ended(const struct heartbeat *heartbeat, const char *replid, int64_t *ret_offset);
/* (any) Which master the source says of each of these slots (bits; NULL: all) that it is, by CLUSTER SLOTS, asked at that time (clock_monotonic_us()) or later: a digest, to be
 * compared with another one's. *ret_answered_us: when that was known. False: not known; it is asked for. */
bool heartbeat_owners(struct heartbeat *heartbeat, uint64_t us, const uint64_t *slots, uint64_t *ret_digest,
		      uint64_t *ret_answered_us);
/* (any) When did the source stand at `offset`? The wall-clock ms of the latest sample at or below it; 0: unknown. */
int64_t heartbeat_time_of_offset(const struct heartbeat *heartbeat, int64_t offset);

#endif
