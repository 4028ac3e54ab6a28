#include "no_source.h"

#include "source/heartbeat.h"
#include "source/receiver.h"

int64_t no_source_applied = -1;

void receiver_set_applied(struct receiver *receiver, int64_t offset, bool now)
{
	(void)receiver;
	(void)now;
	no_source_applied = offset;
}

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
