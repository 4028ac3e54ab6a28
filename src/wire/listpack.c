#include "wire/listpack.h"

#include "wire/rdb.h"

#define HEADER 6
#define END 0xff
#define COUNT_UNKNOWN 65535

bool listpack_open(struct listpack *list, struct slice in, struct parse_fault *fault)
{
	if (in.len < HEADER + 1) {
		*fault = (struct parse_fault){0, "a listpack is shorter than its frame"};
		return false;
	}
	if (rdb_little_endian(in.data, 4) != in.len) {
		*fault = (struct parse_fault){0, "a listpack does not have the length that it says"};
		return false;
	}
	if (in.data[in.len - 1] != END) {
		*fault = (struct parse_fault){in.len - 1, "a listpack has no end mark"};
		return false;
	}
	*list = (struct listpack){.in = in, .at = HEADER, .count = (uint32_t)rdb_little_endian(in.data + 4, 2)};
	return true;
}

/* The number in the `bytes` bytes at p, with its sign. */
static int64_t signed_number(const uint8_t *p, unsigned bytes)
{
	unsigned spare = 64 - 8 * bytes;

	return (int64_t)(rdb_little_endian(p, bytes) << spare) >> spare;
}

/* Bytes of code and data of the element at p, which has `room` bytes before the end mark; 0: they do not fit, or mean nothing. */
static uint64_t read_element(const uint8_t *p, uint64_t room, struct packed_element *element)
{
	static const uint8_t widths[] = {[1] = 2, [2] = 3, [3] = 4, [4] = 8};
	uint8_t code = p[0];
	uint64_t header, length;

	if (code < 0x80) {
		*element = (struct packed_element){.integer = code};
		return 1;
	}
	if (code < 0xc0) {
		header = 1;
		length = code & 0x3f;
	} else if (code < 0xe0) {
		if (room < 2)
			return 0;
		*element = (struct packed_element){.integer = (int64_t)((uint64_t)(code & 0x1f) << 8 | p[1]) -
							      (code & 0x10 ? 1 << 13 : 0)};
		return 2;
	} else if (code < 0xf0) {
		if (room < 2)
			return 0;
		header = 2;
		length = (uint64_t)(code & 0x0f) << 8 | p[1];
	} else if (code == 0xf0) {
		if (room < 5)
			return 0;
		header = 5;
		length = rdb_little_endian(p + 1, 4);
	} else {
		if (code > 0xf4 || room < 1U + widths[code & 7])
			return 0;
		*element = (struct packed_element){.integer = signed_number(p + 1, widths[code & 7])};
		return 1U + widths[code & 7];
	}
	if (length > room - header)
		return 0;
	*element = (struct packed_element){.bytes = slice_make(p + header, length)};
	return header + length;
}

/* Whether the `bytes` bytes at p say `length`, read from the last one backwards: seven bits each, the top bit means more. */
static bool back_length_is(const uint8_t *p, unsigned bytes, uint64_t length)
{
	for (unsigned i = bytes; i-- > 0; length >>= 7)
		if (p[i] != ((length & 0x7f) | (i > 0 ? 0x80 : 0)))
			return false;
	return length == 0;
}

enum packed_step listpack_next(struct listpack *list, struct packed_element *element, struct parse_fault *fault)
{
	const uint8_t *p = list->in.data + list->at;
	uint64_t room = list->in.len - 1 - list->at;
	uint64_t size;
	unsigned back;

	if (room == 0) {
		if (list->count != COUNT_UNKNOWN && list->seen != list->count)
			return packed_bad(fault, list->at, "a listpack ends before the count of elements that it says");
		return PACKED_END;
	}
	if (list->count != COUNT_UNKNOWN && list->seen == list->count)
		return packed_bad(fault, list->at, "a listpack holds more elements than it says");
	size = read_element(p, room, element);
	if (size == 0)
		return packed_bad(fault, list->at, "an element of a listpack has no known form, or runs over its end");
	back = size < 128 ? 1 : size < 16384 ? 2 : size < 2097152 ? 3 : size < 268435456 ? 4 : 5;
	if (room - size < back || !back_length_is(p + size, back, size))
		return packed_bad(fault, list->at, "an element of a listpack does not have the length that is written behind it");
	list->at += size + back;
	list->seen++;
	return PACKED_ELEMENT;
}
