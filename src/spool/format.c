#include "spool/format.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#define VERSION 1

static const char state_magic[16] = "keyferry spool\n";
static const char head_magic[16] = "keyferry bytes\n";

static void put32(uint8_t *out, uint32_t value)
{
	value = htole32(value);
	memcpy(out, &value, 4);
}

static void put64(uint8_t *out, uint64_t value)
{
	value = htole64(value);
	memcpy(out, &value, 8);
}

static uint32_t get32(const uint8_t *in)
{
	uint32_t value;

	memcpy(&value, in, 4);
	return le32toh(value);
}

static uint64_t get64(const uint8_t *in)
{
	uint64_t value;

	memcpy(&value, in, 8);
	return le64toh(value);
}

bool format_segment_size_fits(uint64_t size)
{
	return size > 0 && size % FORMAT_BLOCK == 0 && size <= FORMAT_SEGMENT_MAX;
}

bool format_origin_fits(const struct spool_origin *origin)
{
	return memchr(origin->replid, '\0', sizeof(origin->replid)) && origin->offset >= -1 &&
	       origin->offset < (int64_t)FORMAT_POSITION_MAX;
}

void format_put_state(const struct format_state *state, uint8_t out[FORMAT_STATE])
{
	memset(out, 0, FORMAT_STATE);
	memcpy(out, state_magic, sizeof(state_magic));
	put32(out + 16, VERSION);
	put64(out + 24, state->sequence);
	put64(out + 32, state->segment_size);
	put64(out + 40, state->origin.generation);
	put64(out + 48, (uint64_t)state->origin.offset);
	put64(out + 56, state->snapshot_end);
	memcpy(out + 64, state->origin.replid, strnlen(state->origin.replid, sizeof(state->origin.replid) - 1));
	put64(out + 120, XXH3_64bits(out, 120));
}

bool format_get_state(const uint8_t in[FORMAT_STATE], struct format_state *ret)
{
	struct format_state state = {.sequence = get64(in + 24), .segment_size = get64(in + 32), .snapshot_end = get64(in + 56)};

	state.origin.generation = get64(in + 40);
	state.origin.offset = (int64_t)get64(in + 48);
	memcpy(state.origin.replid, in + 64, sizeof(state.origin.replid));
	if (memcmp(in, state_magic, sizeof(state_magic)) != 0 || get32(in + 16) != VERSION ||
	    get64(in + 120) != XXH3_64bits(in, 120) || !format_segment_size_fits(state.segment_size) ||
	    !format_origin_fits(&state.origin))
		return false;
	if (state.snapshot_end != SPOOL_UNKNOWN && state.snapshot_end > FORMAT_POSITION_MAX)
		return false;
	*ret = state;
	return true;
}

void format_put_head(const struct format_head *head, uint8_t out[FORMAT_HEAD_USED])
{
	memset(out, 0, FORMAT_HEAD_USED);
	memcpy(out, head_magic, sizeof(head_magic));
	put32(out + 16, VERSION);
	put64(out + 24, head->segment_size);
	put64(out + 32, head->generation);
	put64(out + 40, head->number);
	put64(out + 56, XXH3_64bits(out, 56));
}

bool format_get_head(const uint8_t in[FORMAT_HEAD_USED], struct format_head *ret)
{
	if (memcmp(in, head_magic, sizeof(head_magic)) != 0 || get32(in + 16) != VERSION || get64(in + 56) != XXH3_64bits(in, 56))
		return false;
	*ret = (struct format_head){.segment_size = get64(in + 24), .generation = get64(in + 32), .number = get64(in + 40)};
	return true;
}

static uint64_t record_check(const uint8_t record[FORMAT_RECORD], uint64_t generation, uint64_t block)
{
	uint8_t checked[40];

	memcpy(checked, record, 24);
	put64(checked + 24, generation);
	put64(checked + 32, block);
	return XXH3_64bits(checked, sizeof(checked));
}

void format_put_record(const struct format_record *record, uint64_t generation, uint64_t block, uint8_t out[FORMAT_RECORD])
{
	put64(out, record->end);
	put64(out + 8, record->sum);
	put64(out + 16, record->synced);
	put64(out + 24, record_check(out, generation, block));
}

bool format_get_record(const uint8_t in[FORMAT_RECORD], uint64_t generation, uint64_t block, struct format_record *ret)
{
	struct format_record record = {.end = get64(in), .sum = get64(in + 8), .synced = get64(in + 16)};

	if (get64(in + 24) != record_check(in, generation, block))
		return false;
	if (record.end <= block || record.end - block > FORMAT_BLOCK || record.synced > record.end)
		return false;
	*ret = record;
	return true;
}

uint64_t format_record_at(unsigned which, uint64_t index)
{
	return (which ? 16384 : 4096) + FORMAT_RECORD * index;
}

void format_put_name(uint64_t generation, uint64_t number, char out[FORMAT_NAME_MAX])
{
	snprintf(out, FORMAT_NAME_MAX, "%08" PRIu64 "-%012" PRIu64 ".segment", generation, number);
}

bool format_get_name(const char *name, uint64_t *ret_generation, uint64_t *ret_number)
{
	const char *dash = strchr(name, '-');
	const char *dot = dash ? strchr(dash, '.') : NULL;
	char canonical[FORMAT_NAME_MAX];
	uint64_t generation, number;

	if (!dot || !slice_to_uint64(slice_make(name, (size_t)(dash - name)), &generation) ||
	    !slice_to_uint64(slice_make(dash + 1, (size_t)(dot - dash - 1)), &number))
		return false;
	format_put_name(generation, number, canonical);
	if (strcmp(name, canonical) != 0 || generation == 0 || number >= FORMAT_POSITION_MAX / FORMAT_SEGMENT_MAX)
		return false;
	*ret_generation = generation;
	*ret_number = number;
	return true;
}
