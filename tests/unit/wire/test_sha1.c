#include "wire/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(struct slice bytes, const char *expected)
{
	uint8_t sha[SHA1_LEN], parsed[SHA1_LEN];

	sha1(bytes, sha);
	assert_true(sha1_parse(slice_of_string(expected), parsed));
	assert_memory_equal(sha, parsed, SHA1_LEN);
}

/* The examples of FIPS 180-4 and RFC 3174. */
static void test_known(void **state)
{
	uint8_t *million = malloc(1000000);

	(void)state;
	memset(million, 'a', 1000000);
	check(SLICE(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	check(SLICE("abc"), "A9993E364706816ABA3E25717850C26C9CD0D89D");
	check(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	check(slice_make(million, 1000000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	free(million);
}

/* Lengths around the end of a block, where the length goes into one block or two: sha1sum's answers for so many letters x. */
static void test_block_ends(void **state)
{
	static const struct {
		size_t len;
		const char *sha;
	} known[] = {
		{55, "cef734ba81a024479e09eb5a75b6ddae62e6abf1"},  {56, "901305367c259952f4e7af8323f480d59f81335b"},
		{57, "025ecbd5d70f8fb3c5457cd96bab13fda305dc59"},  {63, "0ddc4e0cccd9a12850deb5abb0853a4425559fec"},
		{64, "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163"},  {65, "78c741ddc482e4cdf8c474a0876347a0905b6233"},
		{119, "4300320394f7ee239bcdce7d3b8bcee173a0cd5c"}, {120, "ceb2821639c4b6dcb10bce0e522ca2e608ce056d"},
		{128, "150fa3fbdc899bd0b8f95a9fb6027f564d953762"},
	};
	uint8_t text[200];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		check(slice_make(text, known[i].len), known[i].sha);
}

static void test_what_is_no_sha1(void **state)
{
	uint8_t out[SHA1_LEN];

	(void)state;
	assert_false(sha1_parse(SLICE(""), out));
	assert_false(sha1_parse(SLICE("da39a3ee5e6b4b0d3255bfef95601890afd8070"), out));
	assert_false(sha1_parse(SLICE("da39a3ee5e6b4b0d3255bfef95601890afd807090"), out));
	assert_false(sha1_parse(SLICE("ga39a3ee5e6b4b0d3255bfef95601890afd80709"), out));
	assert_false(sha1_parse(SLICE("da39a3ee5e6b4b0d3255bfef95601890afd8070\0"), out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_block_ends),
		cmocka_unit_test(test_what_is_no_sha1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
