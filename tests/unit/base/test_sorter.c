/* The sorter against qsort() of the same records, with memory for all of them, for some, and for none. */
#include "base/memory.h"
#include "base/sorter.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

struct record {
	char key[32];
	size_t key_len;
	uint32_t payload;
};

static int compare(const void *left, const void *right)
{
	const struct record *a = left;
	const struct record *b = right;
	size_t common = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, common);

	if (order == 0)
		order = a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
	return order ? order : memcmp(&a->payload, &b->payload, sizeof(a->payload));
}

static void add(struct sorter *sorter, const struct record *record)
{
	struct error error;
	uint8_t *at;

	assert_true(sorter_add(sorter, record->key_len, sizeof(record->payload), &at, &error));
	memcpy(at, record->key, record->key_len);
	memcpy(at + record->key_len, &record->payload, sizeof(record->payload));
}

/* Bytes above 127, zero bytes and keys that are the beginning of others are among them. */
static struct record *make_records(size_t count)
{
	struct record *records = memory_alloc_zero(count, sizeof(*records));
	uint32_t random = 12345;

	for (size_t i = 0; i < count; i++) {
		random = random * 1103515245 + 12345;
		records[i].key_len = random >> 16 & 15;
		for (size_t b = 0; b < records[i].key_len; b++) {
			random = random * 1103515245 + 12345;
			records[i].key[b] = (char)(random >> 24 & 0x81);
		}
		records[i].payload = (uint32_t)i;
	}
	return records;
}

static void check(struct sorter *sorter, size_t count)
{
	struct record *records = make_records(count);
	struct slice key, payload;
	struct error error;

	for (size_t i = 0; i < count; i++)
		add(sorter, &records[i]);
	qsort(records, count, sizeof(*records), compare);
	assert_true(sorter_sort(sorter, &error));
	for (size_t i = 0; i < count; i++) {
		assert_true(sorter_next(sorter, &key, &payload));
		assert_true(slice_equal(key, slice_make(records[i].key, records[i].key_len)));
		assert_int_equal(payload.len, sizeof(records[i].payload));
		assert_memory_equal(payload.data, &records[i].payload, payload.len);
	}
	assert_false(sorter_next(sorter, &key, &payload));
	free(records);
}

static void test_order(void **state)
{
	static const size_t memories[] = {0, 1000, 60000, 1 << 20};

	(void)state;
	for (unsigned i = 0; i < sizeof(memories) / sizeof(memories[0]); i++) {
		struct sorter *sorter = sorter_new(memories[i]);

		check(sorter, 0);
		sorter_clear(sorter);
		check(sorter, 1);
		sorter_clear(sorter);
		check(sorter, 3000);
		sorter_clear(sorter);
		check(sorter, 777);
		sorter_free(sorter);
	}
}

/* One record larger than all the memory, between small ones, with bytes up to its end. */
static void test_large_record(void **state)
{
	struct sorter *sorter = sorter_new(4096);
	const size_t large = 5 << 20;
	struct slice key, payload;
	struct error error;
	uint8_t *at;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(sorter_add(sorter, 1, i == 1 ? large : 1, &at, &error));
		at[0] = (uint8_t)('c' - i);
		memset(at + 1, 'x', i == 1 ? large : 1);
	}
	assert_true(sorter_sort(sorter, &error));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(sorter_next(sorter, &key, &payload));
		assert_int_equal(key.data[0], 'a' + i);
		assert_int_equal(payload.len, i == 1 ? large : 1);
		assert_int_equal(payload.data[payload.len - 1], 'x');
	}
	sorter_free(sorter);
}

static void test_no_folder(void **state)
{
	struct sorter *sorter = sorter_new(0);
	const char *before = getenv("TMPDIR");
	char *kept = before ? memory_strdup(before) : NULL;
	struct record record = {.key = "k", .key_len = 1};
	struct error error;
	uint8_t *at;

	(void)state;
	setenv("TMPDIR", "/nowhere", 1);
	add(sorter, &record);
	assert_false(sorter_add(sorter, 1, 0, &at, &error));
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_non_null(strstr(error.text, "/nowhere"));
	assert_non_null(strstr(error.hint, "TMPDIR"));
	sorter_clear(sorter);
	if (kept)
		setenv("TMPDIR", kept, 1);
	else
		unsetenv("TMPDIR");
	free(kept);
	check(sorter, 10);
	sorter_free(sorter);
}

/* A file may not grow over 64 KiB, as on a full disk: the sorter says so, and works again behind a clear. */
static void test_full_disk(void **state)
{
	struct sorter *sorter = sorter_new(1 << 14);
	struct rlimit before, limit;
	struct error error;
	bool failed = false;
	uint8_t *at;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){1 << 16, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < 1000 && !failed; i++) {
		failed = !sorter_add(sorter, 0, 1000, &at, &error);
		if (!failed)
			memset(at, 'x', 1000);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(failed);
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_non_null(strstr(error.text, "written"));
	sorter_clear(sorter);
	check(sorter, 3000);
	sorter_free(sorter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_large_record),
		cmocka_unit_test(test_no_folder),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
