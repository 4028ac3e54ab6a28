/* Server-sent events, read whole and in pieces: the same events, and the same id. Input: the size of the pieces, then the stream. */
#include "client/event_stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t hash;
};

static void add(struct sum *sum, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum->hash = (sum->hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
	sum->hash += len + 1;
}

static bool take(void *owner, const char *name, struct slice data)
{
	add(owner, name, strlen(name));
	add(owner, data.data, data.len);
	return true;
}

static struct sum read_in(const uint8_t *data, size_t size, size_t step)
{
	struct event_stream stream;
	struct sum sum = {14695981039346656037u};
	struct error error;
	bool ok = true;

	event_stream_init(&stream);
	for (size_t at = 0; at < size && ok; at += step)
		ok = event_stream_feed(&stream, slice_make(data + at, size - at < step ? size - at : step), take, &sum, &error);
	add(&sum, stream.id, strlen(stream.id));
	event_stream_free(&stream);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (read_in(data + 1, size - 1, size).hash != read_in(data + 1, size - 1, (size_t)data[0] + 1).hash)
		abort();
	return 0;
}
