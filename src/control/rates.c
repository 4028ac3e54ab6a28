#include "control/rates.h"

void rate_sample(struct rate *rate, uint64_t value, uint64_t now_us)
{
	rate->value[rate->next] = value;
	rate->at_us[rate->next] = now_us;
	rate->next = (rate->next + 1) % RATE_SAMPLES;
	if (rate->count < RATE_SAMPLES)
		rate->count++;
}

double rate_per_second(const struct rate *rate)
{
	uint32_t newest = (rate->next + RATE_SAMPLES - 1) % RATE_SAMPLES;
	uint32_t oldest = (rate->next + RATE_SAMPLES - rate->count) % RATE_SAMPLES;

	if (rate->count < 2 || rate->at_us[newest] <= rate->at_us[oldest] || rate->value[newest] < rate->value[oldest])
		return 0;
	return (double)(rate->value[newest] - rate->value[oldest]) * 1e6 / (double)(rate->at_us[newest] - rate->at_us[oldest]);
}
