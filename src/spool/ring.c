#include "spool/ring.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LAPS 3

static void *reserve(void *at, uint64_t len, int fixed)
{
	return mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
}

bool ring_init(struct ring *ring, const struct segment_store *store, uint64_t view_max, uint64_t position, struct error *error)
{
	struct ring made = {.store = store, .released = position};
	void *base;

	/* One more for a range that begins inside a segment, one for a released position that does. */
	made.slots = (view_max + store->size - 1) / store->size + 2;
	made.lap = made.slots * store->size;
	made.lap_start = position - position % made.lap;
	base = reserve(NULL, LAPS * made.lap, 0);
	if (base == MAP_FAILED) {
		error_set_errno(error, ERROR_INTERNAL, errno, "spool %s: cannot reserve %llu bytes of address space", store->dir,
				(unsigned long long)(LAPS * made.lap));
		error_hint(error, "lift the limit on virtual memory (ulimit -v); no memory is used by it");
		return false;
	}
	made.base = base;
	made.mapped = memory_alloc_zero(made.slots, sizeof(*made.mapped));
	*ring = made;
	return true;
}

void ring_free(struct ring *ring)
{
	if (ring->base)
		munmap(ring->base, LAPS * ring->lap);
	free(ring->mapped);
	*ring = (struct ring){0};
}

uint64_t ring_limit(const struct ring *ring)
{
	return ring->released - ring->released % ring->store->size + ring->lap;
}

static uint8_t *slot_address(const struct ring *ring, uint64_t slot, unsigned lap)
{
	return ring->base + lap * ring->lap + slot * ring->store->size;
}

static void slot_clear(struct ring *ring, uint64_t slot)
{
	/* Should the system refuse (it may when it runs out of mappings), the old bytes stay mapped until the slot is used
	 * again. */
	for (unsigned lap = 0; lap < LAPS; lap++)
		(void)reserve(slot_address(ring, slot, lap), ring->store->size, MAP_FIXED);
	ring->mapped[slot] = 0;
}

static bool slot_fill(struct ring *ring, uint64_t number, struct error *error)
{
	const struct segment_store *store = ring->store;
	uint64_t slot = number % ring->slots;
	int file, result = 0;

	if (ring->mapped[slot] == number + 1)
		return true;
	file = segment_open(store, number, false);
	if (file < 0) {
		segment_error(store, number, file, "cannot be opened for reading", error);
		return false;
	}
	for (unsigned lap = 0; lap < LAPS && result == 0; lap++)
		result = store->disk->map(file, FORMAT_HEAD, store->size, slot_address(ring, slot, lap));
	segment_close(store, file);
	if (result < 0) {
		slot_clear(ring, slot);
		segment_error(store, number, result, "cannot be mapped", error);
		return false;
	}
	ring->mapped[slot] = number + 1;
	return true;
}

const uint8_t *ring_view(struct ring *ring, uint64_t position, uint64_t len, struct error *error)
{
	uint64_t size = ring->store->size;

	for (uint64_t number = position / size; number * size < position + len; number++)
		if (!slot_fill(ring, number, error))
			return NULL;
	return ring->base + (position - ring->lap_start);
}

void ring_unload(struct ring *ring, uint64_t from, uint64_t to)
{
	uint64_t size = ring->store->size;

	from -= from % FORMAT_BLOCK;
	to -= to % FORMAT_BLOCK;
	if (from < ring->released)
		from = ring->released - ring->released % FORMAT_BLOCK;
	while (from < to) {
		uint64_t number = from / size;
		uint64_t stop = (number + 1) * size < to ? (number + 1) * size : to;
		uint64_t slot = number % ring->slots;

		/* Shared file pages: this process only forgets that it has them. */
		if (ring->mapped[slot] == number + 1)
			for (unsigned lap = 0; lap < LAPS; lap++)
				(void)madvise(slot_address(ring, slot, lap) + from % size, stop - from, MADV_DONTNEED);
		from = stop;
	}
}

void ring_release(struct ring *ring, uint64_t position)
{
	uint64_t size = ring->store->size;
	uint64_t first = ring->released / size;
	uint64_t last = position / size;

	/* Whatever the distance, there are no more mappings than slots. */
	for (uint64_t number = first; number < last && number < first + ring->slots; number++)
		if (ring->mapped[number % ring->slots] == number + 1)
			slot_clear(ring, number % ring->slots);
	ring->released = position;
	ring->lap_start = position - position % ring->lap;
}

void ring_rewind(struct ring *ring, uint64_t position)
{
	for (uint64_t slot = 0; slot < ring->slots; slot++)
		if (ring->mapped[slot] > 0)
			slot_clear(ring, slot);
	ring->released = position;
	ring->lap_start = position - position % ring->lap;
}
