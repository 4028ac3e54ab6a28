/* A spool whose files somebody has changed: opening it never crashes, and never gives a byte that was not received.
 *
 * The input is a list of changes to a spool of three segments, on a disk in memory. Beside changes of plain bytes there are such
 * that keep the checks of records and of the state right, so that what lies behind the checks is reached too. A record's
 * checksum of the bytes is either a wrong one or that of the bytes once received: others could make wrong bytes look right, and
 * no spool could tell. */
#include "../unit/spool/memory_disk.h"

#include "base/memory.h"
#include "spool/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define MIB (1ULL << 20)
#define TOTAL (2 * MIB + 70000)
#define SYNCED (MIB + 5000)
#define SEGMENTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct spool_options options = {
	.dir = "/spool", .segment_size = MIB, .max_size = 8 * MIB, .view_max = MIB, .disk = &disk_memory};

static uint8_t *content;

static void require(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz_spool_recover: %s\n", what);
		abort();
	}
}

static void make_spool(void)
{
	struct spool_origin origin = {.generation = 1, .replid = "abc", .offset = 10};
	struct error error;
	struct spool *spool;
	uint64_t cut, random = 1;
	bool full;

	content = memory_alloc(TOTAL);
	for (uint64_t i = 0; i < TOTAL; i++)
		content[i] = (uint8_t)((random = random * 6364136223846793005ULL + 1442695040888963407ULL) >> 56);
	memory_disk_reset();
	spool = spool_open(&options, &cut, &error);
	require(spool && spool_start(spool, &origin, true, &error), "a new spool");
	require(spool_append(spool, content, MIB / 2, &full, &error) && spool_finish_snapshot(spool, &error), "the snapshot");
	require(spool_append(spool, content + MIB / 2, SYNCED - MIB / 2, &full, &error) && spool_flush(spool, true, &error),
		"synced");
	require(spool_append(spool, content + SYNCED, 1000, &full, &error) && spool_flush(spool, false, &error), "not synced");
	require(spool_append(spool, content + SYNCED + 1000, TOTAL - SYNCED - 1000, &full, &error), "the rest");
	spool_close(spool);
	memory_disk_save();
}

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct input *input, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0) {
		value = value << 8 | (input->left ? *input->at : 0);
		input->at += input->left > 0;
		input->left -= input->left > 0;
	}
	return value;
}

static void change_record(struct input *input)
{
	unsigned segment = (unsigned)take(input, 1) % SEGMENTS, how = (unsigned)take(input, 1);
	uint64_t block = segment * MIB;
	struct format_record record = {.end = block + take(input, 3), .synced = take(input, 3)};
	uint8_t bytes[FORMAT_RECORD];

	if (how & 1 && record.end > block && record.end <= TOTAL)
		record.sum = XXH3_64bits(content + block, record.end - block);
	format_put_record(&record, 1 + (how >> 1 & 1), block, bytes);
	memory_disk_change(1 + segment, format_record_at(how >> 2 & 1, 0), bytes, sizeof(bytes));
}

static void change_state(struct input *input)
{
	struct format_state state = {
		.sequence = take(input, 1), .segment_size = take(input, 1) * MIB, .snapshot_end = take(input, 3)};
	uint8_t bytes[FORMAT_STATE];

	state.origin.generation = take(input, 1) % 3;
	state.origin.offset = (int64_t)take(input, 8);
	format_put_state(&state, bytes);
	memory_disk_change(0, state.sequence % 2 * FORMAT_STATE_SLOT, bytes, sizeof(bytes));
}

static void change_something(struct input *input)
{
	unsigned kind = (unsigned)take(input, 1) % 6, file = (unsigned)take(input, 1) % (1 + SEGMENTS);
	uint64_t at;
	uint8_t byte;

	switch (kind) {
	case 0: /* one byte, anywhere */
		at = take(input, 3);
		if (memory_disk_read(file, at, &byte, 1)) {
			byte ^= (uint8_t)take(input, 1);
			memory_disk_change(file, at, &byte, 1);
		}
		break;
	case 1: /* one byte of a head */
		at = take(input, 2);
		byte = (uint8_t)take(input, 1);
		memory_disk_change(file, at, &byte, 1);
		break;
	case 2: memory_disk_truncate(file, take(input, 3) % (2 * MIB)); break;
	case 3: memory_disk_remove(file); break;
	case 4: change_record(input); break;
	default: change_state(input);
	}
}

/* True: every byte of it could be viewed. */
static bool check_spool(struct spool *spool)
{
	uint64_t end = spool_end(spool), begin = spool_begin_position(spool);
	struct error error;
	bool whole = true;

	/* With no byte left, it stands where the name of the first file says. */
	require(begin == end || (begin < end && end <= TOTAL), "positions within what was received");
	require(spool_snapshot_end(spool) == SPOOL_UNKNOWN || spool_snapshot_end(spool) <= end, "the snapshot's end");
	(void)spool_offset_of(spool, end);
	for (uint64_t at = begin; at < end;) {
		uint64_t len = end - at < 300000 ? end - at : 300000;
		const uint8_t *view;

		spool_release(spool, at);
		view = spool_view(spool, at, len, &error);
		require(!view || memcmp(view, content + at, len) == 0, "a byte that was not received");
		whole = whole && view;
		at += len;
	}
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.at = data, .left = size};
	struct error error;
	struct spool *spool;
	uint64_t cut, end;
	bool full, whole;

	if (!content)
		make_spool();
	memory_disk_restore();
	for (unsigned changes = 0; input.left > 0 && changes < 16; changes++)
		change_something(&input);
	spool = spool_open(&options, &cut, &error);
	if (spool) {
		whole = check_spool(spool);
		end = spool_end(spool);
		if (spool_origin(spool).generation > 0 && end + 1000 <= TOTAL)
			require(spool_append(spool, content + end, 1000, &full, &error), "appending behind the cut");
		end = spool_end(spool);
		spool_close(spool);
		if (whole) {
			spool = spool_open(&options, &cut, &error);
			require(spool && cut == 0 && spool_end(spool) == end,
				"the second opening finds all that the first has left");
			require(check_spool(spool), "and it is whole");
			spool_close(spool);
		}
	}
	require(memory_disk_open_files() == 0, "no file stays open");
	return 0;
}
