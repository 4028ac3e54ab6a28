#include "source/scan_facts.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t scan_facts_silent_calls(struct slice text)
{
	static const char *const commands[] = {"flushall", "flushdb", "swapdb"};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char line[40];
		int len = snprintf(line, sizeof(line), "cmdstat_%s:calls=", commands[i]);
		const uint8_t *found = memmem(text.data, text.len, line, (size_t)len), *end, *at;
		uint64_t calls;

		if (!found)
			continue;
		found += len;
		for (end = text.data + text.len, at = found; at < end && *at >= '0' && *at <= '9';)
			at++;
		if (slice_to_uint64(slice_make(found, (size_t)(at - found)), &calls))
			sum += calls;
	}
	return sum;
}

uint32_t scan_facts_databases(struct slice text, uint32_t **ret)
{
	const uint8_t *at = text.data, *end = text.data + text.len;
	uint32_t count = 0;

	*ret = NULL;
	while (at < end) {
		const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at)), *colon;
		uint64_t db;

		line_end = line_end ? line_end : end;
		colon = memchr(at, ':', (size_t)(line_end - at));
		if (colon && colon - at > 2 && at[0] == 'd' && at[1] == 'b' &&
		    slice_to_uint64(slice_make(at + 2, (size_t)(colon - at) - 2), &db) && db <= INT32_MAX) {
			*ret = memory_realloc_array(*ret, count + 1, sizeof(**ret));
			(*ret)[count++] = (uint32_t)db;
		}
		at = line_end + 1;
	}
	return count;
}
