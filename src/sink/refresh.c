#include "sink/refresh.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 64
#define INTERVAL_MS 1000
#define SOON_MS 20
#define NODES_TEXT_MAX (1u << 20) /* of CLUSTER NODES: some thousands of nodes */

struct refresh {
	struct loop *loop;
	struct deployment *target;
	bool cluster;
	char *name;
	uint32_t timeout_ms;
	const struct refresh_events *events;
	void *owner;
	struct timer *timer;
	struct client *client; /* of the question under way */
	struct endpoint asked;
	struct buffer
		nodes; /* its reply to CLUSTER NODES, asked first: epochs are not newer than the claims that they are put to */
	bool nodes_denied; /* it is not asked again: each refusal is an entry in the server's ACL LOG */
	bool answered;     /* the client has served; it is freed on the timer's next turn */
	bool wanted;
	uint32_t turn; /* which candidate comes next; 0 after a success */
	uint64_t last_us;
};

static void schedule(struct refresh *refresh)
{
	uint64_t now = clock_monotonic_us();
	uint64_t next = refresh->last_us + INTERVAL_MS * 1000;

	if (!timer_active(refresh->timer))
		timer_start(refresh->timer, refresh->last_us && next > now ? (next - now) / 1000 + 1 : SOON_MS);
}

static void finish(struct refresh *refresh, bool good)
{
	refresh->answered = true;
	if (good) {
		refresh->wanted = false;
		refresh->turn = 0;
	} else {
		refresh->turn++;
	}
	/* The client may not be freed within its own callback. */
	timer_start(refresh->timer, good ? 0 : SOON_MS);
}

static void on_cluster_nodes(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct refresh *refresh = owner;

	/* Without it, and where it is too long, the map counts as it is told. */
	if (error || reply->nodes[0].type != RESP_BULK || !buffer_append_slice(&refresh->nodes, reply->nodes[0].text))
		buffer_clear(&refresh->nodes);
	if (!error && reply->nodes[0].type == RESP_ERROR)
		refresh->nodes_denied = true;
}

static void on_cluster_slots(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct refresh *refresh = owner;
	struct topology topology;
	bool good;

	/* A node that is cut off knows an old map or an empty one: the next is asked. */
	if (error || !topology_from_slots(reply, &refresh->asked, &topology)) {
		finish(refresh, false);
		return;
	}
	topology_take_epochs(&topology, buffer_readable(&refresh->nodes));
	good = topology.shard_count > 0 && refresh->events->topology(refresh->owner, &topology) && topology.uncovered == 0;
	topology_free(&topology);
	finish(refresh, good);
}

static void on_sentinel(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct refresh *refresh = owner;
	const struct resp_node *host, *port;
	struct shard shard = {0};
	struct topology topology = {.shards = &shard, .shard_count = 1};
	uint64_t number;

	if (error || reply->nodes[0].type != RESP_ARRAY || !(host = resp_member(&reply->nodes[0], 0)) ||
	    !(port = resp_member(&reply->nodes[0], 1)) || host->text.len == 0 || host->text.len >= sizeof(shard.master.host) ||
	    !slice_to_uint64(port->text, &number) || number == 0 || number > UINT16_MAX) {
		finish(refresh, false);
		return;
	}
	memcpy(shard.master.host, host->text.data, host->text.len);
	shard.master.port = (uint16_t)number;
	finish(refresh, refresh->events->topology(refresh->owner, &topology));
}

static void ask(struct refresh *refresh)
{
	const struct deployment_options *options = deployment_options(refresh->target);
	bool sentinel = options->mode == MODE_SENTINEL;
	struct endpoint candidates[CANDIDATES_MAX];
	struct client_options client = {
		.credentials = sentinel ? &options->sentinel_credentials : &options->credentials,
		.tls = sentinel ? deployment_sentinel_tls(refresh->target) : deployment_tls(refresh->target),
		.tls_name = sentinel ? options->sentinel_tls.server_name : options->tls.server_name,
		.name = refresh->name,
		.timeout_ms = refresh->timeout_ms,
		.blame = ERROR_TARGET,
	};
	uint32_t count = 0;

	if (!sentinel)
		count = refresh->events->candidates(refresh->owner, candidates, CANDIDATES_MAX);
	for (size_t i = 0; i < options->address_count && count < CANDIDATES_MAX; i++)
		candidates[count++] = options->addresses[i];
	if (count == 0)
		return;
	refresh->asked = candidates[refresh->turn % count];
	client.endpoint = refresh->asked;
	refresh->last_us = clock_monotonic_us();
	refresh->answered = false;
	refresh->client = client_new(refresh->loop, &client);
	if (sentinel) {
		client_send_strings(refresh->client, on_sentinel, refresh, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", options->master,
				    NULL);
		return;
	}
	buffer_clear(&refresh->nodes);
	if (!refresh->nodes_denied)
		client_send_strings(refresh->client, on_cluster_nodes, refresh, "CLUSTER", "NODES", NULL);
	client_send_strings(refresh->client, on_cluster_slots, refresh, "CLUSTER", "SLOTS", NULL);
}

static void on_timer(void *owner)
{
	struct refresh *refresh = owner;

	if (refresh->client) {
		if (!refresh->answered)
			return; /* its callback comes, at the latest by time-out */
		client_free(refresh->client);
		refresh->client = NULL;
		if (refresh->wanted)
			schedule(refresh);
		return;
	}
	if (refresh->wanted)
		ask(refresh);
}

struct refresh *refresh_new(struct loop *loop, struct deployment *target, bool cluster, const char *name, uint32_t timeout_ms,
			    const struct refresh_events *events, void *owner)
{
	struct refresh *refresh = memory_alloc_zero(1, sizeof(*refresh));

	refresh->loop = loop;
	refresh->target = target;
	refresh->cluster = cluster;
	refresh->name = memory_strdup(name);
	refresh->timeout_ms = timeout_ms;
	refresh->events = events;
	refresh->owner = owner;
	buffer_init(&refresh->nodes, NODES_TEXT_MAX);
	refresh->timer = timer_new(loop, on_timer, refresh);
	return refresh;
}

void refresh_free(struct refresh *refresh)
{
	if (!refresh)
		return;
	client_free(refresh->client);
	timer_free(refresh->timer);
	buffer_free(&refresh->nodes);
	free(refresh->name);
	free(refresh);
}

void refresh_want(struct refresh *refresh)
{
	if (!refresh->cluster && deployment_options(refresh->target)->mode != MODE_SENTINEL)
		return;
	refresh->wanted = true;
	if (!refresh->client)
		schedule(refresh);
}
