#include "wire/ziplist.h"

#include "wire/rdb.h"

#define HEADER 10
#define END 0xff
#define LONG_BEFORE 0xfe
#define COUNT_UNKNOWN 65535

bool ziplist_open(struct ziplist *list, struct slice in, struct parse_fault *fault)
{
	if (in.len < HEADER + 1) {
		*fault = (struct parse_fault){0, "a ziplist is shorter than its frame"};
		return false;
	}
	if (rdb_little_endian(in.data, 4) != in.len) {
		*fault = (struct parse_fault){0, "a ziplist does not have the length that it says"};
		return false;
	}
	if (in.data[in.len - 1] != END) {
		*fault = (struct parse_fault){in.len - 1, "a ziplist has no end mark"};
		return false;
	}
	*list = (struct ziplist){
		.in = in,
		.at = HEADER,
		.last = rdb_little_endian(in.data + 4, 4),
		.count = (uint32_t)rdb_little_endian(in.data + 8, 2),
	};
	return true;
}

/* As read_element() of listpacks: bytes of code and data at p. */
static uint64_t read_element(const uint8_t *p, uint64_t room, struct packed_element *element)
{
	uint8_t code = p[0];
	uint64_t header, length;
	unsigned width, spare;

	switch (code >> 6) {
	case 0:
		header = 1;
		length = code;
		break;
	case 1:
		if (room < 2)
			return 0;
		header = 2;
		length = (uint64_t)(code & 0x3f) << 8 | p[1];
		break;
	case 2:
		if (code != 0x80 || room < 5)
			return 0;
		header = 5;
		length = rdb_big_endian(p + 1, 4);
		break;
	default:
		if (code > 0xf0 && code < 0xfe) {
			*element = (struct packed_element){.integer = (code & 0x0f) - 1};
			return 1;
		}
		width = code == 0xc0 ? 2 : code == 0xd0 ? 4 : code == 0xe0 ? 8 : code == 0xf0 ? 3 : code == 0xfe ? 1 : 0;
		if (width == 0 || room < 1 + width)
			return 0;
		spare = 64 - 8 * width;
		*element = (struct packed_element){.integer = (int64_t)(rdb_little_endian(p + 1, width) << spare) >> spare};
		return 1 + width;
	}
	if (length > room - header)
		return 0;
	*element = (struct packed_element){.bytes = slice_make(p + header, length)};
	return header + length;
}

enum packed_step ziplist_next(struct ziplist *list, struct packed_element *element, struct parse_fault *fault)
{
	const uint8_t *p = list->in.data + list->at;
	uint64_t room = list->in.len - 1 - list->at;
	uint64_t before, size;
	unsigned head;

	if (room == 0) {
		if (list->count != COUNT_UNKNOWN && list->seen != list->count)
			return packed_bad(fault, list->at, "a ziplist ends before the count of elements that it says");
		if (list->last != list->at - list->before)
			return packed_bad(fault, 4, "a ziplist's last element is not where it says");
		return PACKED_END;
	}
	if (list->count != COUNT_UNKNOWN && list->seen == list->count)
		return packed_bad(fault, list->at, "a ziplist holds more elements than it says");
	/* A short length may stand in the long form: servers do not make elements smaller when the one before them shrinks. */
	head = p[0] == LONG_BEFORE ? 5 : 1;
	if (p[0] == END || room <= head)
		return packed_bad(fault, list->at, "an element of a ziplist runs over its end");
	before = head == 5 ? rdb_little_endian(p + 1, 4) : p[0];
	if (before != list->before)
		return packed_bad(fault, list->at, "an element of a ziplist does not say the length of the one before it");
	size = read_element(p + head, room - head, element);
	if (size == 0)
		return packed_bad(fault, list->at, "an element of a ziplist has no known form, or runs over its end");
	list->before = head + size;
	list->at += list->before;
	list->seen++;
	return PACKED_ELEMENT;
}
