#include "base/columns.h"

#include <stdint.h>
#include <string.h>

struct range {
	uint32_t first, last;
};

/* Sorted. */
static const struct range wide[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},   {0x25fd, 0x25fe}, {0x2614, 0x2615},
	{0x2705, 0x2705},   {0x274c, 0x274c},   {0x2e80, 0x303e},   {0x3041, 0x4dbf},   {0x4e00, 0xa4cf}, {0xa960, 0xa97c},
	{0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6b},   {0xff01, 0xff60}, {0xffe0, 0xffe6},
	{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};
static const struct range none[] = {{0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20f0},
				    {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

static int within(uint32_t code, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count && ranges[i].first <= code; i++)
		if (code <= ranges[i].last)
			return 1;
	return 0;
}

/* The character at `at` (not the end), and how many bytes it has; *ret_code 0: the byte is no UTF-8. */
static size_t decode(const char *at, uint32_t *ret_code)
{
	const unsigned char *bytes = (const unsigned char *)at;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xf0 && bytes[0] < 0xf8 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
	uint32_t code = len == 1 ? bytes[0] : bytes[0] & (0x7fu >> len);

	*ret_code = 0;
	if (bytes[0] >= 0xf8 || (bytes[0] >= 0x80 && bytes[0] < 0xc2))
		return 1;
	for (size_t i = 1; i < len; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 1;
		code = code << 6 | (bytes[i] & 0x3fu);
	}
	if (len > 1 && (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)))
		return 1;
	*ret_code = code;
	return len;
}

static size_t width_of(uint32_t code)
{
	if (within(code, none, sizeof(none) / sizeof(none[0])))
		return 0;
	return within(code, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}

size_t columns_of(const char *text)
{
	size_t columns = 0;
	uint32_t code;

	while (*text) {
		text += decode(text, &code);
		columns += width_of(code);
	}
	return columns;
}

size_t columns_fit(const char *text, size_t most)
{
	const char *at = text;
	uint32_t code;

	while (*at) {
		size_t len = decode(at, &code), width = width_of(code);

		if (width > most)
			break;
		most -= width;
		at += len;
	}
	return (size_t)(at - text);
}

static int is_obeyed(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f;
}

void columns_clean(char *text)
{
	uint32_t code;
	size_t len;

	for (; *text; text += len) {
		len = decode(text, &code);
		if (code == 0)
			*text = '?';
		else if (is_obeyed(code))
			memset(text, ' ', len);
	}
}
