#include "link/delays.h"

const double delay_bounds[DELAY_BOUNDS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
					   1,     2.5,    5,     10,   30,    60,   300, 1800, 7200};

void delays_add(struct delays *delays, int64_t ms)
{
	unsigned at = 0;

	/* Clocks differ: a write cannot have come before it was made. */
	if (ms < 0)
		ms = 0;
	while (at < DELAY_BOUNDS && (double)ms > delay_bounds[at] * 1000)
		at++;
	atomic_fetch_add_explicit(&delays->counts[at], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&delays->sum_ms, (uint64_t)ms, memory_order_relaxed);
}
