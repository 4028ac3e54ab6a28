#include "verify/suspects.h"

#include "base/memory.h"

#include <stdlib.h>

#define CONFIRMED_ALIKE 2
#define CONFIRMED_AT_ALL 3

void suspect_confirm(struct suspect *suspect, uint64_t source_print, uint64_t target_print)
{
	bool alike =
		suspect->confirmed > 0 && suspect->confirmed_source == source_print && suspect->confirmed_target == target_print;

	/* The source has touched it: the next round. */
	if (source_print != suspect->source_print)
		return;
	suspect->alike = alike ? suspect->alike + 1 : 1;
	suspect->confirmed++;
	suspect->confirmed_source = source_print;
	suspect->confirmed_target = target_print;
	suspect->proven = suspect->alike >= CONFIRMED_ALIKE || suspect->confirmed >= CONFIRMED_AT_ALL;
}

static struct slice put(uint8_t **at, struct slice bytes)
{
	struct slice copy = {*at, bytes.len};

	if (!bytes.data)
		return bytes;
	memcpy(*at, bytes.data, bytes.len);
	*at += bytes.len;
	return copy;
}

/* A copy in one piece, with other names. */
static struct suspect *make(const struct suspect *from, struct slice source_key, struct slice target_key)
{
	/* An empty name has an address, too. */
	struct suspect *suspect = memory_alloc(sizeof(*suspect) + source_key.len + target_key.len + 1);
	uint8_t *at = (uint8_t *)(suspect + 1);

	*suspect = *from;
	suspect->source_key = put(&at, source_key);
	suspect->target_key = put(&at, target_key);
	return suspect;
}

static uint64_t size_of(const struct suspect *suspect)
{
	return sizeof(*suspect) + suspect->source_key.len + suspect->target_key.len + 1;
}

void suspects_add(struct suspects *suspects, uint32_t source_db, struct slice source_key, uint32_t target_db,
		  struct slice target_key)
{
	const struct suspect blank = {.source_db = source_db, .target_db = target_db};
	struct suspect *suspect = make(&blank, source_key, target_key);

	if (suspects->count == suspects->room) {
		suspects->room = suspects->room ? 2 * suspects->room : 64;
		suspects->items = memory_realloc_array(suspects->items, suspects->room, sizeof(suspects->items[0]));
	}
	suspects->items[suspects->count++] = suspect;
	suspects->bytes += size_of(suspect);
}

void suspects_name(struct suspects *suspects, uint32_t index, uint32_t target_db, struct slice target_key)
{
	struct suspect *old = suspects->items[index];
	struct suspect *suspect = make(old, old->source_key, target_key);

	suspect->target_db = target_db;
	suspects->bytes += size_of(suspect) - size_of(old);
	suspects->items[index] = suspect;
	free(old);
}

bool suspects_full(const struct suspects *suspects)
{
	return suspects->count >= SUSPECTS_MAX || suspects->bytes >= SUSPECTS_BYTES;
}

static int by_key(const void *left, const void *right)
{
	const struct suspect *a = *(struct suspect *const *)left, *b = *(struct suspect *const *)right;
	size_t shorter = a->source_key.len < b->source_key.len ? a->source_key.len : b->source_key.len;
	int order;

	if (a->source_db != b->source_db)
		return a->source_db < b->source_db ? -1 : 1;
	order = shorter ? memcmp(a->source_key.data, b->source_key.data, shorter) : 0;
	if (order != 0)
		return order;
	return (a->source_key.len > b->source_key.len) - (a->source_key.len < b->source_key.len);
}

void suspects_unite(struct suspects *suspects)
{
	if (suspects->count == 0)
		return;
	qsort(suspects->items, suspects->count, sizeof(suspects->items[0]), by_key);
	for (uint32_t i = 1; i < suspects->count; i++)
		suspects->items[i - 1]->over =
			suspects->items[i - 1]->over || by_key(&suspects->items[i - 1], &suspects->items[i]) == 0;
	suspects_sweep(suspects);
}

void suspects_sweep(struct suspects *suspects)
{
	uint32_t kept = 0;

	suspects->bytes = 0;
	for (uint32_t i = 0; i < suspects->count; i++) {
		struct suspect *suspect = suspects->items[i];

		if (suspect->over) {
			free(suspect);
			continue;
		}
		suspects->bytes += size_of(suspect);
		suspects->items[kept++] = suspect;
	}
	suspects->count = kept;
}

void suspects_free(struct suspects *suspects)
{
	for (uint32_t i = 0; i < suspects->count; i++)
		free(suspects->items[i]);
	free(suspects->items);
	*suspects = (struct suspects){0};
}
