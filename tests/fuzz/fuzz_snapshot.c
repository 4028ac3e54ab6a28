/* A snapshot, decoded once with all bytes there and once with bytes that come in pieces: both must find the same events, and end
 * the same way. What is handed out is read at both ends; the bound given with MORE must lead on. */
#include "base/memory.h"
#include "decode/snapshot.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(struct slice bytes)
{
	if (bytes.len > 0)
		__asm__ volatile("" : : "r"(bytes.data[0] ^ bytes.data[bytes.len - 1]));
}

static void require(bool true_always)
{
	if (!true_always)
		abort();
}

/* As snapshot_decode() with all bytes, which are given to the decoder in growing pieces, each in memory of its own. */
static enum parse decode_in_pieces(struct snapshot_decoder *decoder, struct slice in, uint64_t position, struct event *ret,
				   uint8_t **memory, struct error *error)
{
	size_t len = 0, step = 1;

	for (;;) {
		uint64_t need = 0, scanned = 0;
		enum parse answer;

		free(*memory);
		*memory = memory_alloc(len);
		if (len > 0)
			memcpy(*memory, in.data, len);
		answer = snapshot_decode(decoder, slice_make(*memory, len), position, ret, &need, &scanned, error);
		if (answer != PARSE_MORE)
			return answer;
		require(need > len && scanned <= len);
		if (len == in.len)
			return PARSE_MORE;
		/* By single bytes over everything that is short, then faster: a large value must not cost its square. */
		step = len < 64 ? 1 : len / 16;
		len = in.len - len < step ? in.len : len + step;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot_decoder *whole = snapshot_decoder_new();
	struct snapshot_decoder *pieces = snapshot_decoder_new();
	uint8_t *memory = NULL;
	uint64_t at = 0;

	for (;;) {
		struct slice in = slice_make(data + at, size - at);
		struct error errors[2] = {{0}, {0}};
		struct event event = {0}, other = {0};
		uint64_t need = 0, scanned = 0;
		enum parse answer = snapshot_decode(whole, in, at, &event, &need, &scanned, &errors[0]);
		struct snapshot_place place = snapshot_decoder_place(whole);

		require(decode_in_pieces(pieces, in, at, &other, &memory, &errors[1]) == answer);
		if (answer == PARSE_BAD)
			require(errors[0].kind == ERROR_SOURCE && errors[0].text[0] != '\0');
		if (answer == PARSE_MORE)
			require(need > in.len);
		if (answer != PARSE_OK)
			break;
		require(event.start == at && event.end > at && event.end <= size && scanned == event.end - at);
		require(other.kind == event.kind && other.type == event.type && other.end == event.end && other.db == event.db);
		require(other.expire_at_ms == event.expire_at_ms && other.string.len == event.string.len);
		require(slice_equal(other.key, event.key) && slice_equal(other.value, event.value));
		touch(event.string);
		at = event.end;
		if (event.kind == EVENT_SNAPSHOT_END)
			break;
		/* From every place on, another decoder can go on. */
		snapshot_decoder_resume(pieces, place);
	}
	snapshot_decoder_free(whole);
	snapshot_decoder_free(pieces);
	free(memory);
	return 0;
}
