#include "site.h"

#include "source/heartbeat.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT 6379
#define STREAM_MAX (1u << 30)
#define OWN_PREFIX "keyferry" /* keys that keyferry writes for itself */

void site_random_id(char out[REPLID_LEN + 1])
{
	for (int i = 0; i < REPLID_LEN; i++)
		out[i] = "0123456789abcdef"[chance_below(16)];
	out[REPLID_LEN] = '\0';
}

struct server *group_master(struct group *shard)
{
	return &shard->nodes[shard->master];
}

struct server *group_replica(struct group *shard)
{
	return &shard->nodes[SITE_NODES - 1 - shard->master];
}

struct group *site_shard_of_slot(struct site *site, uint16_t slot)
{
	return &site->shards[site->owner[slot]];
}

/* ---- gossip: what each node believes ---- */

static void learn(struct server *node)
{
	struct site *site = node->shard->site;

	memcpy(node->view, site->owner, sizeof(node->view));
	for (unsigned i = 0; i < site->shard_count; i++) {
		node->view_master[i] = (uint8_t)site->shards[i].master;
		node->view_epoch[i] = site->shards[i].epoch;
	}
}

static void on_gossip(void *owner)
{
	learn(owner);
}

/* Those concerned know at once, the others hear of it. */
static void spread_news(struct site *site, const struct group *a, const struct group *b)
{
	for (unsigned i = 0; i < site->shard_count; i++) {
		for (unsigned k = 0; k < SITE_NODES; k++) {
			struct server *node = &site->shards[i].nodes[k];

			if (node->shard == a || node->shard == b)
				learn(node);
			else
				occasion_plan_in(&node->gossip, chance_below(500 * MS));
		}
	}
}

/* ---- making and ending ---- */

static void end_sessions(struct server *node)
{
	while (node->sessions)
		session_end(node->sessions, true);
}

static void on_recover(void *owner)
{
	struct server *node = owner;

	node->host.state = HOST_UP;
	node->loading = node->out_of_memory = node->cluster_down = false;
	node->frozen_until = 0;
	/* What has waited in the sockets of a frozen server is served in whatever order. */
	for (struct session *session = node->sessions; session; session = session->next)
		if (session->connection)
			occasion_plan_in(&session->serve, chance_between(1, 3000));
}

static void node_init(struct server *node, struct group *shard, unsigned subnet, unsigned shard_number, unsigned number,
		      uint64_t delay_us)
{
	node->shard = shard;
	site_random_id(node->id);
	site_random_id(node->run_id);
	snprintf(node->host.endpoint.host, sizeof(node->host.endpoint.host), "10.%u.%u.%u", subnet, shard_number, number + 1);
	node->host.endpoint.port = PORT;
	node->host.accepted = server_accepted;
	node->host.readable = server_readable;
	node->host.writable = server_writable;
	node->host.owner = node;
	node->host.delay_us = delay_us;
	node->lag_us = chance_between(1, 20) * MS;
	occasion_init(&node->gossip, on_gossip, node);
	occasion_init(&node->recover, on_recover, node);
	replica_init(node);
	network_add(&node->host);
}

static void on_move_step(void *owner);

void site_init(struct site *site, const char *name, bool cluster, unsigned shards, unsigned subnet, uint64_t delay_us)
{
	site->name = name;
	site->cluster = cluster;
	site->shard_count = shards;
	for (unsigned i = 0; i < shards; i++) {
		struct group *shard = &site->shards[i];

		shard->site = site;
		shard->epoch = ++site->epoch;
		shard->stream_db = NO_DB;
		shard->backlog = 1u << 20;
		shard->acknowledged = -1;
		shard->base = (int64_t)chance_below(100000);
		site_random_id(shard->replid);
		buffer_init(&shard->stream, STREAM_MAX);
		for (unsigned k = 0; k < SITE_NODES; k++)
			node_init(&shard->nodes[k], shard, subnet, i, k, delay_us);
	}
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		site->owner[slot] = (uint8_t)(slot * shards / SLOT_COUNT);
	for (unsigned i = 0; i < shards; i++)
		for (unsigned k = 0; k < SITE_NODES; k++)
			learn(&site->shards[i].nodes[k]);
	occasion_init(&site->moving.step, on_move_step, site);
}

void site_free(struct site *site)
{
	occasion_cancel(&site->moving.step);
	for (unsigned i = 0; i < site->shard_count; i++) {
		for (unsigned k = 0; k < SITE_NODES; k++) {
			struct server *node = &site->shards[i].nodes[k];

			end_sessions(node);
			session_free(&node->replay);
			keyspace_free(&node->data);
			occasion_cancel(&node->gossip);
			occasion_cancel(&node->recover);
			occasion_cancel(&node->follow);
		}
		buffer_free(&site->shards[i].stream);
	}
}

void site_heal(struct site *site)
{
	for (unsigned i = 0; i < site->shard_count; i++) {
		for (unsigned k = 0; k < SITE_NODES; k++) {
			struct server *node = &site->shards[i].nodes[k];

			occasion_cancel(&node->recover);
			on_recover(node);
			if (!server_is_master(node) && node->cut_off)
				replica_copy(node);
		}
	}
}

/* ---- troubles of one node ---- */

static const char *place(const struct server *node)
{
	return node->host.endpoint.host;
}

void server_freeze(struct server *node, uint64_t us)
{
	trace("fault: %s is frozen for %.3f s", place(node), (double)us / SECOND);
	node->frozen_until = world_now() + us;
	occasion_plan_in(&node->recover, us);
}

void server_run_out_of_memory(struct server *node, uint64_t us)
{
	trace("fault: %s is out of memory for %.3f s", place(node), (double)us / SECOND);
	node->out_of_memory = true;
	occasion_plan_in(&node->recover, us);
}

void server_load(struct server *node, uint64_t us)
{
	trace("fault: %s loads for %.3f s", place(node), (double)us / SECOND);
	node->loading = true;
	occasion_plan_in(&node->recover, us);
}

void server_go_down(struct server *node, uint64_t us)
{
	trace("fault: %s goes down for %.3f s", place(node), (double)us / SECOND);
	node->host.state = chance_of(70) ? HOST_DOWN : HOST_UNREACHABLE;
	end_sessions(node);
	occasion_plan_in(&node->recover, us);
}

void server_lose_cluster(struct server *node, uint64_t us)
{
	trace("fault: %s has lost its cluster for %.3f s", place(node), (double)us / SECOND);
	node->cluster_down = true;
	occasion_plan_in(&node->recover, us);
}

/* ---- failover ---- */

/* The history that the new master goes on with: as far as it had come. */
static void take_over(struct group *shard, uint64_t kept)
{
	uint64_t lost = shard->stream.end - kept;

	memcpy(shard->replid2, shard->replid, sizeof(shard->replid2));
	shard->second_offset = shard->base + (int64_t)kept;
	site_random_id(shard->replid);
	shard->stream.end = kept;
	shard->stream_db = NO_DB;
	shard->site->failovers++;
	trace("fault: %s: failover, %llu bytes are lost", shard->site->name, (unsigned long long)lost);
}

void site_fail_over(struct group *shard, uint64_t down_us)
{
	struct server *old = group_master(shard), *new = group_replica(shard);

	end_sessions(old);
	end_sessions(new);
	if (new->replayed > new->applied) { /* a transaction that did not arrive whole */
		session_free(&new->replay);
		session_init(&new->replay, new, NULL);
		new->replay.replays = true;
		new->replayed = new->applied;
	}
	take_over(shard, new->applied);
	shard->master = (unsigned)(new - shard->nodes);
	shard->epoch = ++shard->site->epoch;
	replica_copy(old);
	spread_news(shard->site, shard, shard);
	server_go_down(old, down_us);
}

void site_restart_older(struct group *shard, uint64_t down_us)
{
	struct server *master = group_master(shard), *replica = group_replica(shard);

	end_sessions(master);
	take_over(shard, replica->applied);
	shard->replid2[0] = '\0'; /* a restarted server knows its history no more */
	keyspace_copy(&master->data, &replica->data);
	site_random_id(master->run_id);
	replica_copy(replica);
	server_go_down(master, down_us);
}

/* ---- moving a slot ---- */

struct search {
	uint16_t slot;
	struct text found;
};

static void look_for_key(void *owner, unsigned db, const struct key *key)
{
	struct search *search = owner;

	(void)db;
	if (!search->found.data && slot_of_key(text_slice(&key->name)) == search->slot)
		search->found = key->name;
}

/* MIGRATE of one key. */
static void migrate(struct server *from, struct server *to, struct slice name)
{
	struct value *value = keyspace_find(&from->data, 0, name);
	struct buffer payload;
	char copy[256];
	struct slice key = slice_make(copy, name.len);
	struct session session;

	assert(name.len < sizeof(copy));
	memcpy(copy, name.data, name.len);
	buffer_init(&payload, 256u << 20);
	keyspace_dump(value, &payload);
	session_init(&session, to, NULL);
	session_run(&session, 5,
		    (struct slice[]){SLICE("RESTORE-ASKING"), key, SLICE("0"), buffer_readable(&payload), SLICE("REPLACE")});
	session_free(&session);
	session_init(&session, from, NULL);
	session_run(&session, 2, (struct slice[]){SLICE("DEL"), key});
	session_free(&session);
	buffer_free(&payload);
	/* No failover takes a key back to where it is not any more: real clusters lose it then, and nobody could help. */
	replica_follow(group_replica(from->shard));
	replica_follow(group_replica(to->shard));
	trace("%.*s moves from %s to %s", (int)key.len, copy, place(from), place(to));
}

static bool can_migrate(const struct server *server)
{
	return server->host.state == HOST_UP && !server->loading && !server->out_of_memory && server->frozen_until <= world_now();
}

static void on_move_step(void *owner)
{
	struct site *site = owner;
	struct moving_slot *moving = &site->moving;
	struct group *from = &site->shards[moving->from], *to = &site->shards[moving->to];
	struct search search = {.slot = moving->slot};

	if (!can_migrate(group_master(from)) || !can_migrate(group_master(to))) {
		occasion_plan_in(&moving->step, 100 * MS);
		return;
	}
	keyspace_each(&group_master(from)->data, look_for_key, &search);
	if (search.found.data) {
		migrate(group_master(from), group_master(to), text_slice(&search.found));
		occasion_plan_in(&moving->step, chance_between(1, 30) * MS);
		return;
	}
	moving->active = false;
	site->owner[moving->slot] = moving->to;
	if (to->epoch < site->epoch)
		to->epoch = ++site->epoch;
	site->moves++;
	trace("slot %u is moved to %s", moving->slot, place(group_master(to)));
	spread_news(site, from, to);
}

bool site_move_slot(struct site *site, uint16_t slot, unsigned to)
{
	if (site->moving.active || site->owner[slot] == to)
		return false;
	site->moving.active = true;
	site->moving.slot = slot;
	site->moving.from = site->owner[slot];
	site->moving.to = (uint8_t)to;
	trace("fault: slot %u begins to move to shard %u", slot, to);
	occasion_plan_in(&site->moving.step, chance_between(1, 200) * MS);
	return true;
}

/* ---- looking at it ---- */

static void collect_key(void *owner, unsigned db, const struct key *key)
{
	struct slice name = text_slice(&key->name);
	struct value *value;

	if (slice_starts_with(name, SLICE(OWN_PREFIX)) || heartbeat_is_key(name))
		return;
	value = keyspace_make(owner, db, name, key->value.type);
	for (size_t i = 0; i < key->value.count; i++)
		value_push(value, text_slice(&key->value.items[i]), false);
}

void site_collect(struct site *site, struct keyspace *into)
{
	for (unsigned i = 0; i < site->shard_count; i++)
		keyspace_each(&group_master(&site->shards[i])->data, collect_key, into);
}
