#include "source/backoff.h"

void backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t most_ms, uint64_t seed)
{
	*backoff = (struct backoff){
		.first_ms = first_ms,
		.most_ms = most_ms,
		.delay_ms = first_ms,
		.random = (seed ^ 0x9e3779b97f4a7c15ULL) | 1, /* the generator stands still at 0 */
	};
}

/* xorshift64*: spreading needs no better. */
static uint64_t backoff_random(struct backoff *backoff)
{
	uint64_t x = backoff->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	backoff->random = x;
	return x * 0x2545f4914f6cdd1dULL;
}

uint32_t backoff_next(struct backoff *backoff)
{
	uint64_t delay = backoff->delay_ms;
	uint64_t percent = 70 + (backoff_random(backoff) >> 32) % 61;

	backoff->delay_ms = delay * 2 > backoff->most_ms ? backoff->most_ms : (uint32_t)(delay * 2);
	return (uint32_t)(delay * percent / 100);
}

void backoff_reset(struct backoff *backoff)
{
	backoff->delay_ms = backoff->first_ms;
}
