/* The receiver behind the table of source/source.h. */
#include "source/receiver.h"

static void start(void *self)
{
	receiver_start(self);
}

static void stop(void *self)
{
	receiver_stop(self);
}

static void free_receiver(void *self)
{
	receiver_free(self);
}

static void resync_ready(void *self)
{
	receiver_resync_ready(self);
}

static void begin_anew(void *self)
{
	receiver_begin_anew(self);
}

static void set_applied(void *self, int64_t offset, bool now)
{
	receiver_set_applied(self, offset, now);
}

static struct source_status status(const void *self)
{
	struct receiver_status status = receiver_status(self);

	return (struct source_status){
		.connected = status.state == RECEIVER_SNAPSHOT || status.state == RECEIVER_STREAMING,
		.snapshot_bytes_total = status.snapshot_bytes_total,
		.bytes_received = status.bytes_received,
		.reconnects = status.reconnects,
		.resyncs = status.resyncs,
		.away = status.away,
	};
}

static const struct source_ops ops = {start, stop, free_receiver, resync_ready, begin_anew, set_applied, status};

struct source receiver_as_source(struct receiver *receiver)
{
	return (struct source){&ops, receiver};
}
