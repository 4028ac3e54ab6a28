#include "precheck/abilities.h"

#include <stdio.h>

#define BULK_MAX_DEFAULT (512ULL << 20) /* proto-max-bulk-len where it is not told */

/* What SELECT takes there; 0: not known. A cluster has one database, or since Valkey 9 as many as cluster-databases says. */
static uint32_t databases_of(const struct precheck *precheck, const struct node *node)
{
	bool cluster = precheck_is_cluster(precheck, node->side);
	uint64_t count = 0;

	if (!node_setting_number(node, cluster ? SETTING_CLUSTER_DATABASES : SETTING_DATABASES, &count) || count > UINT32_MAX)
		return cluster ? 1 : 0;
	return (uint32_t)count;
}

static struct target_abilities of_server(const struct server_info *info)
{
	bool valkey = info->family == FAMILY_VALKEY;

	return (struct target_abilities){
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
}

/* What both have. */
static void meet(struct target_abilities *all, const struct target_abilities *one)
{
	all->set_absolute_expiry &= one->set_absolute_expiry;
	all->restore_absolute_ttl &= one->restore_absolute_ttl;
	all->restore_replace &= one->restore_replace;
	all->functions &= one->functions;
	all->hset_many &= one->hset_many;
	all->streams &= one->streams;
	all->consumers &= one->consumers;
	all->stream_counters &= one->stream_counters;
	all->field_expiry &= one->field_expiry;
	all->valkey_rdb &= one->valkey_rdb;
}

bool abilities_read(const struct precheck *precheck, enum precheck_side side, struct target_abilities *ret, char name[64])
{
	const struct task_options *task = precheck->options->task;
	struct target_abilities abilities = {.bulk_max = UINT64_MAX, .rdb_version = INT32_MAX, .name = name};
	const struct node *node = NULL;
	bool first = true;

	while ((node = precheck_next_master(precheck, side, node))) {
		const struct server_info *info = &node->info;
		struct target_abilities one = of_server(info);
		uint32_t *oldest = info->family == FAMILY_VALKEY ? &abilities.valkey : &abilities.redis, databases = databases_of(precheck, node);
		uint64_t bulk_max = BULK_MAX_DEFAULT;

		if (*oldest == 0 || info->version < *oldest)
			*oldest = info->version;
		node_setting_number(node, SETTING_BULK_MAX, &bulk_max);
		if (bulk_max < abilities.bulk_max)
			abilities.bulk_max = bulk_max;
		if (first) {
			one.bulk_max = abilities.bulk_max;
			one.redis = abilities.redis;
			one.valkey = abilities.valkey;
			one.name = name;
			one.databases = databases;
			abilities = one;
			server_name(info, name);
		}
		meet(&abilities, &one);
		if (databases < abilities.databases)
			abilities.databases = databases;
		if (one.rdb_version < abilities.rdb_version) {
			abilities.rdb_version = one.rdb_version;
			server_name(info, name);
		}
		first = false;
	}
	if (first)
		return false;
	abilities.lossy = task->downgrade == DOWNGRADE_LOSSY;
	abilities.skip_unsupported = task->unsupported == UNSUPPORTED_SKIP;
	/* Options of RESTORE that came with 5.0, as ABSTTL did. */
	abilities.keep_idle = task->keep_idle && abilities.restore_absolute_ttl;
	*ret = abilities;
	return true;
}

struct target_abilities abilities_of_files(char name[64])
{
	snprintf(name, 64, "the file");
	return (struct target_abilities){.bulk_max = UINT64_MAX, .rdb_version = INT32_MAX, .valkey_rdb = true, .name = name};
}
