#include "source/changes.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "wire/crc64.h"

#include <stdlib.h>

#define BYTES_MIN (64u << 10)
#define TABLE_MIN 1024 /* cells; a power of two */

/* Before each key in `queue`. */
struct record {
	uint64_t hash;
	uint32_t db;
	uint32_t mark;
	uint64_t len;
};

/* The table finds the record of a key: open addressing, each cell holds the record's place in the endless queue plus one; 0: empty. */
struct changes {
	size_t bytes;
	struct buffer queue;
	uint64_t consumed; /* bytes that have left the queue: the place of its first byte */
	uint64_t *table;
	size_t cells;
	uint64_t count;
	struct buffer key; /* taken last */
};

struct changes *changes_new(size_t bytes)
{
	struct changes *changes = memory_alloc_zero(1, sizeof(*changes));

	changes->bytes = bytes < BYTES_MIN ? BYTES_MIN : bytes;
	buffer_init(&changes->queue, SIZE_MAX / 2);
	buffer_init(&changes->key, SIZE_MAX / 2);
	changes->cells = TABLE_MIN;
	changes->table = memory_alloc_zero(changes->cells, sizeof(changes->table[0]));
	return changes;
}

void changes_free(struct changes *changes)
{
	if (!changes)
		return;
	buffer_free(&changes->queue);
	buffer_free(&changes->key);
	free(changes->table);
	free(changes);
}

uint64_t changes_hash(uint32_t db, struct slice key)
{
	uint64_t hash = crc64(db + 1, key.data, key.len);

	/* A CRC's low bits are weak for keys that differ in a few places. */
	hash ^= hash >> 32;
	hash *= 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static struct record record_at(const struct changes *changes, uint64_t place, const uint8_t **key)
{
	const uint8_t *at = buffer_readable(&changes->queue).data + (place - changes->consumed);
	struct record record;

	memcpy(&record, at, sizeof(record));
	*key = at + sizeof(record);
	return record;
}

/* The cell of the key, or the empty one where it would go. */
static size_t find(const struct changes *changes, uint64_t hash, uint32_t db, struct slice key)
{
	size_t cell = hash & (changes->cells - 1);

	while (changes->table[cell] != 0) {
		const uint8_t *bytes;
		struct record record = record_at(changes, changes->table[cell] - 1, &bytes);

		if (record.hash == hash && record.db == db && slice_equal(slice_make(bytes, record.len), key))
			break;
		cell = (cell + 1) & (changes->cells - 1);
	}
	return cell;
}

/* Empties a cell and moves up those behind it that would not be found any more. */
static void remove_cell(struct changes *changes, size_t hole)
{
	size_t mask = changes->cells - 1;

	for (size_t cell = (hole + 1) & mask; changes->table[cell] != 0; cell = (cell + 1) & mask) {
		const uint8_t *bytes;
		size_t home = record_at(changes, changes->table[cell] - 1, &bytes).hash & mask;

		if (((cell - home) & mask) < ((cell - hole) & mask))
			continue;
		changes->table[hole] = changes->table[cell];
		hole = cell;
	}
	changes->table[hole] = 0;
}

static void grow(struct changes *changes)
{
	uint64_t *old = changes->table;
	size_t cells = changes->cells;

	changes->cells *= 2;
	changes->table = memory_alloc_zero(changes->cells, sizeof(changes->table[0]));
	for (size_t i = 0; i < cells; i++) {
		const uint8_t *bytes;
		size_t cell;

		if (old[i] == 0)
			continue;
		cell = record_at(changes, old[i] - 1, &bytes).hash & (changes->cells - 1);
		while (changes->table[cell] != 0)
			cell = (cell + 1) & (changes->cells - 1);
		changes->table[cell] = old[i];
	}
	free(old);
}

/* A queue that is nearly full would be moved to its memory's beginning again and again: it has twice the memory that it needs. */
static bool make_room(struct changes *changes, size_t len)
{
	size_t held = buffer_readable(&changes->queue).len;

	return changes->queue.cap - changes->queue.end >= len ||
	       buffer_reserve(&changes->queue, changes->queue.start < held ? held + len : len);
}

enum changes_answer changes_add(struct changes *changes, uint32_t db, struct slice key, uint32_t mark)
{
	struct record record = {.hash = changes_hash(db, key), .db = db, .mark = mark, .len = key.len};
	size_t held = buffer_readable(&changes->queue).len, cell = find(changes, record.hash, db, key);
	bool crowded = (changes_count(changes) + 1) * 2 > changes->cells;
	size_t table = changes->cells * sizeof(changes->table[0]) * (crowded ? 2 : 1);

	if (changes->table[cell] != 0)
		return CHANGES_KNOWN;
	if (2 * (held + sizeof(record) + key.len) + table > changes->bytes || !make_room(changes, sizeof(record) + key.len))
		return CHANGES_FULL;
	if (!buffer_append(&changes->queue, &record, sizeof(record)) || !buffer_append_slice(&changes->queue, key))
		return CHANGES_FULL; /* never: there is room */
	changes->table[cell] = changes->consumed + held + 1;
	changes->count++;
	if (crowded)
		grow(changes);
	return CHANGES_ADDED;
}

bool changes_take(struct changes *changes, uint32_t *db, struct slice *key, uint32_t *mark)
{
	struct record record;
	const uint8_t *bytes;

	if (changes_count(changes) == 0)
		return false;
	record = record_at(changes, changes->consumed, &bytes);
	remove_cell(changes, find(changes, record.hash, record.db, slice_make(bytes, record.len)));
	buffer_clear(&changes->key);
	if (!buffer_append(&changes->key, bytes, record.len))
		return false; /* never: it has no bound */
	buffer_consumed(&changes->queue, sizeof(record) + record.len);
	changes->consumed += sizeof(record) + record.len;
	changes->count--;
	*db = record.db;
	*mark = record.mark;
	*key = buffer_readable(&changes->key);
	return true;
}

bool changes_holds(const struct changes *changes, uint32_t db, struct slice key)
{
	return changes->count > 0 && changes->table[find(changes, changes_hash(db, key), db, key)] != 0;
}

uint64_t changes_count(const struct changes *changes)
{
	return changes->count;
}
