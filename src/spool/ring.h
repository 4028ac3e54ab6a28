/* The reader's window on the spool: segment files mapped so that every range in it is contiguous.
 *
 * Segment k stands in slot k mod N of a lap of N slots, and the lap is reserved three times in a row, with the same bytes:
 *
 *      lap (N slots)         lap                   lap
 *   |16 17 18 . 12 13 14 15|16 17 18 . 12 13 14 15|16 17 18 . 12 13 14 15|
 *                ^ released  ^
 *                '-- a range may run on into the next lap
 *
 * Addresses count from the lap the released position is in. A range of what is ahead of it ends within the second lap; the third
 * is for pointers handed out before the released position came round: read on from them, and the bytes go on as well.
 * The address space is reserved only, a slot is mapped when a view first touches it and given back by release.
 * Thread: the reader's. */
#ifndef KEYFERRY_SPOOL_RING_H
#define KEYFERRY_SPOOL_RING_H

#include "spool/segment.h"

struct ring {
	const struct segment_store *store;
	uint8_t *base;
	uint64_t lap;       /* bytes */
	uint64_t slots;     /* segments in a lap */
	uint64_t lap_start; /* the position that lies at base */
	uint64_t released;
	uint64_t *mapped; /* per slot: number of the segment there + 1; 0: none */
};

/* Room for ranges of view_max bytes; position: where the reader begins. */
bool ring_init(struct ring *ring, const struct segment_store *store, uint64_t view_max, uint64_t position,
	       struct error *error) WARN_UNUSED;
void ring_free(struct ring *ring);

/* One past the last position that can be viewed before more is released. */
uint64_t ring_limit(const struct ring *ring);
/* The caller has checked that the range is held, not released, and ends before ring_limit(). */
const uint8_t *ring_view(struct ring *ring, uint64_t position, uint64_t len, struct error *error) WARN_UNUSED;
void ring_unload(struct ring *ring, uint64_t from, uint64_t to);
/* Back to what is before the released position: nothing is mapped any more. */
void ring_rewind(struct ring *ring, uint64_t position);
void ring_release(struct ring *ring, uint64_t position);

#endif
