#include "wire/slot.h"

#include <pthread.h>

/* CRC16 with polynomial 0x1021, not reflected, initial value 0, is linear: the CRC of a byte is the sum (xor) of the CRCs of its
 * bits. Row k of the table is for a byte that k more bytes follow, so eight bytes cost eight independent look-ups (slicing by
 * eight) instead of a chain of eight. The arguments of ROW() are the CRCs of the bits 1, 2, 4 ... 128, k zero bytes behind. */
#define BITS(b, c0, c1, c2, c3, c4, c5, c6, c7)                                                                                  \
	(((b)&1 ? c0 : 0) ^ ((b)&2 ? c1 : 0) ^ ((b)&4 ? c2 : 0) ^ ((b)&8 ? c3 : 0) ^ ((b)&16 ? c4 : 0) ^ ((b)&32 ? c5 : 0) ^     \
	 ((b)&64 ? c6 : 0) ^ ((b)&128 ? c7 : 0))
#define FOUR(b, ...) BITS(b, __VA_ARGS__), BITS((b) + 1, __VA_ARGS__), BITS((b) + 2, __VA_ARGS__), BITS((b) + 3, __VA_ARGS__)
#define SIXTEEN(b, ...) FOUR(b, __VA_ARGS__), FOUR((b) + 4, __VA_ARGS__), FOUR((b) + 8, __VA_ARGS__), FOUR((b) + 12, __VA_ARGS__)
#define SIXTY_FOUR(b, ...)                                                                                                       \
	SIXTEEN(b, __VA_ARGS__), SIXTEEN((b) + 16, __VA_ARGS__), SIXTEEN((b) + 32, __VA_ARGS__), SIXTEEN((b) + 48, __VA_ARGS__)
#define ROW(...)                                                                                                                 \
	{                                                                                                                        \
		SIXTY_FOUR(0, __VA_ARGS__), SIXTY_FOUR(64, __VA_ARGS__), SIXTY_FOUR(128, __VA_ARGS__),                           \
			SIXTY_FOUR(192, __VA_ARGS__)                                                                             \
	}

static const uint16_t crc_table[8][256] = {
	ROW(0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4, 0x9188),
	ROW(0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1b98),
	ROW(0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3b5a),
	ROW(0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c, 0xdd38),
	ROW(0xaa51, 0x4483, 0x8906, 0x022d, 0x045a, 0x08b4, 0x1168, 0x22d0),
	ROW(0x45a0, 0x8b40, 0x06a1, 0x0d42, 0x1a84, 0x3508, 0x6a10, 0xd420),
	ROW(0xb861, 0x60e3, 0xc1c6, 0x93ad, 0x377b, 0x6ef6, 0xddec, 0xabf9),
	ROW(0x47d3, 0x8fa6, 0x0f6d, 0x1eda, 0x3db4, 0x7b68, 0xf6d0, 0xfd81),
};

/* Letters of the tags. Tags are written into targets as part of key names: neither the letters, nor their order, nor the search
 * below may ever change, or marks of earlier versions are not found again. */
static const char tag_letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
#define TAG_LETTERS (sizeof(tag_letters) - 1)
#define TAG_MAX 4

static char tags[SLOT_COUNT][8];
static pthread_once_t tags_once = PTHREAD_ONCE_INIT;

uint16_t slot_crc16(struct slice bytes)
{
	const uint8_t *p = bytes.data;
	size_t len = bytes.len;
	uint16_t crc = 0;

	for (; len >= 8; len -= 8, p += 8)
		crc = crc_table[7][p[0] ^ (crc >> 8)] ^ crc_table[6][p[1] ^ (crc & 0xff)] ^ crc_table[5][p[2]] ^
		      crc_table[4][p[3]] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^ crc_table[0][p[7]];
	for (; len > 0; len--, p++)
		crc = (uint16_t)(crc << 8) ^ crc_table[0][(crc >> 8) ^ *p];
	return crc;
}

uint16_t slot_of_key(struct slice key)
{
	const uint8_t *open = key.len ? memchr(key.data, '{', key.len) : NULL;

	if (open) {
		const uint8_t *tag = open + 1;
		const uint8_t *close = memchr(tag, '}', (size_t)(key.data + key.len - tag));

		if (close && close > tag)
			key = slice_make(tag, (size_t)(close - tag));
	}
	return slot_crc16(key) & (SLOT_COUNT - 1);
}

/* Goes through all texts of the letters, short ones first, and keeps the first of each slot. Three letters leave 85 slots
 * without one, four give them several. */
static void tags_build(void)
{
	uint32_t missing = SLOT_COUNT;

	for (size_t len = 1; missing > 0 && len <= TAG_MAX; len++) {
		uint8_t digits[TAG_MAX] = {0};
		bool carry = false;

		while (missing > 0 && !carry) {
			char text[sizeof(tags[0])] = {0};
			char *tag;

			for (size_t i = 0; i < len; i++)
				text[i] = tag_letters[digits[i]];
			tag = tags[slot_crc16(slice_make(text, len)) & (SLOT_COUNT - 1)];
			if (tag[0] == '\0') {
				memcpy(tag, text, sizeof(text));
				missing--;
			}
			carry = true;
			for (size_t i = len; carry && i-- > 0;) {
				carry = ++digits[i] == TAG_LETTERS;
				if (carry)
					digits[i] = 0;
			}
		}
	}
}

const char *slot_tag(uint16_t slot)
{
	pthread_once(&tags_once, tags_build);
	return tags[slot % SLOT_COUNT];
}
