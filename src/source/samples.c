#include "source/samples.h"

void samples_clear(struct samples *samples)
{
	samples->count = 0;
}

static void samples_thin_out(struct samples *samples)
{
	size_t kept = 0;

	for (size_t i = 0; i < samples->count; i++)
		if (i >= SAMPLES_MAX / 2 || i % 2 == 0)
			samples->samples[kept++] = samples->samples[i];
	samples->count = kept;
}

void samples_add(struct samples *samples, const struct sample *sample)
{
	struct sample *last = samples->count > 0 ? &samples->samples[samples->count - 1] : NULL;

	if (last != NULL && sample->offset < last->offset)
		samples->count = 0;
	if (last != NULL && sample->offset == last->offset) {
		*last = *sample; /* an idle source: only the latest time at this offset is ever asked for */
		return;
	}
	if (samples->count == SAMPLES_MAX)
		samples_thin_out(samples);
	samples->samples[samples->count++] = *sample;
}

const struct sample *samples_last(const struct samples *samples)
{
	return samples->count > 0 ? &samples->samples[samples->count - 1] : NULL;
}

const struct sample *samples_at_offset(const struct samples *samples, int64_t offset)
{
	size_t low = 0, high = samples->count; /* the first with a higher offset lies in [low, high] */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (samples->samples[middle].offset > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low > 0 ? &samples->samples[low - 1] : NULL;
}

const struct sample *samples_after(const struct samples *samples, uint64_t number)
{
	size_t low = 0, high = samples->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (samples->samples[middle].number > number)
			high = middle;
		else
			low = middle + 1;
	}
	return low < samples->count ? &samples->samples[low] : NULL;
}
