#include "wire/slot.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Bit by bit, as the definition of CRC16/XMODEM has it. */
static uint16_t crc16_by_bits(const uint8_t *data, size_t len)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc ^= (uint16_t)(data[i] << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
	}
	return crc;
}

static void crc(void **state)
{
	uint8_t bytes[300];
	uint32_t random = 1;

	(void)state;
	assert_int_equal(slot_crc16(SLICE("123456789")), 0x31c3);
	assert_int_equal(slot_crc16(SLICE("")), 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		random = random * 1103515245 + 12345;
		bytes[i] = (uint8_t)(random >> 16);
	}
	for (size_t len = 0; len < 256; len++)
		for (size_t from = 0; from < 9; from++)
			assert_int_equal(slot_crc16(slice_make(bytes + from, len)), crc16_by_bits(bytes + from, len));
}

/* The answers of CLUSTER KEYSLOT. */
static void slots_and_tags(void **state)
{
	(void)state;
	assert_int_equal(slot_of_key(SLICE("foo")), 12182);
	assert_int_equal(slot_of_key(SLICE("somekey")), 11058);
	assert_int_equal(slot_of_key(SLICE("")), 0);
	assert_int_equal(slot_of_key(SLICE("foo{hash_tag}")), 2515);
	assert_int_equal(slot_of_key(SLICE("bar{hash_tag}")), 2515);
	assert_int_equal(slot_of_key(SLICE("{user1000}.following")), slot_of_key(SLICE("user1000")));
	/* an empty tag, an open one and a lone brace count as the whole key; only the first tag counts */
	assert_int_equal(slot_of_key(SLICE("foo{}{bar}")), 8363);
	assert_int_equal(slot_of_key(SLICE("foo{{bar}}zap")), slot_of_key(SLICE("{bar")));
	assert_int_equal(slot_of_key(SLICE("foo{bar}{zap}")), slot_of_key(SLICE("bar")));
	assert_int_equal(slot_of_key(SLICE("foo{bar")), slot_crc16(SLICE("foo{bar")) % SLOT_COUNT);
	assert_int_equal(slot_of_key(SLICE("}foo{")), slot_crc16(SLICE("}foo{")) % SLOT_COUNT);
}

static void every_slot_has_a_tag(void **state)
{
	(void)state;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		const char *tag = slot_tag((uint16_t)slot);
		size_t len = strlen(tag);

		assert_in_range(len, 1, 7);
		assert_int_equal(strspn(tag, "0123456789abcdefghijklmnopqrstuvwxyz"), len);
		assert_int_equal(slot_of_key(slice_of_string(tag)), slot);
	}
}

/* Tags are part of what is stored in targets: they may not change from version to version. */
static void tags_never_change(void **state)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a of all tags, each with its NUL */

	(void)state;
	assert_string_equal(slot_tag(0), "1bz");
	assert_string_equal(slot_tag(5461), "3zu");
	assert_string_equal(slot_tag(16383), "hia");
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		const char *tag = slot_tag((uint16_t)slot);

		for (size_t i = 0; i <= strlen(tag); i++)
			hash = (hash ^ (uint8_t)tag[i]) * 0x100000001b3u;
	}
	assert_true(hash == 0xfb5d7888901c55c5u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc),
		cmocka_unit_test(slots_and_tags),
		cmocka_unit_test(every_slot_has_a_tag),
		cmocka_unit_test(tags_never_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
