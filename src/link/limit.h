/* The rate limit of a link: records and bytes per second, as a token bucket that holds a tenth of a second.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_LIMIT_H
#define KEYFERRY_LINK_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct limit {
	uint64_t per_second; /* 0: unlimited */
	double tokens;       /* may be negative: a large record is let through and paid for afterwards */
	uint64_t last_us;
};

static inline void limit_init(struct limit *limit, uint64_t per_second)
{
	*limit = (struct limit){.per_second = per_second};
}

/* Is there something to spend? Otherwise *wait_ms says when it is worth asking again (at least 1). */
bool limit_ready(struct limit *limit, uint64_t now_us, uint64_t *wait_ms);

static inline void limit_spend(struct limit *limit, uint64_t amount)
{
	if (limit->per_second)
		limit->tokens -= (double)amount;
}

#endif
