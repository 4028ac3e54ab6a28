/* A set of 64-bit hashes.
 * Thread: owned by one (or guarded by its owner). */
#ifndef KEYFERRY_LINK_HASH_SET_H
#define KEYFERRY_LINK_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_set {
	uint64_t *hashes; /* 0: free */
	size_t room, count;
};

void hash_set_free(struct hash_set *set);
bool hash_set_has(const struct hash_set *set, uint64_t hash);
/* Beyond `max` nothing is added. */
void hash_set_add(struct hash_set *set, uint64_t hash, size_t max);

#endif
