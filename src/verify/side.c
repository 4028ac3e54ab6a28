#include "verify/side.h"

#include "base/clock.h"
#include "base/memory.h"
#include "wire/slot.h"

#include <stdlib.h>

#define AGAIN_US 200000

static void on_failed(void *owner, const struct error *error)
{
	struct side *side = owner;

	side->error = *error;
	side->turn(side->owner);
}

static void on_idle(void *owner)
{
	struct side *side = owner;

	side->turn(side->owner);
}

static const struct asker_events asker_callbacks = {on_failed, on_idle};

static void close_askers(struct side *side)
{
	for (uint32_t i = 0; i < side->count; i++)
		asker_free(side->askers[i]);
	free(side->askers);
	side->askers = NULL;
	side->count = 0;
}

/* Every Valkey, and Redis of this version; one that has not told is taken for old. */
static bool is_since(const struct server_info *info, uint32_t redis)
{
	return info && (info->family == FAMILY_VALKEY || info->version >= redis);
}

static void open_askers(struct side *side)
{
	const struct topology *topology = deployment_topology(side->deployment);

	side->cluster = topology->cluster;
	side->askers = memory_alloc_zero(topology->shard_count, sizeof(side->askers[0]));
	side->count = topology->shard_count;
	side->tells_times = side->absolute_ttl = side->exists_many = true;
	for (uint32_t i = 0; i < side->count; i++) {
		const struct server_info *info = deployment_server(side->deployment, i);
		const struct client_options options = {
			.endpoint = topology->shards[i].master,
			.credentials = &side->options->credentials,
			.tls = deployment_tls(side->deployment),
			.tls_name = side->options->tls.server_name,
			.name = side->name,
			.timeout_ms = side->timeout_ms,
			.blame = side->blame,
		};

		side->tells_times = side->tells_times && is_since(info, VERSION(7, 0, 0));
		side->absolute_ttl = side->absolute_ttl && is_since(info, VERSION(5, 0, 0));
		side->exists_many = side->exists_many && is_since(info, VERSION(3, 0, 3));
		side->askers[i] = asker_new(side->loop, &options, &asker_callbacks, side);
	}
}

bool side_open(struct side *side, struct loop *loop, const struct deployment_options *options, const char *name,
	       uint32_t timeout_ms, enum error_kind blame, const atomic_bool *stop, void (*turn)(void *owner), void *owner,
	       struct error *error)
{
	*side = (struct side){.loop = loop,
			      .options = options,
			      .name = name,
			      .timeout_ms = timeout_ms,
			      .blame = blame,
			      .stop = stop,
			      .turn = turn,
			      .owner = owner};
	side->deployment = deployment_open_until(loop, options, name, timeout_ms, blame, stop, error);
	if (!side->deployment)
		return false;
	open_askers(side);
	return true;
}

void side_close(struct side *side)
{
	close_askers(side);
	deployment_free(side->deployment);
	side->deployment = NULL;
}

bool side_refresh(struct side *side, struct error *error)
{
	side->moved = false;
	if (!deployment_refresh(side->deployment, error))
		return false;
	close_askers(side);
	open_askers(side);
	side->map_number++;
	return true;
}

bool side_call(struct side *side, uint32_t shard, struct client_reply *ret, struct error *error, const char *first,
	       const char *second)
{
	uint64_t deadline = clock_monotonic_us() + ASKER_PATIENCE_MS * 1000ULL;
	static const bool never;

	while (true) {
		struct client *client = deployment_client(side->deployment, shard, error);

		if (client && client_call(client, ret, true, error, first, second, NULL))
			return true;
		if (clock_monotonic_us() >= deadline || (side->stop && atomic_load(side->stop)))
			return false;
		loop_run_until(side->loop, &never, clock_monotonic_us() + AGAIN_US);
	}
}

uint32_t side_shard(const struct side *side, struct slice key)
{
	const struct topology *topology = deployment_topology(side->deployment);
	uint16_t shard = topology->cluster ? topology->owner[slot_of_key(key)] : 0;

	/* A slot that nobody has: whoever is asked says so. */
	return shard == SHARD_NONE ? 0 : shard;
}

struct asker *side_asker(const struct side *side, struct slice key)
{
	return side->askers[side_shard(side, key)];
}

uint32_t side_shard_of(const struct side *side, const struct endpoint *master)
{
	const struct topology *topology = deployment_topology(side->deployment);

	for (uint32_t i = 0; i < topology->shard_count; i++)
		if (endpoint_equal(&topology->shards[i].master, master))
			return i;
	return SHARD_NONE;
}

bool side_is_passing(struct side *side, struct slice text)
{
	static const char *const moving[] = {"MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY"};
	static const char *const busy[] = {"LOADING", "BUSY ", "WRONGTYPE"};

	for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++) {
		if (!slice_starts_with(text, slice_of_string(moving[i])))
			continue;
		side->moved = true;
		return true;
	}
	for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++)
		if (slice_starts_with(text, slice_of_string(busy[i])))
			return true;
	return false;
}

bool side_may_pass(struct side *side, const char *peer, struct slice text)
{
	if (side_is_passing(side, text))
		return true;
	if (side->error.kind == ERROR_NONE) {
		error_set(&side->error, side->blame, "%s %s answered: %.*s", side->blame == ERROR_SOURCE ? "source" : "target",
			  peer, (int)(text.len > 200 ? 200 : text.len), (const char *)text.data);
		if (slice_starts_with(text, SLICE("NOPERM")))
			error_hint(&side->error, "The user needs SCAN, DUMP, TYPE, EXISTS, PTTL, PEXPIRETIME and the commands of "
						 "lengths (docs/verify.md)");
		side->turn(side->owner);
	}
	return false;
}
