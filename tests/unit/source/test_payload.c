#include "source/payload.h"

#include "base/memory.h"
#include "wire/crc64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MARK "0123456789abcdef0123456789abcdef01234567"

/* An RDB-like run of bytes of `len`, its checksum at the end. */
static uint8_t *make_rdb(size_t len)
{
	uint8_t *rdb = memory_alloc(len);
	uint64_t sum;

	for (size_t i = 0; i < len; i++)
		rdb[i] = (uint8_t)(i * 7 + i / 251);
	memcpy(rdb, "REDIS0010", 9);
	sum = crc64(0, rdb, len - 8);
	for (size_t i = 0; i < 8; i++)
		rdb[len - 8 + i] = (uint8_t)(sum >> (8 * i));
	return rdb;
}

struct gathered {
	uint8_t *bytes;
	size_t len;
	size_t taken; /* of the input, up to the end */
	enum payload_step last;
};

/* Feeds the input cut at `first` and then every `piece` bytes, from copies that end where the piece ends. */
static struct gathered gather(struct payload *payload, const uint8_t *in, size_t len, size_t first, size_t piece)
{
	struct gathered gathered = {.bytes = memory_alloc(len + 1), .last = PAYLOAD_MORE};
	size_t at = 0;

	while (at < len && gathered.last == PAYLOAD_MORE) {
		size_t n = at == 0 && first > 0 ? first : piece;
		uint8_t *copy;
		size_t done = 0;

		if (n > len - at)
			n = len - at;
		copy = memory_alloc(n);
		memcpy(copy, in + at, n);
		for (;;) {
			struct slice bytes;
			size_t taken;

			gathered.last = payload_next(payload, slice_make(copy + done, n - done), &taken, &bytes);
			assert_true(taken <= n - done);
			done += taken;
			if (gathered.last != PAYLOAD_BYTES)
				break;
			assert_true(bytes.len > 0);
			assert_true(gathered.len + bytes.len <= len);
			memcpy(gathered.bytes + gathered.len, bytes.data, bytes.len);
			gathered.len += bytes.len;
		}
		if (gathered.last == PAYLOAD_MORE)
			assert_int_equal(done, n);
		gathered.taken += done;
		at += n;
		free(copy);
	}
	return gathered;
}

static void check_length(const uint8_t *rdb, size_t len, size_t first, size_t piece, enum payload_step expected)
{
	struct payload payload;
	struct gathered gathered;
	uint8_t *in = memory_alloc(len + 5);

	memcpy(in, rdb, len);
	memcpy(in + len, "*1\r\n$", 5);
	payload_begin_length(&payload, len);
	gathered = gather(&payload, in, len + 5, first, piece);
	assert_int_equal(gathered.last, expected);
	assert_int_equal(gathered.len, len);
	assert_int_equal(gathered.taken, len);
	assert_memory_equal(gathered.bytes, rdb, len);
	free(gathered.bytes);
	free(in);
}

static void check_marked(const uint8_t *rdb, size_t len, const char *mark, size_t first, size_t piece, enum payload_step expected)
{
	struct payload payload;
	struct gathered gathered;
	uint8_t *in = memory_alloc(len + PAYLOAD_MARK + 5);

	memcpy(in, rdb, len);
	memcpy(in + len, mark, PAYLOAD_MARK);
	memcpy(in + len + PAYLOAD_MARK, "*1\r\n$", 5);
	payload_begin_marked(&payload, (const uint8_t *)mark);
	gathered = gather(&payload, in, len + PAYLOAD_MARK + 5, first, piece);
	assert_int_equal(gathered.last, expected);
	assert_int_equal(gathered.len, len);
	assert_int_equal(gathered.taken, len + PAYLOAD_MARK);
	assert_memory_equal(gathered.bytes, rdb, len);
	free(gathered.bytes);
	free(in);
}

static void test_every_splitting(void **state)
{
	const size_t len = 300;
	uint8_t *rdb = make_rdb(len);

	(void)state;
	for (size_t piece = 1; piece <= len + 50; piece++) {
		check_length(rdb, len, 0, piece, PAYLOAD_END);
		check_marked(rdb, len, MARK, 0, piece, PAYLOAD_END);
		check_length(rdb, len, piece, 1000, PAYLOAD_END);
		check_marked(rdb, len, MARK, piece, 1000, PAYLOAD_END);
	}
	free(rdb);
}

/* Data that looks like the mark's beginning, in front of the mark and in the middle, must come out as data. */
static void test_data_like_the_mark(void **state)
{
	const char *marks[] = {
		MARK,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
		"abababababababababababababababababababac",
		"aaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaac",
	};
	const size_t len = 260;

	(void)state;
	for (size_t m = 0; m < sizeof(marks) / sizeof(*marks); m++) {
		for (size_t begun = 1; begun < PAYLOAD_MARK; begun++) {
			uint8_t *rdb = make_rdb(len);

			memset(rdb + 50, 0, len - 50);
			memcpy(rdb + 60, marks[m], begun);
			memcpy(rdb + 120, marks[m], begun);
			memcpy(rdb + 120 + begun, marks[m], PAYLOAD_MARK - 1);
			if (memmem(rdb, len - 8, marks[m], PAYLOAD_MARK) != NULL)
				rdb[120 + begun - 1] = 0; /* a mark that repeats itself: the two pieces made a whole one */
			memcpy(rdb + len - 8 - begun, marks[m], begun);
			for (size_t piece = 1; piece <= 2 * PAYLOAD_MARK + 1; piece += 3)
				check_marked(rdb, len, marks[m], begun, piece, PAYLOAD_END);
			free(rdb);
		}
	}
}

static void test_checksum(void **state)
{
	const size_t len = 200;
	uint8_t *rdb = make_rdb(len);

	(void)state;
	for (size_t i = 0; i < len; i += 13) {
		rdb[i] ^= 0x10;
		check_length(rdb, len, 0, 1 + i % 37, PAYLOAD_WRONG);
		check_marked(rdb, len, MARK, 0, 1 + i % 37, PAYLOAD_WRONG);
		rdb[i] ^= 0x10;
	}
	/* The master runs with rdbchecksum no. */
	memset(rdb + len - 8, 0, 8);
	check_length(rdb, len, 0, 64, PAYLOAD_END);
	check_marked(rdb, len, MARK, 0, 64, PAYLOAD_END);
	free(rdb);
}

static void test_too_short(void **state)
{
	uint8_t *rdb = make_rdb(PAYLOAD_RDB_MIN);
	struct payload payload;
	struct slice bytes;
	size_t taken;

	(void)state;
	check_length(rdb, PAYLOAD_RDB_MIN, 0, 5, PAYLOAD_END);
	check_length(rdb, PAYLOAD_RDB_MIN - 1, 0, 5, PAYLOAD_WRONG);
	check_marked(rdb, PAYLOAD_RDB_MIN - 1, MARK, 0, 5, PAYLOAD_WRONG);
	check_marked(rdb, 0, MARK, 0, 7, PAYLOAD_WRONG);
	payload_begin_length(&payload, 0);
	assert_int_equal(payload_next(&payload, slice_make(NULL, 0), &taken, &bytes), PAYLOAD_WRONG);
	free(rdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_splitting),
		cmocka_unit_test(test_data_like_the_mark),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
