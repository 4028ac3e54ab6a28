#include "control/keyspace.h"

#include "base/memory.h"
#include "peer/topology.h"

#include <stdlib.h>

static struct keyspace_database *database_at(struct keyspace *keyspace, uint32_t number)
{
	uint32_t at = 0;

	while (at < keyspace->database_count && keyspace->databases[at].number < number)
		at++;
	if (at < keyspace->database_count && keyspace->databases[at].number == number)
		return &keyspace->databases[at];
	keyspace->databases =
		memory_realloc_array(keyspace->databases, keyspace->database_count + 1, sizeof(*keyspace->databases));
	memmove(&keyspace->databases[at + 1], &keyspace->databases[at],
		(keyspace->database_count - at) * sizeof(*keyspace->databases));
	keyspace->database_count++;
	keyspace->databases[at] = (struct keyspace_database){.number = number};
	return &keyspace->databases[at];
}

/* The digits behind `name` within the line. */
static bool number_after(struct slice line, struct slice name, uint64_t *ret)
{
	const uint8_t *found = memmem(line.data, line.len, name.data, name.len);
	size_t at, end;

	if (!found)
		return false;
	at = end = (size_t)(found - line.data) + name.len;
	while (end < line.len && line.data[end] >= '0' && line.data[end] <= '9')
		end++;
	return slice_to_uint64(slice_make(line.data + at, end - at), ret);
}

uint64_t keyspace_add_info(struct keyspace *keyspace, struct slice info)
{
	uint64_t all = 0;

	while (info.len > 0) {
		const uint8_t *end = memchr(info.data, '\n', info.len);
		struct slice line = slice_make(info.data, end ? (size_t)(end - info.data) : info.len);
		uint64_t number, keys, expiring;

		info = end ? slice_make(end + 1, info.len - line.len - 1) : (struct slice){0};
		if (!slice_starts_with(line, SLICE("db")) || !number_after(line, SLICE("db"), &number) ||
		    number >= DATABASES_MAX || !number_after(line, SLICE(":keys="), &keys))
			continue;
		if (!number_after(line, SLICE(",expires="), &expiring))
			expiring = 0;
		database_at(keyspace, (uint32_t)number)->keys += keys;
		database_at(keyspace, (uint32_t)number)->expiring += expiring;
		all += keys;
	}
	return all;
}

static bool read_master(struct deployment *deployment, uint32_t shard, struct keyspace *keyspace, struct error *error)
{
	const struct topology *topology = deployment_topology(deployment);
	const struct server_info *server = deployment_server(deployment, shard);
	struct keyspace_master *master = &keyspace->masters[keyspace->master_count];
	struct client *client = deployment_client(deployment, shard, error);
	struct client_reply reply;

	if (!client || !client_call(client, &reply, false, error, "INFO", "keyspace", NULL))
		return false;
	endpoint_format(&topology->shards[shard].master, master->address);
	if (server)
		server_name(server, master->server);
	master->keys = keyspace_add_info(keyspace, reply.nodes[0].text);
	keyspace->master_count++;
	return true;
}

bool keyspace_read(const struct deployment_options *side, uint32_t timeout_ms, enum error_kind blame, struct keyspace *ret,
		   struct error *error)
{
	struct loop *loop = loop_new();
	struct deployment *deployment = deployment_open(loop, side, "keyferry:databases", timeout_ms, blame, error);
	struct keyspace keyspace = {.cluster = false};
	uint32_t count = deployment ? deployment_topology(deployment)->shard_count : 0;
	bool ok = deployment != NULL;

	if (ok) {
		keyspace.cluster = deployment_topology(deployment)->cluster;
		keyspace.masters = memory_alloc_zero(count ? count : 1, sizeof(*keyspace.masters));
	}
	for (uint32_t shard = 0; ok && shard < count; shard++)
		ok = read_master(deployment, shard, &keyspace, error);
	deployment_free(deployment);
	loop_free(loop);
	if (ok)
		*ret = keyspace;
	else
		keyspace_free(&keyspace);
	return ok;
}

void keyspace_free(struct keyspace *keyspace)
{
	free(keyspace->masters);
	free(keyspace->databases);
	*keyspace = (struct keyspace){0};
}
