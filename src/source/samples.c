#include "source/samples.h"

#include <stdio.h>
#include <string.h>

static void samples_thin_out(struct samples *samples)
{
	size_t kept = 0;

	for (size_t i = 0; i < samples->count; i++)
		if (i >= SAMPLES_MAX / 2 || i % 2 == 0)
			samples->samples[kept++] = samples->samples[i];
	samples->count = kept;
}

void samples_enter(struct samples *samples, const char *history, const char *before, int64_t shared)
{
	const struct sample *last;

	if (strcmp(samples->history, history) == 0)
		return;
	last = samples->history[0] && strcmp(samples->history, before) == 0 ? samples_at_offset(samples, shared) : NULL;
	samples->count = last ? (size_t)(last - samples->samples) + 1 : 0;
	snprintf(samples->history, sizeof(samples->history), "%s", history);
}

void samples_add(struct samples *samples, const struct sample *sample)
{
	struct sample *last = samples->count > 0 ? &samples->samples[samples->count - 1] : NULL;

	if (last != NULL && sample->offset < last->offset)
		samples->count = 0;
	if (last != NULL && sample->offset == last->offset) {
		uint64_t answered_us = last->answered_us;

		/* An idle source: it is asked when it stood there last, and when it had come there. */
		*last = *sample;
		last->answered_us = answered_us;
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

const struct sample *samples_reaching(const struct samples *samples, int64_t offset)
{
	const struct sample *before = samples_at_offset(samples, offset - 1);
	const struct sample *found = before != NULL ? before + 1 : samples->samples;

	return found < samples->samples + samples->count ? found : NULL;
}

const struct sample *samples_since(const struct samples *samples, uint64_t us)
{
	size_t low = 0, high = samples->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (samples->samples[middle].at_us >= us)
			high = middle;
		else
			low = middle + 1;
	}
	return low < samples->count ? &samples->samples[low] : NULL;
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
