#include "wire/packed.h"

struct slice packed_text(struct packed_element element, char room[PACKED_TEXT_MAX])
{
	uint64_t left = element.integer < 0 ? 0 - (uint64_t)element.integer : (uint64_t)element.integer;
	char *at = room + PACKED_TEXT_MAX;

	if (element.bytes.data)
		return element.bytes;
	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	if (element.integer < 0)
		*--at = '-';
	return slice_make(at, (size_t)(room + PACKED_TEXT_MAX - at));
}
