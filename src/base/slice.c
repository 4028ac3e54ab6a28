#include "base/slice.h"

#include <stdio.h>

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

bool slice_to_uint64(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t digit = (uint8_t)(text.data[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret = value;
	return true;
}

bool slice_to_int64(struct slice text, int64_t *ret)
{
	bool negative = text.len > 0 && text.data[0] == '-';
	uint64_t magnitude;

	if (negative)
		text = slice_make(text.data + 1, text.len - 1);
	if (!slice_to_uint64(text, &magnitude))
		return false;
	if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return false;
	*ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

const char *slice_quote(struct slice bytes, char *out, size_t cap)
{
	/* Room for the mark of a cut; the full length follows it only where it fits. */
	static const size_t tail = sizeof("...\"");
	size_t at = 0;
	bool cut = false;

	out[at++] = '"';
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.data[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
		size_t need = plain ? 1 : 4;

		if (at + need + tail > cap) {
			cut = true;
			break;
		}
		if (plain)
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, cap - at, "\\x%02x", c);
	}
	memcpy(out + at, cut ? "...\"" : "\"", cut ? tail : 2);
	at += cut ? tail - 1 : 1;
	if (cut) {
		int room = snprintf(NULL, 0, " (%zu bytes)", bytes.len);

		if (at + (size_t)room < cap)
			snprintf(out + at, cap - at, " (%zu bytes)", bytes.len);
	}
	return out;
}
