/* Formats: the CLUSTER SHARDS, CLUSTER SLOTS and CLUSTER NODES pages of the Redis documentation, and replies of real servers. */
#include "peer/topology.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define REPLICAS_MAX 256 /* of one shard; further ones are left out */

void topology_free(struct topology *topology)
{
	for (uint32_t i = 0; i < topology->shard_count; i++)
		free(topology->shards[i].replicas);
	free(topology->shards);
	*topology = (struct topology){0};
}

/* ---- building ---- */

static void topology_begin(struct topology *topology)
{
	*topology = (struct topology){.cluster = true, .uncovered = SLOT_COUNT};
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		topology->owner[slot] = SHARD_NONE;
}

/* NULL: more shards than there may be. */
static struct shard *shard_add(struct topology *topology, const struct endpoint *master, struct slice id)
{
	struct shard *shard;

	if (topology->shard_count == TOPOLOGY_SHARDS_MAX)
		return NULL;
	topology->shards = memory_realloc_array(topology->shards, topology->shard_count + 1, sizeof(*topology->shards));
	shard = &topology->shards[topology->shard_count++];
	*shard = (struct shard){.master = *master};
	if (id.len < sizeof(shard->node_id) && id.len > 0)
		memcpy(shard->node_id, id.data, id.len);
	return shard;
}

static void replica_add(struct shard *shard, const struct endpoint *replica)
{
	for (uint32_t i = 0; i < shard->replica_count; i++) {
		if (endpoint_equal(&shard->replicas[i], replica))
			return;
	}
	if (shard->replica_count == REPLICAS_MAX)
		return;
	shard->replicas = memory_realloc_array(shard->replicas, shard->replica_count + 1, sizeof(*shard->replicas));
	shard->replicas[shard->replica_count++] = *replica;
}

/* False: no such slots, or one of them has an owner already. */
static bool slots_claim(struct topology *topology, struct shard *shard, uint64_t first, uint64_t last)
{
	if (first > last || last >= SLOT_COUNT)
		return false;
	for (uint64_t slot = first; slot <= last; slot++) {
		if (topology->owner[slot] != SHARD_NONE)
			return false;
		topology->owner[slot] = (uint16_t)(shard - topology->shards);
	}
	shard->slots += (uint32_t)(last - first + 1);
	topology->uncovered -= (uint32_t)(last - first + 1);
	return true;
}

/* Puts the shards in the order of their lowest slots: nodes tell them in any order, and a shard is to keep its index from one
 * reading to the next. */
static void topology_sort(struct topology *topology)
{
	struct shard *sorted = memory_alloc_zero(topology->shard_count, sizeof(*sorted));
	uint16_t place[TOPOLOGY_SHARDS_MAX];
	uint16_t next = 0;

	for (uint32_t i = 0; i < topology->shard_count; i++)
		place[i] = SHARD_NONE;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t owner = topology->owner[slot];

		if (owner == SHARD_NONE)
			continue;
		if (place[owner] == SHARD_NONE) {
			place[owner] = next;
			sorted[next++] = topology->shards[owner];
		}
		topology->owner[slot] = place[owner];
	}
	free(topology->shards);
	topology->shards = sorted;
}

void topology_of_one(const struct endpoint *master, struct topology *ret)
{
	topology_begin(ret);
	ret->cluster = false;
	slots_claim(ret, shard_add(ret, master, slice_make(NULL, 0)), 0, SLOT_COUNT - 1);
}

/* The peer that a node tells of. An empty host stands for the one that was asked; false: not a host or not a port. */
static bool endpoint_of(struct slice host, uint64_t port, const struct endpoint *asked, struct endpoint *ret)
{
	if (host.len == 0 && endpoint_is_unix(asked)) {
		*ret = *asked;
		return true;
	}
	if (host.len >= sizeof(ret->host) || port == 0 || port > UINT16_MAX)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		if (host.data[i] <= ' ' || host.data[i] >= 0x7f || host.data[i] == '/')
			return false;
	}
	if (host.len == 0) {
		*ret = *asked;
	} else {
		*ret = (struct endpoint){0};
		memcpy(ret->host, host.data, host.len);
	}
	ret->port = (uint16_t)port;
	return true;
}

/* ---- replies ---- */

static bool is_text(const struct resp_node *node)
{
	return node && (node->type == RESP_BULK || node->type == RESP_SIMPLE);
}

/* The text of a node; empty when it is missing or null. */
static struct slice text_of(const struct resp_node *node)
{
	return is_text(node) ? node->text : slice_make(NULL, 0);
}

static uint64_t number_of(const struct resp_node *node)
{
	return node && node->type == RESP_INTEGER && node->integer > 0 ? (uint64_t)node->integer : 0;
}

/* The value of `name` in a flat array of names and values. NULL: there is none. */
static const struct resp_node *field(const struct resp_node *map, const char *name)
{
	const struct resp_node *at;

	if (!map || map->type != RESP_ARRAY)
		return NULL;
	at = map + 1;
	for (uint32_t i = 0; i + 1 < map->count; i += 2) {
		const struct resp_node *value = at + at->span;

		if (is_text(at) && slice_equal(at->text, slice_of_string(name)))
			return value;
		at = value + value->span;
	}
	return NULL;
}

/* ---- CLUSTER SHARDS: [["slots", [first, last, ...], "nodes", [["id", ..., "port", ..., "role", ...], ...]], ...] ---- */

/* `endpoint` is what clients are to use; "?" there means a host name that the node has not been given, null or empty the
 * host that was asked. */
static bool shards_node_endpoint(const struct resp_node *node, const struct endpoint *asked, bool tls, struct endpoint *ret)
{
	const struct resp_node *named = field(node, "endpoint");
	struct slice host = text_of(named);
	uint64_t plain_port = number_of(field(node, "port"));
	uint64_t tls_port = number_of(field(node, "tls-port"));
	uint64_t port = tls ? tls_port : plain_port;

	if (!named || slice_equal(host, SLICE("?")))
		host = text_of(field(node, "ip"));
	/* A node without the port that fits says at least where it is. */
	if (port == 0)
		port = tls ? plain_port : tls_port;
	return endpoint_of(host, port, asked, ret);
}

static bool node_has(const struct resp_node *node, const char *name, struct slice value)
{
	return slice_equal(text_of(field(node, name)), value);
}

/* Of several nodes that call themselves master (one of them has failed and was replaced) the one that is well. NULL: none. */
static const struct resp_node *shards_master(const struct resp_node *nodes, const struct endpoint *asked, bool tls,
					     struct endpoint *ret)
{
	const struct resp_node *node = nodes + 1;
	const struct resp_node *best = NULL;
	bool best_failed = false;
	struct endpoint endpoint;

	for (uint32_t i = 0; i < nodes->count; i++, node += node->span) {
		bool failed = node_has(node, "health", SLICE("failed")) || node_has(node, "health", SLICE("fail"));

		if (!node_has(node, "role", SLICE("master")) || (best && (failed || !best_failed)) ||
		    !shards_node_endpoint(node, asked, tls, &endpoint))
			continue;
		best = node;
		best_failed = failed;
		*ret = endpoint;
	}
	return best;
}

static bool shards_one(const struct resp_node *entry, const struct endpoint *asked, bool tls, struct topology *topology)
{
	const struct resp_node *slots = field(entry, "slots");
	const struct resp_node *nodes = field(entry, "nodes");
	const struct resp_node *master, *node;
	struct endpoint endpoint;
	struct shard *shard;

	if (!slots || slots->type != RESP_ARRAY || slots->count % 2 != 0 || !nodes || nodes->type != RESP_ARRAY)
		return false;
	if (slots->count == 0)
		return true;
	master = shards_master(nodes, asked, tls, &endpoint);
	if (!master)
		return true; /* nobody serves them: uncovered */
	shard = shard_add(topology, &endpoint, text_of(field(master, "id")));
	if (!shard)
		return false;
	for (uint32_t i = 1; i < slots->count; i += 2) {
		const struct resp_node *first = &slots[i], *last = &slots[i + 1];

		if (first->type != RESP_INTEGER || first->integer < 0 || last->type != RESP_INTEGER || last->integer < 0 ||
		    !slots_claim(topology, shard, (uint64_t)first->integer, (uint64_t)last->integer))
			return false;
	}
	node = nodes + 1;
	for (uint32_t i = 0; i < nodes->count; i++, node += node->span) {
		if (!node_has(node, "role", SLICE("master")) && node_has(node, "health", SLICE("online")) &&
		    shards_node_endpoint(node, asked, tls, &endpoint))
			replica_add(shard, &endpoint);
	}
	return true;
}

/* Calls `one` for each member of the outermost array. */
static bool topology_from_reply(const struct client_reply *reply, const struct endpoint *asked, bool tls,
				bool (*one)(const struct resp_node *, const struct endpoint *, bool, struct topology *),
				struct topology *ret)
{
	const struct resp_node *entry = reply->nodes + 1;
	struct topology topology;

	if (reply->count == 0 || reply->nodes[0].type != RESP_ARRAY)
		return false;
	topology_begin(&topology);
	for (uint32_t i = 0; i < reply->nodes[0].count; i++, entry += entry->span) {
		if (entry->type != RESP_ARRAY || !one(entry, asked, tls, &topology)) {
			topology_free(&topology);
			return false;
		}
	}
	topology_sort(&topology);
	*ret = topology;
	return true;
}

bool topology_from_shards(const struct client_reply *reply, const struct endpoint *asked, bool tls, struct topology *ret)
{
	return topology_from_reply(reply, asked, tls, shards_one, ret);
}

/* ---- CLUSTER SLOTS: [[first, last, [host, port, id, ["ip", ..., "hostname", ...]], replica, ...], ...] ---- */

/* Before 4.0 there is no id, before 7.0 no metadata. The port is that of the kind of connection that asks. */
static bool slots_node_endpoint(const struct resp_node *node, const struct endpoint *asked, struct endpoint *ret)
{
	const struct resp_node *host = resp_member(node, 0);
	struct slice name = text_of(host);

	if (node->type != RESP_ARRAY || node->count < 2 || (host->type != RESP_NULL && !is_text(host)))
		return false;
	if (slice_equal(name, SLICE("?")) && node->count > 3)
		name = text_of(field(resp_member(node, 3), "ip"));
	return endpoint_of(name, number_of(resp_member(node, 1)), asked, ret);
}

static struct shard *shard_find(struct topology *topology, const struct endpoint *master, struct slice id)
{
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		struct shard *shard = &topology->shards[i];

		if (id.len > 0 ? slice_equal(slice_of_string(shard->node_id), id) : endpoint_equal(&shard->master, master))
			return shard;
	}
	return NULL;
}

static bool slots_one(const struct resp_node *entry, const struct endpoint *asked, bool tls, struct topology *topology)
{
	const struct resp_node *node = resp_member(entry, 2);
	struct endpoint endpoint;
	struct shard *shard;
	struct slice id;

	(void)tls;
	if (!node || entry[1].type != RESP_INTEGER || entry[2].type != RESP_INTEGER || entry[1].integer < 0 ||
	    entry[2].integer < 0 || !slots_node_endpoint(node, asked, &endpoint))
		return false;
	id = text_of(resp_member(node, 2));
	shard = shard_find(topology, &endpoint, id);
	if (!shard)
		shard = shard_add(topology, &endpoint, id);
	if (!shard || !slots_claim(topology, shard, (uint64_t)entry[1].integer, (uint64_t)entry[2].integer))
		return false;
	for (uint32_t i = 3; i < entry->count; i++) {
		node += node->span;
		if (slots_node_endpoint(node, asked, &endpoint))
			replica_add(shard, &endpoint);
	}
	return true;
}

bool topology_from_slots(const struct client_reply *reply, const struct endpoint *asked, struct topology *ret)
{
	return topology_from_reply(reply, asked, false, slots_one, ret);
}

/* ---- CLUSTER NODES: a line a node,
 * <id> <ip:port@bus-port[,host name[,tls-port=...]]> <flags> <master's id> <ping> <pong> <epoch> <link state> <slot> ... ---- */

/* Takes the part up to `mark` off the front of rest. False: nothing is left. */
static bool part_next(struct slice *rest, uint8_t mark, struct slice *part)
{
	const uint8_t *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, mark, rest->len);
	part->data = rest->data;
	part->len = end ? (size_t)(end - rest->data) : rest->len;
	rest->data += part->len + (end != NULL);
	rest->len -= part->len + (end != NULL);
	return true;
}

static bool has_flag(struct slice flags, struct slice wanted)
{
	struct slice flag;

	while (part_next(&flags, ',', &flag)) {
		if (slice_equal(flag, wanted))
			return true;
	}
	return false;
}

struct node_line {
	struct slice id;
	struct slice address;
	struct slice flags;
	struct slice master;
	struct slice epoch;
	struct slice slots;
};

static bool node_line_parse(struct slice line, struct node_line *ret)
{
	struct slice ignored;
	bool ok;

	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	ok = part_next(&line, ' ', &ret->id) && part_next(&line, ' ', &ret->address) && part_next(&line, ' ', &ret->flags) &&
	     part_next(&line, ' ', &ret->master) && part_next(&line, ' ', &ignored) && part_next(&line, ' ', &ignored) &&
	     part_next(&line, ' ', &ret->epoch) && part_next(&line, ' ', &ignored);
	ret->slots = line;
	return ok && ret->id.len > 0 && ret->id.len < sizeof(((struct shard *)0)->node_id);
}

/* Unreachable for good, or not yet part of the cluster. "fail?" is one node's suspicion and counts for nothing. */
static bool node_line_is_out(const struct node_line *node)
{
	return has_flag(node->flags, SLICE("noaddr")) || has_flag(node->flags, SLICE("handshake"));
}

static bool node_line_endpoint(const struct node_line *node, const struct endpoint *asked, bool tls, struct endpoint *ret)
{
	struct slice rest = node->address;
	struct slice extra = tls ? SLICE("tls-port=") : SLICE("tcp-port=");
	struct slice address = {NULL, 0}, host, part;
	uint64_t port, other;
	size_t colon;

	part_next(&rest, ',', &address);
	part = address;
	part_next(&part, '@', &address);
	for (colon = address.len; colon > 0 && address.data[colon - 1] != ':'; colon--)
		;
	if (colon == 0 || !slice_to_uint64(slice_make(address.data + colon, address.len - colon), &port))
		return false;
	host = slice_make(address.data, colon - 1);
	while (part_next(&rest, ',', &part)) {
		if (slice_starts_with(part, extra) &&
		    slice_to_uint64(slice_make(part.data + extra.len, part.len - extra.len), &other) && other > 0)
			port = other;
	}
	return endpoint_of(host, port, asked, ret);
}

static bool node_line_slots(struct slice slots, struct topology *topology, struct shard *shard)
{
	struct slice range, first;
	uint64_t from, to;

	while (part_next(&slots, ' ', &range)) {
		if (range.len == 0 || range.data[0] == '[')
			continue; /* "[93->-<node>]": on the move, but still with its owner */
		if (!part_next(&range, '-', &first) || !slice_to_uint64(first, &from))
			return false;
		to = from;
		if ((range.len > 0 && !slice_to_uint64(range, &to)) || !slots_claim(topology, shard, from, to))
			return false;
	}
	return true;
}

static bool nodes_read(struct slice text, const struct endpoint *asked, bool tls, bool masters, struct topology *topology)
{
	struct endpoint endpoint;
	struct node_line node;
	struct shard *shard;
	struct slice line;

	while (part_next(&text, '\n', &line)) {
		if (line.len == 0)
			continue;
		if (!node_line_parse(line, &node))
			return false;
		if (has_flag(node.flags, SLICE("master")) != masters || node_line_is_out(&node) ||
		    !node_line_endpoint(&node, asked, tls, &endpoint))
			continue;
		if (masters && node.slots.len > 0) {
			shard = shard_add(topology, &endpoint, node.id);
			if (!shard || !node_line_slots(node.slots, topology, shard))
				return false;
			if (shard->slots == 0)
				topology->shard_count--; /* all it had were marks of slots on the move to it */
		} else if (!masters && !has_flag(node.flags, SLICE("fail"))) {
			shard = shard_find(topology, &endpoint, node.master);
			if (shard)
				replica_add(shard, &endpoint);
		}
	}
	return true;
}

bool topology_from_nodes(struct slice text, const struct endpoint *asked, bool tls, struct topology *ret)
{
	struct topology topology;

	if (text.len == 0)
		return false;
	topology_begin(&topology);
	/* Replicas name their master, which may stand below them. */
	if (!nodes_read(text, asked, tls, true, &topology) || !nodes_read(text, asked, tls, false, &topology)) {
		topology_free(&topology);
		return false;
	}
	topology_sort(&topology);
	*ret = topology;
	return true;
}

void topology_take_epochs(struct topology *topology, struct slice nodes)
{
	struct node_line node;
	struct slice line;
	struct shard *shard;
	uint64_t epoch;

	while (part_next(&nodes, '\n', &line)) {
		if (!node_line_parse(line, &node) || !slice_to_uint64(node.epoch, &epoch))
			continue;
		shard = shard_find(topology, NULL, node.id);
		if (shard)
			shard->epoch = epoch;
	}
}
