#include "base/utf8.h"

bool utf8_is_valid(struct slice text)
{
	/* The smallest code point that needs so many bytes; a smaller one is an overlong form. */
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t at = 0;

	while (at < text.len) {
		uint8_t first = text.data[at];
		size_t len = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
		uint32_t code;

		if (len == 0 || len > text.len - at)
			return false;
		code = len == 1 ? first : first & (0x7fU >> len);
		for (size_t i = 1; i < len; i++) {
			uint8_t next = text.data[at + i];

			if (next >> 6 != 2)
				return false;
			code = code << 6 | (next & 0x3fU);
		}
		if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
		at += len;
	}
	return true;
}

void utf8_mend(char *text, size_t len)
{
	if (utf8_is_valid(slice_make(text, len)))
		return;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			text[i] = '?';
}
