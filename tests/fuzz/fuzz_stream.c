/* The command stream: events follow each other without a gap, and pieces give the same events as the whole. */
#include "base/memory.h"
#include "decode/stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static bool same_event(const struct event *a, const struct event *b)
{
	return a->kind == b->kind && a->edge == b->edge && a->db == b->db && a->start == b->start && a->end == b->end &&
	       a->info == b->info && a->argc == b->argc && a->ask_getack == b->ask_getack && a->key.len == b->key.len;
}

/* The same bytes again, handed out step by step in memory that moves, by a decoder that stands at the same place. */
static enum parse decode_in_pieces(struct stream_decoder *decoder, struct slice in, size_t step, uint64_t position,
				   struct event *event)
{
	enum parse result = PARSE_MORE;

	for (size_t len = 0; result == PARSE_MORE && len < in.len;) {
		struct error error;
		uint64_t need;
		uint8_t *copy;

		len = len + step < in.len ? len + step : in.len;
		copy = memory_alloc(len);
		memcpy(copy, in.data, len);
		result = stream_decode(decoder, slice_make(copy, len), position, event, &need, &error);
		check(result != PARSE_MORE || need > len);
		free(copy);
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_decoder *whole = stream_decoder_new(NULL);
	struct stream_decoder *pieces = stream_decoder_new(NULL);
	enum parse result = PARSE_OK;
	size_t at = 1;

	while (result == PARSE_OK && at < size) {
		struct slice in = slice_make(data + at, size - at);
		struct event event;
		struct event again;
		struct error error;
		uint64_t need;

		result = stream_decode(whole, in, at, &event, &need, &error);
		check(decode_in_pieces(pieces, in, data[0] % 16 + 1u, at, &again) == result);
		check(stream_decoder_database(whole) == stream_decoder_database(pieces));
		check(stream_decoder_in_transaction(whole) == stream_decoder_in_transaction(pieces));
		if (result == PARSE_BAD)
			check(error.kind == ERROR_SOURCE && error.text[0] != '\0');
		if (result != PARSE_OK)
			break;
		check(same_event(&event, &again));
		check(event.start == at && event.end > at && event.end <= size);
		check(event.raw.data == in.data && event.raw.len == event.end - event.start);
		at = event.end;
	}
	stream_decoder_free(whole);
	stream_decoder_free(pieces);
	return 0;
}
