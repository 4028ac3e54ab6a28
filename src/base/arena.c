#include "base/arena.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_SIZE (16u << 10)

struct arena_block {
	struct arena_block *older;
	size_t size, used;
	alignas(max_align_t) uint8_t bytes[];
};

void arena_free(struct arena *arena)
{
	while (arena->newest) {
		struct arena_block *block = arena->newest;

		arena->newest = block->older;
		free(block);
	}
}

void arena_reset(struct arena *arena)
{
	while (arena->newest && arena->newest->older) {
		struct arena_block *block = arena->newest;

		arena->newest = block->older;
		free(block);
	}
	if (arena->newest)
		arena->newest->used = 0;
	/* The first block may have been made for something very large. */
	if (arena->newest && arena->newest->size > BLOCK_SIZE)
		arena_free(arena);
}

void *arena_take(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->newest;
	void *piece;

	size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	if (!block || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = memory_alloc(sizeof(*block) + room);
		block->older = arena->newest;
		block->size = room;
		block->used = 0;
		arena->newest = block;
	}
	piece = block->bytes + block->used;
	block->used += size;
	return piece;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	uint8_t *copy = arena_take(arena, bytes.len);

	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	return slice_make(copy, bytes.len);
}

struct slice arena_number(struct arena *arena, int64_t number)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, number);

	return arena_copy(arena, slice_make(text, (size_t)len));
}
