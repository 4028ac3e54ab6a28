#include "no_source.h"

#include "source/heartbeat.h"

int64_t no_source_applied = -1;

static void set_applied(void *self, int64_t offset, bool now)
{
	(void)self;
	(void)now;
	no_source_applied = offset;
}

static const struct source_ops ops = {.set_applied = set_applied};
const struct source no_source = {.ops = &ops};

bool heartbeat_is_key(struct slice key)
{
	return slice_starts_with(key, SLICE(HEARTBEAT_KEY));
}

bool heartbeat_source_offset(const struct heartbeat *heartbeat, int64_t *ret_offset, uint64_t *ret_at_us)
{
	(void)heartbeat;
	(void)ret_offset;
	(void)ret_at_us;
	return false;
}

uint64_t heartbeat_ticket(struct heartbeat *heartbeat)
{
	(void)heartbeat;
	return 1;
}

bool heartbeat_sampled_since(const struct heartbeat *heartbeat, uint64_t ticket, int64_t *ret_offset)
{
	(void)heartbeat;
	(void)ticket;
	(void)ret_offset;
	return false;
}

int64_t heartbeat_time_of_offset(const struct heartbeat *heartbeat, int64_t offset)
{
	(void)heartbeat;
	(void)offset;
	return 0;
}
