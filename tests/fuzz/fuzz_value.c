/* Serialised values: the first byte is the type, the second the family, the rest the value. Reading it ends, twice in the same way;
 * damage is named with a place inside it; all bytes handed out can be read. */
#include "decode/value.h"
#include "wire/rdb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What compressed parts may become: small, so that inputs reach the bound. */
#define BUDGET 65536

static void require(bool true_always)
{
	if (!true_always)
		abort();
}

static uint64_t sum_bytes(struct slice bytes)
{
	uint64_t sum = bytes.len;

	for (size_t i = 0; i < bytes.len; i++)
		sum = sum * 31 + bytes.data[i];
	return sum;
}

/* Everything that was read, as one number. */
static uint64_t read_through(struct value_reader *reader, uint8_t type, bool valkey, struct slice value)
{
	struct parse_fault fault = {UINT64_MAX, NULL};
	struct value_item item;
	enum value_answer answer;
	uint64_t sum = 0;
	uint64_t items = 0;

	if (!value_reader_begin(reader, type, valkey, value))
		return 1;
	while ((answer = value_reader_next(reader, &item, &fault)) == VALUE_ITEM) {
		require(item.index == items++ && item.offset < value.len);
		sum = sum * 31 + item.kind;
		sum = sum * 31 + sum_bytes(item.bytes);
		sum = sum * 31 + sum_bytes(item.content);
		if (item.kind == VALUE_ITEM_PENDING)
			sum += item.pending.id.ms + item.pending.delivery_count;
	}
	if (answer == VALUE_BAD)
		require(fault.what != NULL && fault.offset <= value.len);
	return sum * 31 + answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value_reader *reader;
	struct slice value;
	uint64_t first;

	if (size < 2)
		return 0;
	reader = value_reader_new(BUDGET);
	value = slice_make(data + 2, size - 2);
	first = read_through(reader, data[0], data[1] & 1, value);
	require(read_through(reader, data[0], data[1] & 1, value) == first);
	value_reader_free(reader);
	return 0;
}
