#include "wire/intset.h"

#include "wire/rdb.h"

#define HEADER 8

bool intset_open(struct intset *set, struct slice in, struct parse_fault *fault)
{
	uint64_t width, count;

	if (in.len < HEADER) {
		*fault = (struct parse_fault){0, "an intset is shorter than its frame"};
		return false;
	}
	width = rdb_little_endian(in.data, 4);
	count = rdb_little_endian(in.data + 4, 4);
	if (width != 2 && width != 4 && width != 8) {
		*fault = (struct parse_fault){0, "an intset's numbers have an impossible width"};
		return false;
	}
	if (in.len - HEADER != width * count) {
		*fault = (struct parse_fault){4, "an intset does not have the length that its count of numbers asks for"};
		return false;
	}
	*set = (struct intset){.in = in, .at = HEADER, .width = (unsigned)width};
	return true;
}

enum packed_step intset_next(struct intset *set, struct packed_element *element, struct parse_fault *fault)
{
	unsigned spare = 64 - 8 * set->width;
	int64_t number;

	if (set->at == set->in.len)
		return PACKED_END;
	number = (int64_t)(rdb_little_endian(set->in.data + set->at, set->width) << spare) >> spare;
	if (set->at > HEADER && number <= set->before)
		return packed_bad(fault, set->at, "an intset's numbers do not ascend");
	set->before = number;
	set->at += set->width;
	*element = (struct packed_element){.integer = number};
	return PACKED_ELEMENT;
}
