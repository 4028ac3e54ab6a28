#include "source/backlog.h"

#include "base/clock.h"
#include "base/memory.h"
#include "source/changes.h"

#include <stdlib.h>

#define DEFERRED_MS 20
#define RECENT 4096 /* keys read of late; a power of two */

/* A key that was read, and when it may be read again. */
struct recent {
	uint64_t hash;
	uint64_t again_us;
};

struct backlog {
	void (*ready)(void *owner);
	void *owner;
	struct changes *changes;
	struct changes *deferred; /* no key is in both */
	struct timer *timer;
	uint32_t mark; /* of what is added now: a moment waits for what has a lower one */
	uint64_t awaited;
	struct recent recent[RECENT];
};

static struct recent *recent_of(struct backlog *backlog, uint64_t hash)
{
	return &backlog->recent[hash >> 16 & (RECENT - 1)];
}

static bool rests(struct backlog *backlog, uint32_t db, struct slice key, uint64_t now)
{
	uint64_t hash = changes_hash(db, key);
	const struct recent *recent = recent_of(backlog, hash);

	return recent->hash == hash && recent->again_us > now;
}

static void on_deferred(void *owner)
{
	struct backlog *backlog = owner;
	uint64_t now = clock_monotonic_us();

	for (uint64_t left = changes_count(backlog->deferred); left > 0; left--) {
		uint32_t db, mark;
		struct slice key;

		if (!changes_take(backlog->deferred, &db, &key, &mark))
			break;
		/* What has just left a set has room there again. */
		if (rests(backlog, db, key, now) || changes_add(backlog->changes, db, key, mark) == CHANGES_FULL)
			changes_add(backlog->deferred, db, key, mark);
	}
	if (changes_count(backlog->deferred) > 0)
		timer_start(backlog->timer, DEFERRED_MS);
	backlog->ready(backlog->owner);
}

struct backlog *backlog_new(struct loop *loop, size_t bytes, void (*ready)(void *owner), void *owner)
{
	struct backlog *backlog = memory_alloc_zero(1, sizeof(*backlog));

	backlog->ready = ready;
	backlog->owner = owner;
	backlog->changes = changes_new(bytes);
	backlog->deferred = changes_new(bytes);
	backlog->timer = timer_new(loop, on_deferred, backlog);
	return backlog;
}

void backlog_free(struct backlog *backlog)
{
	if (!backlog)
		return;
	changes_free(backlog->changes);
	changes_free(backlog->deferred);
	timer_free(backlog->timer);
	free(backlog);
}

void backlog_stop(struct backlog *backlog)
{
	timer_stop(backlog->timer);
}

bool backlog_add(struct backlog *backlog, uint32_t db, struct slice key)
{
	return changes_holds(backlog->deferred, db, key) || changes_add(backlog->changes, db, key, backlog->mark) != CHANGES_FULL;
}

bool backlog_take(struct backlog *backlog, uint32_t *db, struct slice *key)
{
	uint64_t now = clock_monotonic_us();
	uint32_t mark;

	while (changes_take(backlog->changes, db, key, &mark)) {
		/* Where there is no room to defer it, it is read too early. */
		if (!rests(backlog, *db, *key, now) || changes_add(backlog->deferred, *db, *key, mark) == CHANGES_FULL) {
			if (mark < backlog->mark)
				backlog->awaited--;
			return true;
		}
		if (!timer_active(backlog->timer))
			timer_start(backlog->timer, DEFERRED_MS);
	}
	return false;
}

void backlog_rest(struct backlog *backlog, uint32_t db, struct slice key, uint64_t size)
{
	uint64_t hash = changes_hash(db, key), least = 1000000 / BACKLOG_READS, by_size = size * 1000000 / BACKLOG_BYTES;
	struct recent *recent = recent_of(backlog, hash);
	uint64_t now = clock_monotonic_us();

	/* One that rests longer is not forgotten for another. */
	if (recent->hash != hash && recent->again_us > now + by_size)
		return;
	*recent = (struct recent){hash, now + (by_size > least ? by_size : least)};
}

void backlog_hold(struct backlog *backlog)
{
	backlog->mark++;
	backlog->awaited = changes_count(backlog->changes) + changes_count(backlog->deferred);
}

uint64_t backlog_awaited(const struct backlog *backlog)
{
	return backlog->awaited;
}
