#include "base/memory.h"
#include "wire/rdb.h"

#include <liblzf/lzf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- types ---- */

static void test_versions_of_types(void **state)
{
	static const uint8_t redis[] = {6, 6, 6, 6, 6, 8, 0, 8, 0, 6, 6, 6, 6, 6, 7, 9, 10, 10, 10, 10, 11, 11, 0, 0, 12, 12};
	static const char *const names[] = {
		"string", "list", "set",    "zset", "hash", "zset", NULL,     "module", NULL,     "hash", "list", "set",  "zset",
		"hash",   "list", "stream", "hash", "zset", "list", "stream", "set",    "stream", NULL,   NULL,   "hash", "hash",
	};

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool known = type < sizeof(redis) && redis[type] != 0;
		const char *name = rdb_type_name((uint8_t)type, false);

		assert_int_equal(rdb_type_version((uint8_t)type, false), known ? redis[type] : 0);
		if (known)
			assert_string_equal(name, names[type]);
		else
			assert_null(name);
		if (type < 22)
			assert_int_equal(rdb_type_version((uint8_t)type, true), rdb_type_version((uint8_t)type, false));
		else
			assert_int_equal(rdb_type_version((uint8_t)type, true), type == RDB_TYPE_VALKEY_HASH_2 ? 80 : 0);
	}
	assert_string_equal(rdb_type_name(RDB_TYPE_VALKEY_HASH_2, true), "hash");
	assert_null(rdb_type_name(RDB_TYPE_HASH_METADATA, true));
}

static void test_refusals(void **state)
{
	(void)state;
	assert_non_null(strstr(rdb_type_refusal(RDB_TYPE_MODULE_PRE_GA, true), "4.0"));
	assert_non_null(strstr(rdb_type_refusal(RDB_TYPE_HASH_METADATA_PRE_GA, false), "7.4"));
	assert_non_null(strstr(rdb_type_refusal(RDB_TYPE_HASH_LISTPACK_EX_PRE_GA, false), "7.4"));
	assert_non_null(strstr(rdb_type_refusal(RDB_OPCODE_FUNCTION_PRE_GA, false), "7.0"));
	assert_non_null(strstr(rdb_type_refusal(RDB_OPCODE_SLOT_IMPORT, false), "8.4"));
	assert_non_null(strstr(rdb_type_refusal(26, false), "newer"));
	assert_non_null(strstr(rdb_type_refusal(23, true), "newer"));
}

static void test_module_name(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char *const names[] = {"vectorset", "hellotype", "AZaz09-_A"};
	char out[RDB_MODULE_NAME_LEN + 1];

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		uint64_t id = 0;

		for (unsigned i = 0; i < RDB_MODULE_NAME_LEN; i++)
			id = id << 6 | (uint64_t)(strchr(letters, names[n][i]) - letters);
		assert_string_equal(rdb_module_name(id << 10 | 1023, out), names[n]);
	}
}

static void test_magic(void **state)
{
	struct parse_fault fault;
	uint32_t version = 0;
	bool valkey = true;

	(void)state;
	assert_int_equal(rdb_magic_read(SLICE("REDIS0012"), &version, &valkey, &fault), PARSE_OK);
	assert_int_equal(version, 12);
	assert_false(valkey);
	assert_int_equal(rdb_magic_read(SLICE("VALKEY080\xfa"), &version, &valkey, &fault), PARSE_OK);
	assert_int_equal(version, 80);
	assert_true(valkey);
	for (size_t len = 1; len < RDB_MAGIC_LEN; len++) {
		assert_int_equal(rdb_magic_read(slice_make("REDIS0012", len), &version, &valkey, &fault), PARSE_MORE);
		assert_int_equal(rdb_magic_read(slice_make("VALKEY080", len), &version, &valkey, &fault), PARSE_MORE);
	}
	assert_int_equal(rdb_magic_read(SLICE("RX"), &version, &valkey, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, 0);
	assert_int_equal(rdb_magic_read(SLICE("REDIS0a"), &version, &valkey, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, 6);
	assert_int_equal(rdb_magic_read(SLICE("REDIS0000"), &version, &valkey, &fault), PARSE_BAD);
	assert_int_equal(rdb_magic_read(SLICE("VALKEY0x0"), &version, &valkey, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, 7);
}

/* ---- lengths and strings ---- */

static void test_lengths(void **state)
{
	static const struct {
		struct slice bytes;
		unsigned size;
		uint64_t length;
	} cases[] = {
		{SLICE("\x00"), 1, 0},
		{SLICE("\x3f"), 1, 63},
		{SLICE("\x40\x40"), 2, 64},
		{SLICE("\x7f\xff"), 2, 16383},
		{SLICE("\x80\x00\x00\x40\x00"), 5, 16384},
		{SLICE("\x80\xff\xff\xff\xff"), 5, 0xffffffff},
		{SLICE("\x81\x00\x00\x00\x01\x00\x00\x00\x02"), 9, 0x100000002},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(rdb_length_size(cases[i].bytes.data[0]), cases[i].size);
		assert_int_equal(cases[i].bytes.len, cases[i].size);
		assert_int_equal(rdb_length_decode(cases[i].bytes.data, cases[i].size), cases[i].length);
	}
	for (unsigned first = 0x82; first < 0x100; first++)
		assert_int_equal(rdb_length_size((uint8_t)first), 0);
}

/* Reads the string from every beginning of it: MORE asks for more than there is and no more than the header takes. */
static struct rdb_string read_whole(struct slice bytes, uint32_t header)
{
	struct rdb_string string;
	struct parse_fault fault;
	uint64_t need;

	for (size_t len = 0; len < header; len++) {
		assert_int_equal(rdb_string_read(slice_make(bytes.data, len), 0, &string, &need, &fault), PARSE_MORE);
		assert_true(need > len && need <= header);
	}
	assert_int_equal(rdb_string_read(bytes, 0, &string, &need, &fault), PARSE_OK);
	assert_int_equal(string.header, header);
	return string;
}

static void assert_plain(struct slice bytes, uint32_t header, enum rdb_string_form form, const char *expected)
{
	struct rdb_string string = read_whole(bytes, header);
	struct buffer memory;
	struct slice plain;

	buffer_init(&memory, 1024);
	assert_int_equal(string.form, form);
	assert_int_equal(header + string.stored, bytes.len);
	assert_null(rdb_string_plain(&string, bytes.data + header, &memory, &plain));
	assert_true(slice_equal(plain, slice_of_string(expected)));
	buffer_free(&memory);
}

static void test_string_forms(void **state)
{
	(void)state;
	assert_plain(SLICE("\x00"), 1, RDB_STRING_RAW, "");
	assert_plain(SLICE("\x03"
			   "abc"),
		     1, RDB_STRING_RAW, "abc");
	assert_plain(SLICE("\x40\x03"
			   "abc"),
		     2, RDB_STRING_RAW, "abc");
	assert_plain(SLICE("\x80\x00\x00\x00\x03"
			   "abc"),
		     5, RDB_STRING_RAW, "abc");
	assert_plain(SLICE("\x81\x00\x00\x00\x00\x00\x00\x00\x03"
			   "abc"),
		     9, RDB_STRING_RAW, "abc");
	assert_plain(SLICE("\xc0\x7f"), 1, RDB_STRING_INTEGER, "127");
	assert_plain(SLICE("\xc0\x80"), 1, RDB_STRING_INTEGER, "-128");
	assert_plain(SLICE("\xc1\x39\x30"), 1, RDB_STRING_INTEGER, "12345");
	assert_plain(SLICE("\xc1\xff\xff"), 1, RDB_STRING_INTEGER, "-1");
	assert_plain(SLICE("\xc2\x00\x00\x00\x80"), 1, RDB_STRING_INTEGER, "-2147483648");
	assert_plain(SLICE("\xc2\xff\xff\xff\x7f"), 1, RDB_STRING_INTEGER, "2147483647");
	/* one literal, and a reference that repeats it 19 times */
	assert_plain(SLICE("\xc3\x05\x14\x00"
			   "a\xe0\x0a\x00"),
		     3, RDB_STRING_LZF, "aaaaaaaaaaaaaaaaaaaa");
}

static void test_lzf(void **state)
{
	char text[3000];
	uint8_t coded[4000];
	unsigned packed;
	struct buffer memory;
	struct slice plain;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 7);
	packed = lzf_compress(text, sizeof(text), coded, sizeof(coded));
	assert_true(packed > 0 && packed < sizeof(text));
	buffer_init(&memory, sizeof(text));
	for (unsigned round = 0; round < 2; round++) {
		struct rdb_string string = {RDB_STRING_LZF, 5, packed, sizeof(text)};

		assert_null(rdb_string_plain(&string, coded, &memory, &plain));
		assert_true(slice_equal(plain, slice_make(text, sizeof(text))));
	}
	/* A wrong length, either way, a cut text, nothing, and more than the memory may hold. */
	assert_non_null(
		rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 5, packed, sizeof(text) - 1}, coded, &memory, &plain));
	buffer_free(&memory);
	buffer_init(&memory, 2 * sizeof(text));
	assert_non_null(
		rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 5, packed, sizeof(text) + 1}, coded, &memory, &plain));
	assert_non_null(
		rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 5, packed - 1, sizeof(text)}, coded, &memory, &plain));
	assert_non_null(rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 3, 0, 0}, coded, &memory, &plain));
	assert_non_null(rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 3, 1, 0}, coded, &memory, &plain));
	assert_non_null(
		rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 5, packed, sizeof(text) * 3}, coded, &memory, &plain));
	assert_non_null(
		rdb_string_plain(&(struct rdb_string){RDB_STRING_LZF, 9, 5ULL << 32, 5ULL << 32}, coded, &memory, &plain));
	buffer_free(&memory);
}

static void assert_bad_string(struct slice bytes, uint64_t offset)
{
	struct rdb_string string;
	struct parse_fault fault;
	uint64_t need;

	assert_int_equal(rdb_string_read(bytes, 0, &string, &need, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, offset);
}

static void test_bad_strings(void **state)
{
	struct rdb_string string;
	struct parse_fault fault;
	uint64_t need;

	(void)state;
	assert_bad_string(SLICE("\xc4"), 0);
	assert_bad_string(SLICE("\xff"), 0);
	assert_bad_string(SLICE("\x82"), 0);
	assert_bad_string(SLICE("\x81\x00\x00\x01\x00\x00\x00\x00\x01"), 0); /* one more than a terabyte */
	assert_bad_string(SLICE("\xc3\xc0"), 1);
	assert_bad_string(SLICE("\xc3\x01\xc1"), 2);
	assert_bad_string(SLICE("\xc3\x01\x40\x59"), 0); /* 89 bytes out of one */
	assert_bad_string(SLICE("\xc3\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0);
	assert_int_equal(rdb_string_read(SLICE("\xc3\x01\x40\x58"), 0, &string, &need, &fault), PARSE_OK);
	assert_int_equal(rdb_string_read(SLICE("\x81\x00\x00\x01\x00\x00\x00\x00\x00"), 0, &string, &need, &fault), PARSE_OK);
	assert_int_equal(string.stored, RDB_LENGTH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_of_types),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_module_name),
		cmocka_unit_test(test_magic),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_string_forms),
		cmocka_unit_test(test_lzf),
		cmocka_unit_test(test_bad_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
