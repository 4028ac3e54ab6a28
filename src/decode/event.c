#include "decode/event.h"

#include <stdio.h>

const char *event_place_text(int64_t offset, uint64_t position, char out[EVENT_PLACE_MAX])
{
	if (offset == EVENT_IN_SNAPSHOT)
		snprintf(out, EVENT_PLACE_MAX, "byte %llu of the snapshot", (unsigned long long)position);
	else
		snprintf(out, EVENT_PLACE_MAX, "offset %lld", (long long)offset);
	return out;
}
