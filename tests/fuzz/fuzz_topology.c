/* Replies to CLUSTER SHARDS, SLOTS and NODES. The first byte says which ('s', 'l', 'n'; upper case: over TLS), the rest is the
 * reply, or the text of NODES. */
#include "peer/topology.h"

#include <stdlib.h>

#define NODES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a topology promises, whatever it was made of. */
static void check(const struct topology *topology)
{
	uint32_t counts[TOPOLOGY_SHARDS_MAX] = {0};
	uint32_t uncovered = 0;

	if (topology->shard_count > TOPOLOGY_SHARDS_MAX)
		abort();
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t owner = topology->owner[slot];

		if (owner == SHARD_NONE)
			uncovered++;
		else if (owner >= topology->shard_count)
			abort();
		else
			counts[owner]++;
	}
	if (uncovered != topology->uncovered)
		abort();
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		const struct shard *shard = &topology->shards[i];

		if (counts[i] == 0 || counts[i] != shard->slots || shard->master.host[0] == '\0' || shard->master.port == 0 ||
		    endpoint_is_unix(&shard->master) || strlen(shard->node_id) > 40)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct endpoint asked = {"asked", 7777};
	static struct resp_node nodes[NODES_MAX];
	struct client_reply reply;
	struct parse_fault fault;
	struct topology topology;
	struct slice rest;
	uint64_t taken;
	uint8_t kind;
	bool tls, ok;

	if (size == 0)
		return 0;
	kind = data[0] | 0x20;
	tls = kind != data[0];
	rest = slice_make(data + 1, size - 1);
	if (kind == 'n') {
		ok = topology_from_nodes(rest, &asked, tls, &topology);
	} else {
		if (resp_reply_parse(rest, nodes, NODES_MAX, &taken, &fault) != PARSE_OK)
			return 0;
		reply = (struct client_reply){nodes, nodes[0].span};
		ok = kind == 's' ? topology_from_shards(&reply, &asked, tls, &topology)
				 : topology_from_slots(&reply, &asked, &topology);
	}
	if (ok) {
		topology_take_epochs(&topology, rest);
		check(&topology);
		topology_free(&topology);
	}
	return 0;
}
