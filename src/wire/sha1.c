#include "wire/sha1.h"

#define BLOCK 64

static uint32_t rotate(uint32_t word, unsigned bits)
{
	return word << bits | word >> (32 - bits);
}

static void take_block(uint32_t state[5], const uint8_t *block)
{
	uint32_t w[80];
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
		       block[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t mixed = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
				 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
				 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
					  : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t next = rotate(a, 5) + mixed + e + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1(struct slice bytes, uint8_t out[SHA1_LEN])
{
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t last[2 * BLOCK] = {0};
	uint64_t bits = (uint64_t)bytes.len * 8;
	size_t whole = bytes.len / BLOCK * BLOCK, rest = bytes.len - whole;
	size_t last_len = rest + 9 <= BLOCK ? BLOCK : 2 * BLOCK;

	for (size_t at = 0; at < whole; at += BLOCK)
		take_block(state, bytes.data + at);
	if (rest > 0)
		memcpy(last, bytes.data + whole, rest);
	last[rest] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		last[last_len - 1 - i] = (uint8_t)(bits >> (8 * i));
	for (size_t at = 0; at < last_len; at += BLOCK)
		take_block(state, last + at);
	for (unsigned i = 0; i < SHA1_LEN; i++)
		out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sha1_parse(struct slice text, uint8_t out[SHA1_LEN])
{
	if (text.len != SHA1_TEXT_LEN)
		return false;
	for (unsigned i = 0; i < SHA1_LEN; i++) {
		int high = digit(text.data[2 * i]), low = digit(text.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
