/* What a master may say, whole and in pieces: the machine must come to the same end and hand out the same bytes either way.
 *
 * Input: one byte of what is asked for (bit 0 credentials, 1 name, 2 a history to go on with, 3 stream only), one that seeds the
 * cutting, then the master's bytes. */
#include "source/psync.h"

#include <stdlib.h>

#include <xxhash.h>

#define OUT_MAX 65536

struct outcome {
	enum psync_state state;
	uint64_t steps;    /* of the kinds that stand for one event each, in order */
	uint64_t snapshot; /* hash of the bytes handed out */
	uint64_t stream;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine)
		abort();
}

static struct outcome run(const struct psync_request *request, struct slice master, uint32_t seed)
{
	XXH3_state_t *snapshot = XXH3_createState(), *stream = XXH3_createState();
	struct outcome outcome = {0};
	struct buffer out;
	struct psync psync;
	size_t at = 0;
	bool over = false;

	XXH3_64bits_reset(snapshot);
	XXH3_64bits_reset(stream);
	buffer_init(&out, OUT_MAX);
	psync_init(&psync);
	psync_begin(&psync, request, &out);
	while (at < master.len && !over) {
		size_t len = master.len - at, taken = 0;
		uint8_t *piece;
		size_t done = 0;

		if (seed != 0) {
			seed = seed * 1664525 + 1013904223;
			len = 1 + (seed >> 24) % (len < 64 ? len : 64);
		}
		piece = malloc(len); /* of its own, so that a read beyond it is seen */
		must(piece != NULL);
		memcpy(piece, master.data + at, len);
		for (enum psync_step step = PSYNC_FULL_RESYNC; step != PSYNC_NEED_MORE && !over;) {
			struct slice bytes;

			step = psync_next(&psync, slice_make(piece + done, len - done), &taken, &bytes);
			must(taken <= len - done);
			done += taken;
			over = step == PSYNC_FAILED || step == PSYNC_REFUSED;
			must(!over || psync.error.text[0] != '\0');
			if (step == PSYNC_SNAPSHOT_BYTES || step == PSYNC_STREAM_BYTES) {
				must(bytes.len > 0);
				XXH3_64bits_update(step == PSYNC_STREAM_BYTES ? stream : snapshot, bytes.data, bytes.len);
			} else if (step != PSYNC_NEED_MORE) {
				must(bytes.len == 0);
				outcome.steps = outcome.steps * 31 + step + 1;
			}
			must(step != PSYNC_NEED_MORE || done == len);
		}
		must(out.end - out.start <= OUT_MAX / 2);
		at += len;
		free(piece);
	}
	outcome.state = psync.state;
	outcome.snapshot = XXH3_64bits_digest(snapshot);
	outcome.stream = XXH3_64bits_digest(stream);
	XXH3_freeState(snapshot);
	XXH3_freeState(stream);
	psync_free(&psync);
	buffer_free(&out);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char user[] = "user", password[] = "password";
	const struct credentials credentials = {.username = user, .password = password};
	struct outcome whole, cut;

	if (size < 2)
		return 0;

	const struct psync_request request = {
		.credentials = data[0] & 1 ? &credentials : NULL,
		.name = data[0] & 2 ? "name" : NULL,
		.replid = data[0] & 4 ? "8cb37055bb2018703850f3ee6ef31b566d88f6ca" : NULL,
		.offset = 1000,
		.from_now = data[0] & 8,
	};

	whole = run(&request, slice_make(data + 2, size - 2), 0);
	cut = run(&request, slice_make(data + 2, size - 2), data[1] + 1u);
	must(whole.state == cut.state && whole.steps == cut.steps && whole.snapshot == cut.snapshot &&
	     whole.stream == cut.stream);
	return 0;
}
