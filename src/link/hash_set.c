#include "link/hash_set.h"

#include "base/memory.h"

#include <stdlib.h>

#define FIRST_ROOM 64

/* 0 marks what is free. */
static uint64_t stored(uint64_t hash)
{
	return hash ? hash : 1;
}

/* Its place, or the free one where it belongs. */
static size_t place(const struct hash_set *set, uint64_t hash)
{
	size_t at = hash & (set->room - 1);

	while (set->hashes[at] && set->hashes[at] != hash)
		at = (at + 1) & (set->room - 1);
	return at;
}

static void grow(struct hash_set *set)
{
	struct hash_set old = *set;

	set->room = old.room ? 2 * old.room : FIRST_ROOM;
	set->hashes = memory_alloc_zero(set->room, sizeof(set->hashes[0]));
	for (size_t i = 0; i < old.room; i++)
		if (old.hashes[i])
			set->hashes[place(set, old.hashes[i])] = old.hashes[i];
	free(old.hashes);
}

void hash_set_free(struct hash_set *set)
{
	free(set->hashes);
	*set = (struct hash_set){0};
}

bool hash_set_has(const struct hash_set *set, uint64_t hash)
{
	return set->room > 0 && set->hashes[place(set, stored(hash))];
}

void hash_set_add(struct hash_set *set, uint64_t hash, size_t max)
{
	size_t at;

	if (2 * (set->count + 1) > set->room) {
		if (set->count >= max)
			return;
		grow(set);
	}
	at = place(set, stored(hash));
	set->count += !set->hashes[at];
	set->hashes[at] = stored(hash);
}
