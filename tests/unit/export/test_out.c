/* A file with a mark: pieces of all sizes, sums, cutting back, and disks that are full at any byte. */
#include "../spool/memory_disk.h"
#include "export/out.h"

#include "base/memory.h"
#include "wire/crc64.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PATH "/disk/file"

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static struct slice noise(size_t len)
{
	uint8_t *bytes = memory_alloc(len);
	uint64_t seed = len + 1;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)next_random(&seed);
	return slice_make(bytes, len);
}

static void open_out(struct out *out)
{
	struct error error;

	memory_disk_reset();
	out_init(out, &disk_memory);
	assert_true(out_create(out, PATH, true, &error));
}

static void assert_content(struct slice expected)
{
	uint8_t *found = memory_alloc(expected.len);

	assert_int_equal(memory_disk_file_size(0), expected.len);
	assert_true(memory_disk_read(0, 0, found, expected.len));
	assert_memory_equal(found, expected.data, expected.len);
	free(found);
}

/* All of the noise is in the file. */
static void close_whole(struct out *out, struct slice all)
{
	assert_int_equal(out->checksum, crc64(0, all.data, all.len));
	assert_content(all);
	out_free(out);
	free((void *)(uintptr_t)all.data);
}

/* Event n: a few pieces that lie anywhere in the noise, most small, some over the size that goes straight to the file. */
static void put_event(struct out *out, struct slice all, size_t from, size_t to)
{
	uint64_t seed = from;

	while (from < to) {
		size_t len = 1 + next_random(&seed) % (seed % 5 == 0 ? 300000 : 900);

		if (len > to - from)
			len = to - from;
		out_put(out, all.data + from, len);
		from += len;
	}
}

static size_t end_of_event(size_t from, size_t all)
{
	uint64_t seed = from * 31 + 7;
	size_t len = 1 + next_random(&seed) % (seed % 7 == 0 ? 500000 : 3000);

	return len > all - from ? all : from + len;
}

static void test_pieces_of_all_sizes(void **state)
{
	struct slice all = noise(8 << 20);
	struct error error;
	struct out out;

	(void)state;
	open_out(&out);
	for (size_t at = 0, end; at < all.len; at = end) {
		end = end_of_event(at, all.len);
		out_mark(&out);
		put_event(&out, all, at, end);
		assert_int_equal(out_length(&out), end);
	}
	assert_int_equal(out_checksum(&out), crc64(0, all.data, all.len));
	assert_true(out_flush(&out));
	assert_true(out_sync(&out, &error));
	close_whole(&out, all);
}

/* Every event is put, cut off, and put again: the sum and the bytes are those of one putting. */
static void test_cutting_back(void **state)
{
	struct slice all = noise(4 << 20);
	struct error error;
	struct out out;

	(void)state;
	open_out(&out);
	for (size_t at = 0, end; at < all.len; at = end) {
		end = end_of_event(at, all.len);
		out_mark(&out);
		put_event(&out, all, at, end);
		if (at % 3 == 0)
			assert_true(out_flush(&out));
		assert_true(out_cut(&out, &error));
		assert_int_equal(out_length(&out), at);
		assert_int_equal(out_checksum(&out), crc64(0, all.data, at));
		put_event(&out, all, at, end);
	}
	assert_true(out_flush(&out));
	close_whole(&out, all);
}

/* The disk fills up again and again, within events and between them; room comes a little at a time. */
static void test_full_disk(void **state)
{
	struct slice all = noise(3 << 20);
	uint64_t limit = 1000, full = 0;
	struct error error;
	struct out out;

	(void)state;
	open_out(&out);
	memory_disk_limit(limit);
	for (size_t at = 0, end; at < all.len; at = end) {
		end = end_of_event(at, all.len);
		for (;;) {
			out_mark(&out);
			put_event(&out, all, at, end);
			if (!out.trouble && (at % 2 == 0 || out_flush(&out)))
				break;
			assert_true(out_is_full(&out));
			out_trouble_error(&out, &error);
			assert_non_null(strstr(error.text, PATH));
			assert_true(out_cut(&out, &error));
			assert_int_equal(out_length(&out), at);
			memory_disk_limit(limit += 777 + full++ * 100);
			if (!out_flush(&out))
				out.trouble = 0; /* still no room for what is whole: nor is there for the event */
		}
	}
	while (!out_flush(&out))
		memory_disk_limit(limit += 100000);
	assert_true(full > 20);
	close_whole(&out, all);
}

static void test_going_on(void **state)
{
	struct slice all = noise(1 << 20);
	struct error error;
	struct out out;
	uint64_t sum;

	(void)state;
	open_out(&out);
	out_put(&out, all.data, all.len / 2);
	assert_true(out_flush(&out));
	sum = out.checksum;
	out_put(&out, "behind", 6);
	assert_true(out_flush(&out));
	assert_true(out_resume(&out, PATH, true, all.len / 2, sum, &error));
	assert_int_equal(memory_disk_file_size(0), all.len / 2);
	out_put(&out, all.data + all.len / 2, all.len / 2);
	assert_true(out_flush(&out));
	assert_int_equal(out.checksum, crc64(0, all.data, all.len));
	assert_content(all);
	assert_false(out_resume(&out, PATH, true, all.len + 1, sum, &error));
	assert_int_equal(error.kind, ERROR_TARGET);
	assert_non_null(strstr(error.text, "1048576 bytes"));
	assert_false(out_resume(&out, "/disk/other", true, 0, 0, &error));
	out_free(&out);
	assert_int_equal(memory_disk_open_files(), 0);
	free((void *)(uintptr_t)all.data);
}

static void test_faults_are_told(void **state)
{
	struct error error;
	struct out out;

	(void)state;
	open_out(&out);
	out_put(&out, "abc", 3);
	memory_disk_fail(1, EIO);
	assert_false(out_flush(&out));
	assert_false(out_is_full(&out));
	out_trouble_error(&out, &error);
	assert_int_equal(error.kind, ERROR_TARGET);
	assert_true(out_flush(&out));
	memory_disk_fail(1, EIO);
	assert_false(out_sync(&out, &error));
	assert_int_equal(error.kind, ERROR_TARGET);
	memory_disk_fail(1, EACCES);
	assert_false(out_create(&out, PATH, false, &error));
	assert_int_equal(out.file, -1);
	out_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_of_all_sizes), cmocka_unit_test(test_cutting_back),
		cmocka_unit_test(test_full_disk),           cmocka_unit_test(test_going_on),
		cmocka_unit_test(test_faults_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
