/* Which master serves which slots: the map of one deployment.
 *
 * A standalone deployment (or the master that Sentinel names) is a topology of one shard that owns everything.
 * Made from CLUSTER SHARDS (7.0+), CLUSTER SLOTS (3.0+), or CLUSTER NODES where the others fail. Parsers are pure and fuzzed.
 * Thread: a value owned by one. */
#ifndef KEYFERRY_PEER_TOPOLOGY_H
#define KEYFERRY_PEER_TOPOLOGY_H

#include "peer/server.h"
#include "wire/slot.h"

#include <stdatomic.h>

#define TOPOLOGY_SHARDS_MAX 1024
#define SHARD_NONE UINT16_MAX

struct shard {
	struct endpoint master;
	char node_id[41];          /* empty when standalone */
	struct endpoint *replicas; /* healthy ones */
	uint32_t replica_count;
	uint32_t slots; /* how many it owns */
	uint64_t epoch; /* of the master's claim to its slots: of two claims to one slot the higher one counts; 0: not known */
};

struct topology {
	bool cluster;
	struct shard *shards; /* in the order of their lowest slots */
	uint32_t shard_count;
	uint16_t owner[SLOT_COUNT]; /* index into shards, or SHARD_NONE */
	uint32_t uncovered;         /* slots without an owner */
	uint64_t epoch;             /* the cluster's current one, as the node that answered knows it; 0: not known */
};

void topology_free(struct topology *topology);

/* One server that owns everything. */
void topology_of_one(const struct endpoint *master, struct topology *ret);
/* Replies -> topology. `asked` is the node that answered: it stands in where the reply leaves the host empty. Shards without
 * slots are left out. False: malformed. */
bool topology_from_shards(const struct client_reply *reply, const struct endpoint *asked, bool tls, struct topology *ret);
bool topology_from_slots(const struct client_reply *reply, const struct endpoint *asked, struct topology *ret);
bool topology_from_nodes(struct slice text, const struct endpoint *asked, bool tls, struct topology *ret);
/* The reply of CLUSTER NODES, of the same node, fills in the masters' epochs, which the other two do not tell. Lines that cannot be read are passed over. */
void topology_take_epochs(struct topology *topology, struct slice nodes);

/* ---- discovery, straight-line on a loop of its own ---- */

struct deployment; /* an opened side of a task: options, TLS contexts, topology, server facts */

/* Tries each address in turn (and, with Sentinel, asks for the master), finds mode and shards, reads every master's
 * server_info. Fails with `blame`, listing each address tried and why it failed. */
struct deployment *deployment_open(struct loop *loop, const struct deployment_options *options, const char *client_name,
				   uint32_t timeout_ms, enum error_kind blame, struct error *error) WARN_UNUSED;
/* The same, and ends early, with an error, once *stop is true; so does whatever is asked of it later. */
struct deployment *deployment_open_until(struct loop *loop, const struct deployment_options *options, const char *client_name,
					 uint32_t timeout_ms, enum error_kind blame, const atomic_bool *stop,
					 struct error *error) WARN_UNUSED;
/* The same, but a master of a cluster that does not answer is no failure as long as another node tells the topology: it has no facts then. */
struct deployment *deployment_open_partly(struct loop *loop, const struct deployment_options *options, const char *client_name,
					  uint32_t timeout_ms, enum error_kind blame, struct error *error) WARN_UNUSED;
void deployment_free(struct deployment *deployment);
/* Reads the topology again from any node that still answers, another one first each time. A cluster's map of an epoch before the last
 * one's is not taken: a node that was cut off tells such. */
bool deployment_refresh(struct deployment *deployment, struct error *error) WARN_UNUSED;
const struct topology *deployment_topology(const struct deployment *deployment);
/* Facts of the master of shard i; valid until refresh. After a refresh NULL for a master that is new and did not answer;
 * one that was known before keeps its facts. */
const struct server_info *deployment_server(const struct deployment *deployment, uint32_t shard);
/* A client connected to the master of shard i; owned by the deployment. NULL + error: not reachable. */
struct client *deployment_client(struct deployment *deployment, uint32_t shard, struct error *error) WARN_UNUSED;
/* One to any of its nodes, whether the topology knows it or not; the caller's to free. */
struct client *deployment_client_at(struct deployment *deployment, const struct endpoint *endpoint);
/* What a connection of one's own to a node of this deployment needs (shared, read-only, lives as long as the deployment). */
struct tls_context *deployment_tls(const struct deployment *deployment);
struct tls_context *deployment_sentinel_tls(const struct deployment *deployment); /* of connections to the Sentinels */
const struct deployment_options *deployment_options(const struct deployment *deployment);

#endif
