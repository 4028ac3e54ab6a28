#include "precheck/abilities.h"

#include "sink/abilities.h"

#include <stdio.h>

/* What SELECT takes there; 0: not known. A cluster has one database, or since Valkey 9 as many as cluster-databases says. */
static uint32_t databases_of(const struct precheck *precheck, const struct node *node)
{
	bool cluster = precheck_is_cluster(precheck, node->side);
	uint64_t count = 0;

	if (!node_setting_number(node, cluster ? SETTING_CLUSTER_DATABASES : SETTING_DATABASES, &count) || count > UINT32_MAX)
		return cluster ? 1 : 0;
	return (uint32_t)count;
}

bool abilities_read(const struct precheck *precheck, enum precheck_side side, struct target_abilities *ret, char name[64])
{
	const struct task_options *task = precheck->options->task;
	struct target_abilities abilities;
	const struct node *node = NULL;
	int oldest = INT32_MAX;
	bool first = true;

	while ((node = precheck_next_master(precheck, side, node))) {
		struct target_abilities one = abilities_of_server(&node->info);

		one.databases = databases_of(precheck, node);
		node_setting_number(node, SETTING_BULK_MAX, &one.bulk_max);
		if (first)
			abilities = one;
		abilities_meet(&abilities, &one);
		if (one.databases < abilities.databases)
			abilities.databases = one.databases;
		if (one.rdb_version < oldest)
			server_name(&node->info, name);
		oldest = abilities.rdb_version;
		first = false;
	}
	if (first)
		return false;
	abilities.name = name;
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
