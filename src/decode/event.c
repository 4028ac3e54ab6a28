#include "decode/event.h"

#include "wire/rdb.h"

#include <stdio.h>

const char *event_place_text(int64_t offset, uint64_t position, char out[EVENT_PLACE_MAX])
{
	if (offset == EVENT_IN_SNAPSHOT)
		snprintf(out, EVENT_PLACE_MAX, "byte %llu of the snapshot", (unsigned long long)position);
	else
		snprintf(out, EVENT_PLACE_MAX, "offset %lld", (long long)offset);
	return out;
}

const char *event_key_type(const struct event *key, bool valkey, char out[EVENT_KEY_TYPE_MAX])
{
	unsigned size = key->type == RDB_TYPE_MODULE_2 ? rdb_length_size(key->value.data[0]) : 0;

	if (size > 0)
		rdb_module_name(rdb_length_decode(key->value.data, size), out);
	else
		snprintf(out, EVENT_KEY_TYPE_MAX, "%s", rdb_type_name(key->type, valkey));
	return out;
}
