/* How long writes were on their way from source to target: a histogram, by fixed bounds, of what heartbeats (or, where none are written, sampled offsets) tell.
 *
 * Thread: one adds, any reads. */
#ifndef KEYFERRY_LINK_DELAYS_H
#define KEYFERRY_LINK_DELAYS_H

#include <stdatomic.h>
#include <stdint.h>

#define DELAY_BOUNDS 18

struct delays {
	atomic_uint_fast64_t counts[DELAY_BOUNDS + 1]; /* of each bound alone, not cumulative; the last: beyond all */
	atomic_uint_fast64_t sum_ms;
};

/* Upper bounds in seconds, rising: from what one machine needs to what is left after an outage of hours. */
extern const double delay_bounds[DELAY_BOUNDS];

void delays_add(struct delays *delays, int64_t ms);

#endif
