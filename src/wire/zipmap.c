#include "wire/zipmap.h"

#include "wire/rdb.h"

#define HEADER 1
#define END 0xff
#define LONG 0xfe

bool zipmap_open(struct zipmap *map, struct slice in, struct parse_fault *fault)
{
	if (in.len < HEADER + 1) {
		*fault = (struct parse_fault){0, "a zipmap is shorter than its frame"};
		return false;
	}
	if (in.data[in.len - 1] != END) {
		*fault = (struct parse_fault){in.len - 1, "a zipmap has no end mark"};
		return false;
	}
	*map = (struct zipmap){.in = in, .at = HEADER};
	return true;
}

enum packed_step zipmap_next(struct zipmap *map, struct packed_element *element, struct parse_fault *fault)
{
	const uint8_t *p = map->in.data + map->at;
	uint64_t room = map->in.len - 1 - map->at;
	bool value = map->seen % 2 == 1;
	uint64_t length, unused = 0;
	unsigned head;

	if (room == 0) {
		if (value)
			return packed_bad(fault, map->at, "a zipmap ends behind a field without a value");
		if (map->in.data[0] < LONG && map->seen / 2 != map->in.data[0])
			return packed_bad(fault, 0, "a zipmap does not hold the count of fields that it says");
		return PACKED_END;
	}
	head = (p[0] == LONG ? 5 : 1) + value;
	if (p[0] == END || room < head)
		return packed_bad(fault, map->at, "an element of a zipmap runs over its end");
	length = p[0] == LONG ? rdb_little_endian(p + 1, 4) : p[0];
	if (value)
		unused = p[head - 1];
	if (length + unused > room - head)
		return packed_bad(fault, map->at, "an element of a zipmap runs over its end");
	*element = (struct packed_element){.bytes = slice_make(p + head, length)};
	map->at += head + length + unused;
	map->seen++;
	return PACKED_ELEMENT;
}
