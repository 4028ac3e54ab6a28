/* Where a source stood, and when: its offsets as sampled, oldest first, to look up when it was at a given one.
 *
 * The room is bounded and the span is not: when it is full, every other sample of the older half goes, so the recent past is
 * known by the second and the distant one more coarsely.
 * Thread: owned by one (or guarded by its owner). */
#ifndef KEYFERRY_SOURCE_SAMPLES_H
#define KEYFERRY_SOURCE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLES_MAX 2048

struct sample {
	uint64_t number; /* of the request that brought it, counted from 1 */
	int64_t offset;
	int64_t wall_ms;      /* when that request was sent */
	uint64_t at_us;       /* the same by clock_monotonic_us() */
	uint64_t answered_us; /* when the first answer with this offset had come */
};

#define SAMPLES_HISTORY_MAX 40

struct samples {
	char history[SAMPLES_HISTORY_MAX + 1]; /* replication id of what was added last; empty: not told */
	size_t count;
	struct sample samples[SAMPLES_MAX]; /* offsets rise strictly, numbers too */
};

/* What is added from now on is of the history of that id (empty: not told, as of servers before Redis 4.0). Another one than before goes on from the one called `before`
 * behind the offset `shared`: what is not of both is forgotten, or it would tell of offsets that were reached earlier than they are the new one's. */
void samples_enter(struct samples *samples, const char *history, const char *before, int64_t shared);
/* Adds the newest. An offset lower than the last belongs to another history: all before is forgotten. */
void samples_add(struct samples *samples, const struct sample *sample);
/* The newest; NULL: none. */
const struct sample *samples_last(const struct samples *samples);
/* The latest with an offset of at most `offset`; NULL: none. */
const struct sample *samples_at_offset(const struct samples *samples, int64_t offset);
/* The first with a number above `number`; NULL: none. */
const struct sample *samples_after(const struct samples *samples, uint64_t number);
/* The first with an offset of at least `offset`; NULL: none. */
const struct sample *samples_reaching(const struct samples *samples, int64_t offset);
/* The first whose request was sent at that time (clock_monotonic_us()) or later; NULL: none. */
const struct sample *samples_since(const struct samples *samples, uint64_t us);

#endif
