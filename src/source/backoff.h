/* How long to wait before trying a peer again: doubling from a first delay to a bound, each wait spread by +-30 %, so that many
 * links that lost the same peer do not come back in step.
 * Thread: owned by one. */
#ifndef KEYFERRY_SOURCE_BACKOFF_H
#define KEYFERRY_SOURCE_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint32_t first_ms;
	uint32_t most_ms;  /* bound of the delay before it is spread */
	uint32_t delay_ms; /* the next one, before it is spread */
	uint64_t random;   /* state of the spreading; never 0 */
};

/* `seed` tells this one from others (an address, a clock); any value. */
void backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t most_ms, uint64_t seed);
/* The next delay in ms. */
uint32_t backoff_next(struct backoff *backoff);
/* It worked: begin with the first delay again. */
void backoff_reset(struct backoff *backoff);

#endif
