/* Globs, against a matcher that is as simple as can be. Input: the glob, a line feed, the text. */
#include "base/pattern.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* stringmatchlen() of the servers, without its short cuts: util.c, since 2.8. */
static bool simple(const uint8_t *glob, size_t glob_len, const uint8_t *text, size_t len, unsigned *steps)
{
	if (++*steps > 200000)
		return false;
	if (glob_len == 0)
		return len == 0;
	if (*glob == '*') {
		for (size_t skip = 0; skip <= len; skip++)
			if (simple(glob + 1, glob_len - 1, text + skip, len - skip, steps))
				return true;
		return false;
	}
	if (len == 0)
		return false;
	if (*glob == '[') {
		bool none_of, takes = false;

		glob++, glob_len--;
		none_of = glob_len > 0 && *glob == '^';
		glob += none_of, glob_len -= none_of;
		while (glob_len > 0 && *glob != ']') {
			uint8_t from, to;

			if (*glob == '\\' && glob_len > 1)
				glob++, glob_len--;
			from = to = *glob;
			if (glob_len > 2 && glob[1] == '-') {
				to = glob[2];
				glob += 2, glob_len -= 2;
			}
			takes = takes || (*text >= from && *text <= to) || (*text >= to && *text <= from);
			glob++, glob_len--;
		}
		if (glob_len > 0)
			glob++, glob_len--;
		return takes != none_of && simple(glob, glob_len, text + 1, len - 1, steps);
	}
	if (*glob == '\\' && glob_len > 1) {
		glob++, glob_len--;
		return *glob == *text && simple(glob + 1, glob_len - 1, text + 1, len - 1, steps);
	}
	return (*glob == '?' || *glob == *text) && simple(glob + 1, glob_len - 1, text + 1, len - 1, steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size && size <= 120 ? memchr(data, '\n', size) : NULL;
	unsigned steps = 0;
	bool expected;

	if (!end)
		return 0;
	expected = simple(data, (size_t)(end - data), end + 1, size - (size_t)(end + 1 - data), &steps);
	if (steps <= 200000 && pattern_glob(slice_make(data, (size_t)(end - data)),
					    slice_make(end + 1, size - (size_t)(end + 1 - data)), false) != expected)
		abort();
	return 0;
}
