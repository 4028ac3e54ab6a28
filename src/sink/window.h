/* The window: the ring of all units between "decoded" and "answered by the target", and the memory of their bytes.
 *
 *   units:   head (oldest not done) ........ tail (next free)         at most `commands`, and those of one event beyond
 *   memory:  a circular buffer in the same order; freed as units leave at the head
 *
 * Bounded by commands and by bytes (encoded and referenced together); one unit larger than the bound is let in when the window is empty.
 * The position below which everything is applied (the low-water position) is where the head stands.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_WINDOW_H
#define KEYFERRY_SINK_WINDOW_H

#include "sink/unit.h"

struct window {
	struct unit *units;
	uint32_t room;       /* units that there is memory for */
	uint32_t commands;   /* has_room() ends here */
	uint64_t head, tail; /* counters; index = counter % room */
	uint8_t *memory;
	uint64_t memory_size;
	uint64_t memory_head, memory_tail; /* counters */
	uint64_t bytes, bytes_max;
	uint64_t position; /* low-water */
	uint32_t db;       /* selected in the source's stream at `position` */
	uint64_t latest;   /* end of the last event seen, with a unit or without */
	uint32_t latest_db;
};

/* `event_units`: as many units may be made after window_has_room() has answered true, for one event may be split into so many. */
void window_init(struct window *window, uint32_t commands, uint32_t event_units, uint64_t bytes, uint64_t position, uint32_t db);
void window_free(struct window *window);

/* Is there room for an event of ordinary size? */
bool window_has_room(const struct window *window);
static inline bool window_empty(const struct window *window)
{
	return window->head == window->tail;
}

/* A new unit at the tail (room was checked), zeroed. */
struct unit *window_new_unit(struct window *window);
/* len contiguous bytes that live as long as the unit; the unit owns them by itself where they do not fit. */
uint8_t *window_alloc(struct window *window, struct unit *unit, size_t len);
/* The last allocation of this unit turned out shorter. */
void window_trim(struct window *window, struct unit *unit, uint8_t *end);
/* All pieces are set: sums its size. */
void window_commit(struct window *window, struct unit *unit);
/* Nothing to apply up to `position`. */
void window_progress(struct window *window, uint64_t position, uint32_t db);
/* The unit is done; moves the head and the low-water position. */
void window_done(struct window *window, struct unit *unit);

#endif
