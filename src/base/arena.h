/* An arena: memory taken piece by piece and given back all at once.
 *
 *     block -> block -> block     pieces are cut off the newest; reset keeps the first, for the next round
 *
 * What is taken stays where it is until arena_reset(). Thread: owned by one. */
#ifndef KEYFERRY_BASE_ARENA_H
#define KEYFERRY_BASE_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *newest;
};

void arena_free(struct arena *arena);
/* Everything taken so far is gone. */
void arena_reset(struct arena *arena);
/* `size` bytes, not zeroed, aligned for any type; never NULL. */
void *arena_take(struct arena *arena, size_t size) __attribute__((returns_nonnull));
/* A copy of the bytes. */
struct slice arena_copy(struct arena *arena, struct slice bytes);
/* The decimal digits of a number. */
struct slice arena_number(struct arena *arena, int64_t number);

#endif
