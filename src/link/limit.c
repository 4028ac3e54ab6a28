#include "link/limit.h"

bool limit_ready(struct limit *limit, uint64_t now_us, uint64_t *wait_ms)
{
	double most, rate = (double)limit->per_second / 1e6;

	if (limit->per_second == 0)
		return true;
	most = (double)limit->per_second / 10 < 1 ? 1 : (double)limit->per_second / 10;
	if (limit->last_us)
		limit->tokens += (double)(now_us - limit->last_us) * rate;
	else
		limit->tokens = most;
	limit->last_us = now_us;
	if (limit->tokens > most)
		limit->tokens = most;
	if (limit->tokens >= 1)
		return true;
	*wait_ms = (uint64_t)((1 - limit->tokens) / rate / 1000) + 1;
	return false;
}
