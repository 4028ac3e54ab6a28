#include "base/suggest.h"

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t suggest_distance(struct slice a, struct slice b)
{
	/* Three rows of the table: the swap of two neighbours looks two rows back. */
	size_t rows[3][SUGGEST_WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	if (a.len > SUGGEST_WORD_MAX || b.len > SUGGEST_WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *oldest = before;

		before = above;
		above = row;
		row = oldest;
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t changed = above[j - 1] + (a.data[i - 1] != b.data[j - 1]);

			row[j] = least(changed, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[b.len];
}

bool suggest_is_near(struct slice word, size_t distance)
{
	size_t limit = word.len / 3;

	return distance <= (limit > 0 ? limit : 1) && distance < word.len;
}

const char *suggest_nearest(struct slice word, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	size_t shortest = SIZE_MAX;

	for (size_t i = 0; i < count; i++) {
		size_t distance = suggest_distance(word, slice_of_string(names[i]));

		if (distance < shortest) {
			shortest = distance;
			nearest = names[i];
		}
	}
	return nearest && suggest_is_near(word, shortest) ? nearest : NULL;
}
