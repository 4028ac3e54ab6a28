#include "peer/topology.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The master of one shard. */
struct member {
	struct client *client; /* NULL: none yet */
	struct server_info info;
	bool known; /* info was read */
};

struct deployment {
	struct loop *loop;
	const struct deployment_options *options;
	char *client_name; /* NULL: none */
	uint32_t timeout_ms;
	enum error_kind blame;
	struct tls_context *tls;
	struct tls_context *sentinel_tls;
	const atomic_bool *stop; /* NULL: never */
	uint32_t refreshes;
	struct topology topology;
	struct member *members; /* one a shard */
};

/* What was tried and why it failed, for one error in the end. */
struct attempts {
	struct error first;
	char texts[sizeof(((struct error *)0)->text)];
	uint32_t count;
};

static const char *side(const struct deployment *deployment)
{
	return deployment->blame == ERROR_TARGET ? "target" : "source";
}

static void attempts_add(struct attempts *attempts, const struct error *error)
{
	size_t used = strlen(attempts->texts);

	if (attempts->count++ == 0)
		attempts->first = *error;
	snprintf(attempts->texts + used, sizeof(attempts->texts) - used, "%s%s", used > 0 ? "; " : "", error->text);
}

/* Always false. */
static bool attempts_fail(const struct deployment *deployment, const struct attempts *attempts, struct error *error)
{
	if (attempts->count == 1) {
		/* It names the node; which side that is, an operator with two of them wants to be told as well. */
		error_set(error, attempts->first.kind, "%s %s", side(deployment), attempts->first.text);
		error_hint(error, "%s", attempts->first.hint);
		if (!error->hint[0])
			error_hint(error, "check %s.address, and that the server is running and can be reached from here",
				   side(deployment));
		return false;
	}
	error_set(error, deployment->blame, "none of the %u addresses of the %s can be used: %s", attempts->count,
		  side(deployment), attempts->texts);
	error_hint(error, "%s", attempts->first.hint);
	return false;
}

/* ---- connections ---- */

static struct client *node_client(struct deployment *deployment, const struct endpoint *endpoint)
{
	struct client_options options = {
		.endpoint = *endpoint,
		.credentials = &deployment->options->credentials,
		.tls = deployment->tls,
		.name = deployment->client_name,
		.timeout_ms = deployment->timeout_ms,
		.blame = deployment->blame,
		.stop = deployment->stop,
	};

	return client_new(deployment->loop, &options);
}

static void members_free(struct member *members, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		client_free(members[i].client);
	free(members);
}

/* ---- reading the topology ---- */

static bool topology_ask_shards(struct client *client, const struct endpoint *asked, bool tls, struct topology *ret,
				struct error *error)
{
	struct client_reply reply;

	return client_call(client, &reply, false, error, "CLUSTER", "SHARDS", NULL) &&
	       topology_from_shards(&reply, asked, tls, ret);
}

static bool topology_ask_slots(struct client *client, const struct endpoint *asked, bool tls, struct topology *ret,
			       struct error *error)
{
	struct client_reply reply;

	(void)tls;
	return client_call(client, &reply, false, error, "CLUSTER", "SLOTS", NULL) && topology_from_slots(&reply, asked, ret);
}

static bool topology_ask_nodes(struct client *client, const struct endpoint *asked, bool tls, struct topology *ret,
			       struct error *error)
{
	struct client_reply reply;

	return client_call(client, &reply, false, error, "CLUSTER", "NODES", NULL) && reply.nodes[0].type == RESP_BULK &&
	       topology_from_nodes(reply.nodes[0].text, asked, tls, ret);
}

/* Asks in the newest way that the server knows; a refused or unreadable answer leads to the next older one. */
static bool topology_ask(struct client *client, const struct server_info *info, const struct endpoint *asked, bool tls,
			 struct topology *ret, struct error *error)
{
	error_set(error, client_blame(client), "%s: its answers to CLUSTER SHARDS, SLOTS and NODES cannot be read",
		  client_peer(client));
	if (info->version >= VERSION(7, 0, 0) && topology_ask_shards(client, asked, tls, ret, error))
		return true;
	if (!client_is_dead(client) && topology_ask_slots(client, asked, tls, ret, error))
		return true;
	return !client_is_dead(client) && topology_ask_nodes(client, asked, tls, ret, error);
}

/* The epoch that the node knows; 0 where it does not tell. */
static uint64_t epoch_ask(struct client *client)
{
	static const char field[] = "cluster_current_epoch:";
	struct client_reply reply;
	struct error ignored;
	struct slice text;
	uint64_t epoch = 0;

	if (!client_call(client, &reply, false, &ignored, "CLUSTER", "INFO", NULL) || reply.nodes[0].type != RESP_BULK)
		return 0;
	text = reply.nodes[0].text;
	for (size_t at = 0; at + sizeof(field) < text.len; at++) {
		struct slice rest = slice_make(text.data + at, text.len - at);

		if (slice_starts_with(rest, slice_of_string(field)))
			for (size_t i = sizeof(field) - 1; i < rest.len && rest.data[i] >= '0' && rest.data[i] <= '9'; i++)
				epoch = epoch * 10 + (uint64_t)(rest.data[i] - '0');
	}
	return epoch;
}

static struct member *member_find(struct deployment *deployment, const struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < deployment->topology.shard_count; i++) {
		if (endpoint_equal(&deployment->topology.shards[i].master, endpoint))
			return &deployment->members[i];
	}
	return NULL;
}

/* Reads the facts of every master of `topology`. All are connected to at once, so that the dead ones cost one timeout together.
 * With `lenient`, a master that does not answer keeps the facts that are known of it. */
static bool members_read(struct deployment *deployment, const struct topology *topology, struct member *members, bool lenient,
			 struct error *error)
{
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		struct member *old = member_find(deployment, &topology->shards[i].master);

		if (old) {
			members[i] = *old;
			old->client = NULL;
		}
		if (members[i].client && client_is_dead(members[i].client)) {
			client_free(members[i].client);
			members[i].client = NULL;
		}
		if (!members[i].client)
			members[i].client = node_client(deployment, &topology->shards[i].master);
	}
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		struct member *member = &members[i];

		if (server_info_fetch(member->client, &member->info, error)) {
			member->known = true;
		} else if (!lenient) {
			return false;
		} else if (client_is_dead(member->client)) {
			client_free(member->client);
			member->client = NULL;
		}
		if (topology->cluster && member->known && member->client && member->info.role == ROLE_REPLICA) {
			error_set(error, deployment->blame, "%s: the cluster's map calls it a master, but it is a replica",
				  client_peer(member->client));
			error_hint(error, "a failover is under way: try again in a moment");
			return false;
		}
	}
	return true;
}

/* Makes `topology` that of the deployment; it is used up. */
static bool deployment_install(struct deployment *deployment, struct topology *topology, bool lenient, struct error *error)
{
	struct member *members = memory_alloc_zero(topology->shard_count, sizeof(*members));

	if (!members_read(deployment, topology, members, lenient, error)) {
		members_free(members, topology->shard_count);
		topology_free(topology);
		return false;
	}
	members_free(deployment->members, deployment->topology.shard_count);
	topology_free(&deployment->topology);
	deployment->members = members;
	deployment->topology = *topology;
	return true;
}

enum read_wish { READ_MASTERS, READ_ANY };

/* Reads the deployment from the node at `endpoint`. *is_replica is set when that alone made it fail. */
static bool deployment_read(struct deployment *deployment, const struct endpoint *endpoint, enum read_wish wish, bool lenient,
			    bool *is_replica, struct error *error)
{
	struct client *client = node_client(deployment, endpoint);
	enum deployment_mode mode = deployment->options->mode;
	struct topology topology;
	struct server_info info;
	bool ok = server_info_fetch(client, &info, error);

	if (ok && mode == MODE_CLUSTER && !info.cluster) {
		error_set(error, deployment->blame, "%s: the server is not in cluster mode", client_peer(client));
		error_hint(error, "leave %s.mode out, or write %s.mode: standalone", side(deployment), side(deployment));
		ok = false;
	} else if (ok && (mode == MODE_CLUSTER || ((mode == MODE_AUTO || mode == MODE_SCAN) && info.cluster))) {
		ok = topology_ask(client, &info, endpoint, deployment->tls != NULL, &topology, error);
		if (ok && topology.shard_count == 0) {
			error_set(error, deployment->blame, "%s: the node knows of no slot that is served", client_peer(client));
			error_hint(error, "is it part of the cluster? see CLUSTER NODES on it");
			topology_free(&topology);
			ok = false;
		} else if (ok) {
			topology.epoch = epoch_ask(client);
			if (topology.epoch < deployment->topology.epoch) {
				error_set(error, deployment->blame,
					  "%s: its map of the cluster is of epoch %llu, older than one of epoch %llu",
					  client_peer(client), (unsigned long long)topology.epoch,
					  (unsigned long long)deployment->topology.epoch);
				topology_free(&topology);
				ok = false;
			}
		}
	} else if (ok && info.role == ROLE_REPLICA && wish == READ_MASTERS) {
		char master[ENDPOINT_TEXT_MAX];

		error_set(error, deployment->blame, "%s: the server is a replica of %s", client_peer(client),
			  endpoint_format(&info.master, master));
		*is_replica = true;
		ok = false;
	} else if (ok) {
		topology_of_one(endpoint, &topology);
	}
	client_free(client);
	return ok && deployment_install(deployment, &topology, lenient, error);
}

/* ---- Sentinel ---- */

/* The names of the masters that the Sentinel knows, as a hint. */
static void sentinel_hint_masters(struct client *client, struct error *error)
{
	struct client_reply reply;
	struct error ignored;
	char names[300] = "";

	if (!client_call(client, &reply, false, &ignored, "SENTINEL", "MASTERS", NULL) || reply.nodes[0].type != RESP_ARRAY)
		return;
	/* Each is a flat array of fields and values. */
	for (uint32_t i = 0; i < reply.nodes[0].count; i++) {
		const struct resp_node *master = resp_member(reply.nodes, i);
		char quoted[80];

		for (uint32_t k = 0; master->type == RESP_ARRAY && k + 1 < master->count; k += 2) {
			size_t used = strlen(names);

			if (slice_equal(resp_member(master, k)->text, SLICE("name")))
				snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
					 slice_quote(resp_member(master, k + 1)->text, quoted, sizeof(quoted)));
		}
	}
	error_hint(error, "it watches %s", names[0] ? names : "no master at all");
}

static bool sentinel_ask(struct deployment *deployment, struct client *client, struct endpoint *ret, struct error *error)
{
	const char *name = deployment->options->master;
	const struct resp_node *host, *port;
	struct client_reply reply;
	uint64_t number;

	if (!client_call(client, &reply, false, error, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, NULL)) {
		if (!client_is_dead(client) && strstr(error->text, "unknown command"))
			error_hint(error, "is this a Sentinel? %s.address must name the Sentinels in mode sentinel",
				   side(deployment));
		return false;
	}
	if (reply.nodes[0].type == RESP_NULL) {
		error_set(error, deployment->blame, "%s: the Sentinel knows no master named '%s'", client_peer(client), name);
		sentinel_hint_masters(client, error);
		return false;
	}
	host = resp_member(reply.nodes, 0);
	port = resp_member(reply.nodes, 1);
	if (!host || !port || !slice_to_uint64(port->text, &number) || number == 0 || number > UINT16_MAX ||
	    !endpoint_parse(host->text, (uint16_t)number, ret) || ret->port != number) {
		error_set(error, deployment->blame, "%s: the Sentinel's answer about master '%s' cannot be read",
			  client_peer(client), name);
		return false;
	}
	return true;
}

static bool sentinel_read(struct deployment *deployment, const struct endpoint *sentinel, bool lenient, struct error *error)
{
	char group[16];
	char text[ENDPOINT_TEXT_MAX];
	struct client_options options = {
		.endpoint = *sentinel,
		.credentials = &deployment->options->sentinel_credentials,
		.tls = deployment->sentinel_tls,
		.timeout_ms = deployment->timeout_ms,
		.blame = deployment->blame,
		.stop = deployment->stop,
		.group = group,
	};
	struct client *client;
	struct endpoint master;
	bool is_replica = false;
	bool ok;

	snprintf(group, sizeof(group), "%s.sentinel", side(deployment));
	client = client_new(deployment->loop, &options);
	ok = sentinel_ask(deployment, client, &master, error);
	client_free(client);
	if (!ok)
		return false;
	if (deployment_read(deployment, &master, READ_MASTERS, lenient, &is_replica, error))
		return true;
	if (is_replica)
		error_hint(error, "the Sentinel has not settled a failover yet: try again in a moment");
	error_prefix(error, "master '%s' named by the Sentinel %s", deployment->options->master, endpoint_format(sentinel, text));
	return false;
}

/* ---- opening ---- */

/* A standalone deployment given by several addresses is its master, wherever that is among them. Only when there is
 * none, the first replica has to do: whether it may, is for the caller to say. */
static bool deployment_try(struct deployment *deployment, const struct endpoint *candidates, size_t count, bool lenient,
			   struct attempts *attempts)
{
	const struct endpoint *replica = NULL;
	struct error error;

	for (size_t k = 0; k < count; k++) {
		size_t i = (k + deployment->refreshes) % count;
		bool is_replica = false;
		bool ok;

		if (deployment->stop && atomic_load(deployment->stop))
			break;
		if (deployment->options->mode == MODE_SENTINEL)
			ok = sentinel_read(deployment, &candidates[i], lenient, &error);
		else
			ok = deployment_read(deployment, &candidates[i], READ_MASTERS, lenient, &is_replica, &error);
		if (ok)
			return true;
		if (is_replica && !replica)
			replica = &candidates[i];
		attempts_add(attempts, &error);
	}
	return replica && deployment_read(deployment, replica, READ_ANY, lenient, &(bool){false}, &error);
}

/* `group` is where the options stand: "source", "target.sentinel". */
static bool context_make(const struct tls_options *options, const char *group, struct tls_context **ret, struct error *error)
{
	struct error plain;

	if (!options->enabled)
		return true;
	*ret = tls_context_new(options, &plain);
	if (*ret)
		return true;
	error_set(error, plain.kind, "%s.%s", group, plain.text);
	error_hint(error, "%s", plain.hint);
	return false;
}

static struct deployment *open_with(struct loop *loop, const struct deployment_options *options, const char *client_name,
				    uint32_t timeout_ms, enum error_kind blame, bool lenient, const atomic_bool *stop,
				    struct error *error)
{
	struct deployment *deployment = memory_alloc_zero(1, sizeof(*deployment));
	struct attempts attempts = {.count = 0};
	char sentinel[24];
	bool ok;

	deployment->loop = loop;
	deployment->options = options;
	deployment->client_name = client_name ? memory_strdup(client_name) : NULL;
	deployment->timeout_ms = timeout_ms;
	deployment->blame = blame;
	deployment->stop = stop;
	snprintf(sentinel, sizeof(sentinel), "%s.sentinel", side(deployment));
	ok = context_make(&options->tls, side(deployment), &deployment->tls, error) &&
	     context_make(&options->sentinel_tls, sentinel, &deployment->sentinel_tls, error);
	if (ok && !deployment_try(deployment, options->addresses, options->address_count, lenient, &attempts))
		ok = attempts_fail(deployment, &attempts, error);
	if (ok)
		return deployment;
	deployment_free(deployment);
	return NULL;
}

struct deployment *deployment_open(struct loop *loop, const struct deployment_options *options, const char *client_name,
				   uint32_t timeout_ms, enum error_kind blame, struct error *error)
{
	return open_with(loop, options, client_name, timeout_ms, blame, false, NULL, error);
}

struct deployment *deployment_open_partly(struct loop *loop, const struct deployment_options *options, const char *client_name,
					  uint32_t timeout_ms, enum error_kind blame, struct error *error)
{
	return open_with(loop, options, client_name, timeout_ms, blame, true, NULL, error);
}

struct deployment *deployment_open_until(struct loop *loop, const struct deployment_options *options, const char *client_name,
					 uint32_t timeout_ms, enum error_kind blame, const atomic_bool *stop, struct error *error)
{
	return open_with(loop, options, client_name, timeout_ms, blame, false, stop, error);
}

void deployment_free(struct deployment *deployment)
{
	if (!deployment)
		return;
	members_free(deployment->members, deployment->topology.shard_count);
	topology_free(&deployment->topology);
	tls_context_free(deployment->tls);
	tls_context_free(deployment->sentinel_tls);
	free(deployment->client_name);
	free(deployment);
}

/* Every node that may answer: the masters and replicas last seen, then the addresses given. */
static struct endpoint *deployment_candidates(const struct deployment *deployment, size_t *count)
{
	const struct topology *topology = &deployment->topology;
	const struct deployment_options *options = deployment->options;
	size_t room = options->address_count;
	struct endpoint *all;

	for (uint32_t i = 0; i < topology->shard_count; i++)
		room += 1 + topology->shards[i].replica_count;
	all = memory_alloc_zero(room, sizeof(*all));
	*count = 0;
	if (options->mode != MODE_SENTINEL) {
		for (uint32_t i = 0; i < topology->shard_count; i++)
			all[(*count)++] = topology->shards[i].master;
		for (uint32_t i = 0; i < topology->shard_count; i++) {
			for (uint32_t k = 0; k < topology->shards[i].replica_count; k++)
				all[(*count)++] = topology->shards[i].replicas[k];
		}
	}
	for (size_t i = 0; i < options->address_count; i++) {
		bool known = false;

		for (size_t k = 0; k < *count; k++)
			known = known || endpoint_equal(&all[k], &options->addresses[i]);
		if (!known)
			all[(*count)++] = options->addresses[i];
	}
	return all;
}

bool deployment_refresh(struct deployment *deployment, struct error *error)
{
	struct attempts attempts = {.count = 0};
	size_t count;
	struct endpoint *candidates = deployment_candidates(deployment, &count);
	bool ok;

	deployment->refreshes++;
	ok = deployment_try(deployment, candidates, count, true, &attempts);
	free(candidates);
	return ok || attempts_fail(deployment, &attempts, error);
}

/* ---- use ---- */

const struct topology *deployment_topology(const struct deployment *deployment)
{
	return &deployment->topology;
}

const struct server_info *deployment_server(const struct deployment *deployment, uint32_t shard)
{
	return deployment->members[shard].known ? &deployment->members[shard].info : NULL;
}

struct client *deployment_client(struct deployment *deployment, uint32_t shard, struct error *error)
{
	struct member *member = &deployment->members[shard];
	struct client_reply reply;

	/* The loop does not run between two calls, so nobody has noticed a connection that died meanwhile. */
	if (member->client && client_call(member->client, &reply, true, error, "PING", NULL))
		return member->client;
	client_free(member->client);
	member->client = node_client(deployment, &deployment->topology.shards[shard].master);
	if (client_call(member->client, &reply, true, error, "PING", NULL))
		return member->client;
	client_free(member->client);
	member->client = NULL;
	return NULL;
}

struct client *deployment_client_at(struct deployment *deployment, const struct endpoint *endpoint)
{
	return node_client(deployment, endpoint);
}

struct tls_context *deployment_tls(const struct deployment *deployment)
{
	return deployment->tls;
}

struct tls_context *deployment_sentinel_tls(const struct deployment *deployment)
{
	return deployment->sentinel_tls;
}

const struct deployment_options *deployment_options(const struct deployment *deployment)
{
	return deployment->options;
}
