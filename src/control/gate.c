#include "control/gate.h"

#include "control/losses.h"
#include "sink/checkpoint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MARKS_MOST 200000ULL /* keys on one master */
#define BULK_MAX_DEFAULT (512ULL << 20) /* proto-max-bulk-len where it cannot be asked */

struct gate {
	const struct task_options *task;
	struct deployment *source; /* NULL: `files` */
	const struct inspection *files;
	struct deployment *target; /* NULL: files */
	void (*warn)(const char *text);
};

static void warn(const struct gate *gate, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(const struct gate *gate, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	gate->warn(text);
}

static uint32_t masters(const struct deployment *deployment)
{
	return deployment_topology(deployment)->shard_count;
}

static const char *master_name(const struct deployment *deployment, uint32_t shard, char out[ENDPOINT_TEXT_MAX])
{
	return endpoint_format(&deployment_topology(deployment)->shards[shard].master, out);
}

/* CONFIG GET of one number; false where it is not told (managed services deny CONFIG). */
static bool config_number(struct deployment *deployment, uint32_t shard, const char *name, uint64_t *ret)
{
	struct error ignored;
	struct client *client = deployment_client(deployment, shard, &ignored);
	struct client_reply reply;
	const struct resp_node *value;

	return client && client_call(client, &reply, false, &ignored, "CONFIG", "GET", name, NULL) &&
	       (value = resp_member(&reply.nodes[0], 1)) && slice_to_uint64(value->text, ret);
}

/* ---- both sides ---- */

static bool check_coverage(const struct deployment *deployment, const char *side, struct error *error)
{
	const struct topology *topology = deployment_topology(deployment);

	if (!topology->cluster || topology->uncovered == 0)
		return true;
	error_set(error, ERROR_PRECHECK, "%u of 16384 slots of the %s cluster have no master", topology->uncovered, side);
	error_hint(error, "Mend the cluster first (redis-cli --cluster check, --cluster fix)");
	return false;
}

static bool check_not_the_same(const struct gate *gate, struct error *error)
{
	char a[ENDPOINT_TEXT_MAX], b[ENDPOINT_TEXT_MAX];

	for (uint32_t i = 0; i < masters(gate->source); i++) {
		for (uint32_t j = 0; j < masters(gate->target); j++) {
			const char *run_id = deployment_server(gate->source, i)->run_id;

			if (!run_id[0] || strcmp(run_id, deployment_server(gate->target, j)->run_id) != 0)
				continue;
			error_set(error, ERROR_PRECHECK, "source %s and target %s are the same server", master_name(gate->source, i, a),
				  master_name(gate->target, j, b));
			error_hint(error, "Check source.address and target.address");
			return false;
		}
	}
	return true;
}

/* ---- the source ---- */

static bool check_source_role(const struct gate *gate, struct error *error)
{
	char name[ENDPOINT_TEXT_MAX], master[ENDPOINT_TEXT_MAX];

	for (uint32_t i = 0; i < masters(gate->source); i++) {
		const struct server_info *info = deployment_server(gate->source, i);

		if (info->role != ROLE_REPLICA || gate->task->read_from == READ_FROM_PREFER_REPLICA)
			continue;
		error_set(error, ERROR_PRECHECK, "source %s is a replica of %s", master_name(gate->source, i, name),
			  endpoint_format(&info->master, master));
		error_hint(error, "Give the master's address %s, or set source.read_from: prefer-replica", master);
		return false;
	}
	return true;
}

/* The highest that would be copied; of a server it is not known which below its highest have keys. */
static int highest_database(const struct gate *gate)
{
	int highest = gate->files ? (int)gate->files->highest_db : -1;

	for (uint32_t i = 0; gate->source && i < masters(gate->source); i++)
		if (deployment_server(gate->source, i)->highest_db > highest)
			highest = deployment_server(gate->source, i)->highest_db;
	while (highest > 0 && (!task_options_database_selected(gate->task, (uint32_t)highest) ||
			       (gate->files && highest < INSPECTION_DATABASES && !(gate->files->databases[highest / 64] >> (highest % 64) & 1))))
		highest--;
	return highest;
}

/* What SELECT takes at the target; 0: not known. A cluster has one, or since Valkey 9 as many as cluster-databases says. */
static uint32_t target_databases(struct deployment *target)
{
	bool cluster = deployment_topology(target)->cluster;
	uint32_t least = 0;

	for (uint32_t i = 0; i < (cluster ? masters(target) : 1); i++) {
		uint64_t count = cluster ? 1 : 0;

		if (!config_number(target, i, cluster ? "cluster-databases" : "databases", &count) || count > UINT32_MAX)
			count = cluster ? 1 : 0;
		if (i == 0 || count < least)
			least = (uint32_t)count;
	}
	return least;
}

static bool check_databases(const struct gate *gate, struct error *error)
{
	int highest = highest_database(gate);
	uint32_t database, count;

	if (highest < 0 || (database = task_options_database_of(gate->task, (uint32_t)highest)) == 0)
		return true;
	count = target_databases(gate->target);
	if (count == 0 || count > database)
		return true;
	if (deployment_topology(gate->target)->cluster && count == 1) {
		error_set(error, ERROR_PRECHECK, "the source has keys in database %d, and a cluster target has database 0 alone", highest);
		error_hint(error, "Choose the database to copy with source.databases: [0], bring all into one with target.database_map: {\"*\": 0}, or use a "
				  "standalone target, or a cluster of Valkey 9 with more cluster-databases");
		return false;
	}
	if (deployment_topology(gate->target)->cluster) {
		error_set(error, ERROR_PRECHECK, "the source has keys in database %d, and the target has only %u databases (cluster-databases)", highest,
			  count);
		error_hint(error, "Raise cluster-databases in the configuration of every node, or choose fewer with source.databases");
		return false;
	}
	error_set(error, ERROR_PRECHECK, "the source has keys in database %d, and the target has only %u databases", highest, count);
	error_hint(error, "Raise `databases` in the target's configuration, or choose fewer with source.databases");
	return false;
}

/* ---- the target ---- */

static bool check_target_node(const struct gate *gate, uint32_t shard, struct error *error)
{
	const struct server_info *info = deployment_server(gate->target, shard);
	char name[ENDPOINT_TEXT_MAX], master[ENDPOINT_TEXT_MAX];
	struct client_reply reply;
	struct error ignored;
	struct client *client;
	const struct resp_node *policy;

	master_name(gate->target, shard, name);
	if (info->role == ROLE_REPLICA) {
		error_set(error, ERROR_PRECHECK, "target %s is a read-only replica of %s", name, endpoint_format(&info->master, master));
		error_hint(error, "Give the master's address %s", master);
		return false;
	}
	if (info->maxmemory == 0)
		return true;
	client = deployment_client(gate->target, shard, &ignored);
	if (!client || !client_call(client, &reply, false, &ignored, "CONFIG", "GET", "maxmemory-policy", NULL) ||
	    !(policy = resp_member(&reply.nodes[0], 1)))
		return true;
	if (!slice_equal(policy->text, SLICE("noeviction"))) {
		warn(gate, "target %s evicts keys when its memory is full (maxmemory-policy %.*s): what it evicts is missing there", name,
		     (int)policy->text.len, (const char *)policy->text.data);
	} else if (info->used_memory >= info->maxmemory) {
		error_set(error, ERROR_PRECHECK, "target %s is full: %llu of %llu bytes (maxmemory) are used", name,
			  (unsigned long long)info->used_memory, (unsigned long long)info->maxmemory);
		error_hint(error, "Raise maxmemory there (CONFIG SET maxmemory ...), or make room");
		return false;
	}
	return true;
}

/* DBSIZE counts one database; the keyspace of INFO counts all. */
static bool check_existing(const struct gate *gate, bool own_data, struct error *error)
{
	char name[ENDPOINT_TEXT_MAX];
	struct client_reply reply;

	if (own_data || gate->task->existing == EXISTING_MERGE)
		return true;
	for (uint32_t i = 0; i < masters(gate->target); i++) {
		struct client *client;
		uint64_t keys = deployment_server(gate->target, i)->keys, marks;
		struct error ignored;

		/* Marks of other tasks are no data. So many keys, and they are not all marks. */
		if (keys > 0 && keys <= MARKS_MOST && checkpoint_count(gate->target, i, &marks, &ignored))
			keys -= marks < keys ? marks : keys;
		if (keys == 0)
			continue;
		master_name(gate->target, i, name);
		if (gate->task->existing == EXISTING_FAIL) {
			error_set(error, ERROR_PRECHECK, "target %s holds %llu keys already", name, (unsigned long long)keys);
			error_hint(error, "Empty it, or set target.existing to merge (keep them) or flush (remove them)");
			return false;
		}
		client = deployment_client(gate->target, i, error);
		if (!client || !client_call(client, &reply, false, error, "FLUSHALL", NULL))
			return false;
		warn(gate, "target %s: its %llu keys were removed, as target.existing: flush says", name, (unsigned long long)keys);
	}
	return true;
}

/* Of the oldest of its masters. */
static struct target_abilities abilities_of(const struct gate *gate, struct deployment *deployment, char name[64])
{
	struct target_abilities abilities = {.bulk_max = UINT64_MAX, .rdb_version = INT32_MAX};
	bool first = true;

	for (uint32_t i = 0; i < masters(deployment); i++) {
		const struct server_info *info = deployment_server(deployment, i);
		bool valkey = info->family == FAMILY_VALKEY;
		uint64_t bulk_max = BULK_MAX_DEFAULT;
		struct target_abilities one = {
			.set_absolute_expiry = valkey || info->version >= VERSION(6, 2, 0),
			.restore_absolute_ttl = valkey || info->version >= VERSION(5, 0, 0),
			.restore_replace = valkey || info->version >= VERSION(3, 0, 0),
			.functions = valkey || info->version >= VERSION(7, 0, 0),
			.hset_many = valkey || info->version >= VERSION(4, 0, 0),
			.streams = valkey || info->version >= VERSION(5, 0, 0),
			.consumers = valkey || info->version >= VERSION(6, 2, 0),
			.stream_counters = valkey || info->version >= VERSION(7, 0, 0),
			.field_expiry = info->version >= (valkey ? VERSION(9, 0, 0) : VERSION(7, 4, 0)),
			.valkey_rdb = info->rdb_version >= 80,
			.rdb_version = info->rdb_version,
		};
		uint32_t *oldest = valkey ? &abilities.valkey : &abilities.redis;

		if (*oldest == 0 || info->version < *oldest)
			*oldest = info->version;
		config_number(deployment, i, "proto-max-bulk-len", &bulk_max);
		abilities.set_absolute_expiry = one.set_absolute_expiry && (first || abilities.set_absolute_expiry);
		abilities.restore_absolute_ttl = one.restore_absolute_ttl && (first || abilities.restore_absolute_ttl);
		abilities.restore_replace = one.restore_replace && (first || abilities.restore_replace);
		abilities.functions = one.functions && (first || abilities.functions);
		abilities.hset_many = one.hset_many && (first || abilities.hset_many);
		abilities.streams = one.streams && (first || abilities.streams);
		abilities.consumers = one.consumers && (first || abilities.consumers);
		abilities.stream_counters = one.stream_counters && (first || abilities.stream_counters);
		abilities.field_expiry = one.field_expiry && (first || abilities.field_expiry);
		abilities.valkey_rdb = one.valkey_rdb && (first || abilities.valkey_rdb);
		if (bulk_max < abilities.bulk_max)
			abilities.bulk_max = bulk_max;
		if (one.rdb_version < abilities.rdb_version) {
			abilities.rdb_version = one.rdb_version;
			server_name(info, name);
		}
		first = false;
	}
	abilities.databases = target_databases(deployment);
	abilities.lossy = gate->task->downgrade == DOWNGRADE_LOSSY;
	abilities.skip_unsupported = gate->task->unsupported == UNSUPPORTED_SKIP;
	/* Options of RESTORE that came with 5.0, as ABSTTL did. */
	abilities.keep_idle = gate->task->keep_idle && abilities.restore_absolute_ttl;
	if (gate->task->keep_idle && !abilities.keep_idle)
		warn(gate, "target.keep_idle: the target is older than Redis 5.0, which first took idle times and frequencies: they are left out");
	abilities.name = name;
	return abilities;
}

/* ---- a target of files ---- */

/* The servers that can load what a source of this RDB version and `since` of its form is written as. */
static void warn_of_aof(const struct gate *gate, int rdb_version, const char *source_name)
{
	/* RDB version 10 is Redis 7.0, 8 is 4.0. */
	if (gate->task->target.mode != MODE_AOF)
		return;
	if (gate->task->aof_format == AOF_MULTI_PART && rdb_version < 10)
		warn(gate, "the source is %s, and servers before Redis 7.0 do not read an append-only file in parts: write target.aof_format: single for them",
		     source_name);
	else if (rdb_version < 8)
		warn(gate, "the source is %s, and servers before Redis 4.0 do not read an append-only file that begins with a snapshot: load it into a newer one",
		     source_name);
}

static bool pass_to_files(const struct gate *gate, struct target_abilities *ret, char name[64])
{
	char source_name[64];

	if (gate->source) {
		*ret = abilities_of(gate, gate->source, name);
		warn_of_aof(gate, ret->rdb_version, server_name(deployment_server(gate->source, 0), source_name));
		return true;
	}
	/* Files say nothing of the server that will load them; what is in them it has to know in any case. */
	snprintf(name, 64, "the file");
	*ret = (struct target_abilities){.bulk_max = UINT64_MAX, .rdb_version = INT32_MAX, .valkey_rdb = true, .name = name};
	if (gate->files->rdb_version > 0)
		warn_of_aof(gate, (int)gate->files->rdb_version, gate->files->server[0] ? gate->files->server : "of an old version");
	return true;
}

bool gate_pass(const struct task_options *task, struct deployment *source, const struct inspection *files, struct deployment *target,
	       bool own_data, void (*warn_with)(const char *text), struct target_abilities *ret, char name[64], struct error *error)
{
	struct gate gate = {task, source, files, target, warn_with};

	if (source && ((target && !check_not_the_same(&gate, error)) || !check_source_role(&gate, error) ||
		       !check_coverage(source, "source", error)))
		return false;
	if (!target)
		return pass_to_files(&gate, ret, name);
	if (!check_coverage(target, "target", error) || !check_databases(&gate, error))
		return false;
	for (uint32_t i = 0; i < masters(target); i++)
		if (!check_target_node(&gate, i, error))
			return false;
	*ret = abilities_of(&gate, target, name);
	losses_warn(&(struct losses){task, source, files, target, ret, warn_with});
	return check_existing(&gate, own_data, error);
}
