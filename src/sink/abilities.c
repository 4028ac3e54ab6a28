#include "sink/abilities.h"

#define VALKEY_RDB 80       /* versions of Valkey's own begin here */
#define REDIS_RDB_SHARED 11 /* the last one of Redis that Valkey reads */

struct target_abilities abilities_of_server(const struct server_info *info)
{
	bool valkey = info->family == FAMILY_VALKEY;

	return (struct target_abilities){
		.redis = valkey ? 0 : info->version,
		.valkey = valkey ? info->version : 0,
		.set_absolute_expiry = valkey || info->version >= VERSION(6, 2, 0),
		.restore_absolute_ttl = valkey || info->version >= VERSION(5, 0, 0),
		.restore_replace = valkey || info->version >= VERSION(3, 0, 0),
		.functions = valkey || info->version >= VERSION(7, 0, 0),
		.hset_many = valkey || info->version >= VERSION(4, 0, 0),
		.streams = valkey || info->version >= VERSION(5, 0, 0),
		.consumers = valkey || info->version >= VERSION(6, 2, 0),
		.stream_counters = valkey || info->version >= VERSION(7, 0, 0),
		.field_expiry = info->version >= (valkey ? VERSION(9, 0, 0) : VERSION(7, 4, 0)),
		/* Those before do not tell their modules in INFO, so nobody knows. */
		.ends_at_modules = !valkey && info->version >= VERSION(6, 0, 0) && info->version < VERSION(6, 2, 0) &&
				   info->modules[0] == '\0',
		.valkey_rdb = info->rdb_version >= VALKEY_RDB,
		.rdb_version = info->rdb_version,
		.bulk_max = ABILITIES_BULK_MAX_DEFAULT,
	};
}

static uint32_t oldest(uint32_t a, uint32_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

void abilities_meet(struct target_abilities *all, const struct target_abilities *one)
{
	all->redis = oldest(all->redis, one->redis);
	all->valkey = oldest(all->valkey, one->valkey);
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
	all->ends_at_modules |= one->ends_at_modules;
	if (one->rdb_version < all->rdb_version)
		all->rdb_version = one->rdb_version;
	if (one->bulk_max < all->bulk_max)
		all->bulk_max = one->bulk_max;
}

bool abilities_take_version(const struct target_abilities *target, int rdb_version)
{
	if (rdb_version >= VALKEY_RDB)
		return target->valkey_rdb && rdb_version <= target->rdb_version;
	return rdb_version <= (target->rdb_version >= VALKEY_RDB ? REDIS_RDB_SHARED : target->rdb_version);
}
