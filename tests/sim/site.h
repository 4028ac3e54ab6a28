/* A deployment of model servers: one standalone shard or a cluster of some, each with a master and a replica.
 *
 *   site -- shard -- node (master)  sessions: the connections of keyferry
 *                \-- node (replica) follows the shard's stream with a lag of its own; a failover makes it the master as far
 * as it has come
 *
 * A model executes the commands that keyferry and the load send, as real servers of version 6.2 do where it matters for
 * order and atomicity: databases, MULTI with a queue that an error poisons, MOVED, ASK, ASKING and TRYAGAIN, refusals, one
 * stream of effects per shard with replication ids and offsets, snapshots, partial and full resynchronisation. Commands have
 * no meaning beyond that.
 *
 * Files: site.c topology and what befalls it; server.c sessions and what every command goes through; commands.c data;
 * admin.c everything that tells about servers; replication.c the stream.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_SITE_H
#define KEYFERRY_TESTS_SIM_SITE_H

#include "keyspace.h"
#include "network.h"
#include "wire/resp.h"
#include "wire/slot.h"
#include "world.h"

#define SITE_SHARDS_MAX 4
#define SITE_NODES 2 /* of a shard */
#define REPLID_LEN 40
#define NO_DB UINT32_MAX

struct server;

enum replication_state { REPLICATION_NONE, REPLICATION_SAVING, REPLICATION_SENDING, REPLICATION_SENT, REPLICATION_ONLINE };

/* A connection, or what stands for one: the load, and a replica's applying of the stream. */
struct session {
	struct session *next;
	struct server *node;
	struct connection *connection; /* NULL: none */
	int64_t id;
	char name[96];
	uint32_t db;
	bool in_multi, poisoned, asking;
	bool replays;        /* commands come from the shard's stream */
	bool closing;        /* when all is written */
	struct buffer queue; /* of the transaction: whole commands */
	uint32_t queued;
	struct buffer in, out;
	struct resp_command_parser parser;
	struct occasion serve;
	enum replication_state replication;
	uint64_t sent; /* of the shard's stream */
	int64_t acknowledged;
	struct buffer snapshot;
	bool marked; /* the snapshot's end is marked ($EOF:) */
	struct occasion save;
};

struct server {
	struct group *shard;
	struct host host;
	char id[REPLID_LEN + 1], run_id[REPLID_LEN + 1];
	struct keyspace data;
	struct session *sessions;
	bool loading, out_of_memory, cluster_down;
	uint64_t frozen_until;
	/* As a replica of its shard. */
	struct session replay;
	uint64_t applied;  /* of the shard's stream, whole commands and transactions */
	uint64_t replayed; /* the same with the commands of a transaction that is not whole */
	uint64_t lag_us;
	bool cut_off;
	struct occasion follow;
	/* What it believes of the cluster. */
	uint8_t view[SLOT_COUNT];
	uint8_t view_master[SITE_SHARDS_MAX];
	unsigned view_epoch[SITE_SHARDS_MAX];
	struct occasion gossip;
	struct occasion recover; /* from loading, from being frozen, from being down */
};

struct group {
	struct site *site;
	struct server nodes[SITE_NODES];
	unsigned master;
	unsigned epoch;       /* of its claim to its slots */
	struct buffer stream; /* all of it; its first byte has offset `base` + 1 */
	int64_t base;
	uint64_t backlog; /* bytes of the stream that a replica may still ask for */
	uint32_t stream_db;
	char replid[REPLID_LEN + 1], replid2[REPLID_LEN + 1];
	int64_t second_offset; /* up to which replid2 names the same history */
	uint64_t full_resyncs;
	int64_t acknowledged; /* by the link, on the newest connection */
};

struct moving_slot {
	bool active;
	uint16_t slot;
	uint8_t from, to;
	struct occasion step;
};

struct site {
	const char *name;
	bool cluster;
	struct group shards[SITE_SHARDS_MAX];
	unsigned shard_count;
	uint8_t owner[SLOT_COUNT];
	unsigned epoch; /* the highest one that a shard has */
	struct moving_slot moving;
	int64_t ids;        /* of sessions */
	bool kills_refused; /* a mutation: CLIENT KILL says that it was done, and kills nobody */
	uint64_t moves, failovers;
};

/* ---- site.c ---- */

void site_init(struct site *site, const char *name, bool cluster, unsigned shards, unsigned subnet, uint64_t delay_us);
void site_free(struct site *site);
struct server *group_master(struct group *shard);
struct server *group_replica(struct group *shard);
static inline bool server_is_master(const struct server *node)
{
	return node == &node->shard->nodes[node->shard->master];
}
struct group *site_shard_of_slot(struct site *site, uint16_t slot);
/* Everything as it should be again: nodes up, replicas followed up, nothing refused. */
void site_heal(struct site *site);
/* The dead master's writes behind what its replica has are gone. `keep_address`: standalone; the data are replaced under the
 * same address, as by a restart from an older state. */
void site_fail_over(struct group *shard, uint64_t down_us);
void site_restart_older(struct group *shard, uint64_t down_us);
/* For so long. */
void server_freeze(struct server *node, uint64_t us);
void server_run_out_of_memory(struct server *node, uint64_t us);
void server_load(struct server *node, uint64_t us);
void server_go_down(struct server *node, uint64_t us);
void server_lose_cluster(struct server *node, uint64_t us); /* CLUSTERDOWN */
/* False: one is under way. */
bool site_move_slot(struct site *site, uint16_t slot, unsigned to);
/* The shard that executes a command of that slot now, as a client finds it that follows ASK; NULL: none does (TRYAGAIN), for its keys are on both sides of a move. */
struct group *site_serving(struct site *site, uint16_t slot, uint32_t argc, const struct slice *argv);
void site_random_id(char out[REPLID_LEN + 1]);
/* Everything that the masters hold, without what keyferry writes for itself. */
void site_collect(struct site *site, struct keyspace *into);

/* ---- server.c ---- */

void session_init(struct session *session, struct server *node, struct connection *connection);
void session_free(struct session *session);
/* Unlinks it from its node and frees it; its connection is closed. */
void session_end(struct session *session, bool aborted);
void session_flush(struct session *session);
/* Whole commands of `bytes` are executed; returns the bytes taken. */
size_t session_feed(struct session *session, struct slice bytes);
void session_execute(struct session *session, uint32_t argc, const struct slice *argv);
/* For the load; what was answered is thrown away. Returns whether it was an error. */
bool session_run(struct session *session, uint32_t argc, const struct slice *argv);
void server_accepted(void *owner, struct connection *connection);
void server_readable(void *owner, struct connection *connection);
void server_writable(void *owner, struct connection *connection);

void reply_raw(struct session *session, const char *text);
void reply_error(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct session *session, int64_t number);
void reply_bulk(struct session *session, struct slice text);
void reply_array(struct session *session, uint64_t count);

/* ---- commands.c, admin.c ---- */

enum model_flag { MODEL_WRITE = 1, MODEL_GROWS = 2, MODEL_ANY_TIME = 4 };

struct model_command {
	const char *name;
	unsigned least;        /* arguments, the name included */
	int first, last, step; /* keys; 0: none */
	unsigned flags;
	/* True: the data changed, and the command goes into the stream as it came. */
	bool (*run)(struct session *session, uint32_t argc, const struct slice *argv);
};

const struct model_command *data_command(struct slice name);
const struct model_command *admin_command(struct slice name);

/* ---- replication.c ---- */

void replication_append(struct group *shard, uint32_t db, uint32_t argc, const struct slice *argv);
void replication_ping(struct group *shard, bool ask_acknowledgement);
int64_t replication_offset(const struct group *shard);
/* Sends on what the session's connection takes. */
void replication_pump(struct session *session);
bool replication_psync(struct session *session, uint32_t argc, const struct slice *argv);
bool replication_replconf(struct session *session, uint32_t argc, const struct slice *argv);
void replication_drop(struct group *shard);
void replica_init(struct server *node);
void replica_follow(struct server *node);
/* Takes everything over at once, as after a full resync. */
void replica_copy(struct server *node);

#endif
