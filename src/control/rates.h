/* Rates per second out of counters, over the last few seconds.
 * Thread: one. */
#ifndef KEYFERRY_CONTROL_RATES_H
#define KEYFERRY_CONTROL_RATES_H

#include <stdint.h>

#define RATE_SAMPLES 16

struct rate {
	uint64_t value[RATE_SAMPLES];
	uint64_t at_us[RATE_SAMPLES];
	uint32_t count, next;
};

/* A reading of the counter. */
void rate_sample(struct rate *rate, uint64_t value, uint64_t now_us);
/* Per second between the oldest and the newest reading; 0 with fewer than two. */
double rate_per_second(const struct rate *rate);

#endif
