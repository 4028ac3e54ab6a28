#include "source/feeder.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "source/intake.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_SIZE (1u << 20)
#define TICK_MS 1000

struct feeder {
	const struct input *input;
	struct spool *spool;
	struct feeder_events events;
	void *owner;
	struct intake intake;
	struct idle *more;
	struct timer *tick;
	struct wake *room;
	uint8_t *bytes;
	enum hold hold;
	bool running;
	atomic_bool connected, complete;
	_Atomic uint64_t bytes_received;
};

static void finish(struct feeder *feeder)
{
	feeder->running = false;
	timer_stop(feeder->tick);
	intake_flush(&feeder->intake, false);
	atomic_store(&feeder->connected, false);
	atomic_store(&feeder->complete, true);
}

static void fail(struct feeder *feeder, const struct error *error)
{
	feeder->running = false;
	timer_stop(feeder->tick);
	atomic_store(&feeder->connected, false);
	feeder->events.failed(feeder->owner, error);
}

/* Appends the next bytes at the spool's end. False: the input cannot be read. */
static bool append_more(struct feeder *feeder, uint64_t end, uint64_t until, struct error *error)
{
	struct slice bytes;
	size_t len;

	if (!input_read(feeder->input, end, feeder->bytes, until - end < READ_SIZE ? (size_t)(until - end) : READ_SIZE, &len,
			error))
		return false;
	bytes = slice_make(feeder->bytes, len);
	feeder->hold = intake_append(&feeder->intake, &bytes);
	/* What the spool did not take is read again: its end says from where. */
	atomic_fetch_add_explicit(&feeder->bytes_received, len - bytes.len, memory_order_relaxed);
	return true;
}

/* One step towards the end; what has to be awaited is left in `hold`. */
static void advance(struct feeder *feeder)
{
	const struct input *input = feeder->input;
	uint64_t end = spool_end(feeder->spool);
	bool in_snapshot = spool_snapshot_end(feeder->spool) == SPOOL_UNKNOWN;
	struct error error;

	feeder->hold = HOLD_NONE;
	if (spool_origin(feeder->spool).generation == 0) {
		/* A snapshot counts as the stream's first bytes, so that an offset is a place in the line of bytes. */
		feeder->hold =
			intake_begin(&feeder->intake, input->identity, (int64_t)input->snapshot_end, input->snapshot_end > 0);
	} else if (in_snapshot && end == input->snapshot_end) {
		feeder->hold = intake_finish_snapshot(&feeder->intake);
	} else if (end >= input->total) {
		finish(feeder);
	} else if (!append_more(feeder, end, in_snapshot ? input->snapshot_end : input->total, &error)) {
		fail(feeder, &error);
	}
	if (feeder->running && feeder->hold == HOLD_NONE)
		idle_start(feeder->more);
}

static void on_more(void *owner)
{
	struct feeder *feeder = owner;

	if (feeder->running)
		advance(feeder);
}

static void on_room(void *owner)
{
	struct feeder *feeder = owner;

	if (feeder->running && feeder->hold == HOLD_ROOM)
		advance(feeder);
}

static void on_tick(void *owner)
{
	struct feeder *feeder = owner;

	if (feeder->running && feeder->hold == HOLD_DISK)
		advance(feeder);
	if (feeder->running && feeder->intake.unflushed)
		intake_flush(&feeder->intake, false);
}

/* The reader's thread. */
static void on_room_made(void *owner)
{
	wake_send(((struct feeder *)owner)->room);
}

static void on_note(void *owner, int log_level, const char *text)
{
	struct feeder *feeder = owner;

	feeder->events.note(feeder->owner, log_level, text);
}

static void on_tell(void *owner, const struct incident *incident)
{
	struct feeder *feeder = owner;

	feeder->events.tell(feeder->owner, incident);
}

static const struct intake_events intake_callbacks = {on_note, on_tell};

struct feeder *feeder_new(struct loop *loop, const struct input *input, struct spool *spool, const struct feeder_events *events,
			  void *owner)
{
	struct feeder *feeder = memory_alloc_zero(1, sizeof(*feeder));

	feeder->input = input;
	feeder->spool = spool;
	feeder->events = *events;
	feeder->owner = owner;
	feeder->bytes = memory_alloc(READ_SIZE);
	intake_init(&feeder->intake, spool, &intake_callbacks, feeder);
	feeder->more = idle_new(loop, on_more, feeder);
	feeder->tick = timer_new(loop, on_tick, feeder);
	feeder->room = wake_new(loop, on_room, feeder);
	spool_on_room(spool, on_room_made, feeder);
	return feeder;
}

/* ---- behind the table ---- */

static void start(void *self)
{
	struct feeder *feeder = self;

	feeder->running = true;
	atomic_store(&feeder->connected, true);
	timer_repeat(feeder->tick, TICK_MS, TICK_MS);
	advance(feeder);
}

static void stop(void *self)
{
	struct feeder *feeder = self;

	feeder->running = false;
	timer_stop(feeder->tick);
	intake_flush(&feeder->intake, true);
	atomic_store(&feeder->connected, false);
}

static void free_feeder(void *self)
{
	struct feeder *feeder = self;

	spool_on_room(feeder->spool, NULL, NULL);
	idle_free(feeder->more);
	timer_free(feeder->tick);
	wake_free(feeder->room);
	free(feeder->bytes);
	free(feeder);
}

/* It never begins a second history, and files want no acknowledgement. */
static void resync_ready(void *self)
{
	(void)self;
}

static void set_applied(void *self, int64_t offset, bool now)
{
	(void)self;
	(void)offset;
	(void)now;
}

static struct source_status status(const void *self)
{
	const struct feeder *feeder = self;

	return (struct source_status){
		.connected = atomic_load(&feeder->connected),
		.complete = atomic_load(&feeder->complete),
		.snapshot_bytes_total = feeder->input->total,
		.bytes_received = atomic_load(&feeder->bytes_received),
	};
}

static const struct source_ops ops = {start, stop, free_feeder, resync_ready, NULL, set_applied, status};

struct source feeder_as_source(struct feeder *feeder)
{
	return (struct source){&ops, feeder};
}
