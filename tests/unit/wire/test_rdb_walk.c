/* Each layout by a value written down by hand; files of real servers are walked by decode/test_snapshot. */
#include "base/memory.h"
#include "wire/rdb.h"
#include "wire/rdb_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID "0123456789abcdef"
#define MS "\x01\x02\x03\x04\x05\x06\x07\x08"

/* Every beginning of the value says MORE with a bound that is beyond it and not beyond the end; a walk continued byte by byte,
 * and one begun with all bytes and some that follow, end where the value ends. */
static void assert_extent(struct rdb_walk begun, struct slice value, uint64_t offset)
{
	uint8_t *data = memory_alloc(offset + value.len + 3);
	struct rdb_walk grown = begun;
	struct parse_fault fault;
	uint64_t need;

	memset(data, 0xff, offset + value.len + 3);
	memcpy(data + offset, value.data, value.len);
	for (uint64_t len = offset; len < offset + value.len; len++) {
		struct rdb_walk fresh = begun;

		assert_int_equal(rdb_walk_run(&grown, slice_make(data, len), &need, &fault), PARSE_MORE);
		assert_true(need > len && need <= offset + value.len);
		assert_int_equal(rdb_walk_run(&fresh, slice_make(data, len), &need, &fault), PARSE_MORE);
		assert_true(need > len && need <= offset + value.len);
	}
	assert_int_equal(rdb_walk_run(&grown, slice_make(data, offset + value.len), &need, &fault), PARSE_OK);
	assert_int_equal(grown.at, offset + value.len);
	assert_int_equal(rdb_walk_run(&begun, slice_make(data, offset + value.len + 3), &need, &fault), PARSE_OK);
	assert_int_equal(begun.at, offset + value.len);
	free(data);
}

static void assert_value(uint8_t type, bool valkey, struct slice value)
{
	struct rdb_walk walk;

	for (uint64_t offset = 0; offset < 12; offset += 5) {
		assert_true(rdb_walk_value(&walk, type, valkey, offset));
		assert_extent(walk, value, offset);
	}
}

static void assert_opcode(uint8_t opcode, bool valkey, struct slice operands)
{
	struct rdb_walk walk;

	assert_true(rdb_walk_opcode(&walk, opcode, valkey, 1));
	assert_extent(walk, operands, 1);
}

static void test_strings(void **state)
{
	static const uint8_t packed[] = {RDB_TYPE_STRING,        RDB_TYPE_HASH_ZIPMAP,   RDB_TYPE_LIST_ZIPLIST,
					 RDB_TYPE_SET_INTSET,    RDB_TYPE_ZSET_ZIPLIST,  RDB_TYPE_HASH_ZIPLIST,
					 RDB_TYPE_HASH_LISTPACK, RDB_TYPE_ZSET_LISTPACK, RDB_TYPE_SET_LISTPACK};

	(void)state;
	for (size_t i = 0; i < sizeof(packed); i++) {
		assert_value(packed[i], false, SLICE("\x00"));
		assert_value(packed[i], true,
			     SLICE("\x04"
				   "data"));
		assert_value(packed[i], false,
			     SLICE("\x80\x00\x00\x00\x04"
				   "data"));
		assert_value(packed[i], false,
			     SLICE("\xc2"
				   "1234"));
		assert_value(packed[i], false,
			     SLICE("\xc3\x04\x40\x40"
				   "1234"));
	}
}

static void test_collections(void **state)
{
	(void)state;
	assert_value(RDB_TYPE_LIST, false, SLICE("\x00"));
	assert_value(RDB_TYPE_LIST, false,
		     SLICE("\x02\x01"
			   "a"
			   "\xc0\x05"));
	assert_value(RDB_TYPE_SET, false,
		     SLICE("\x40\x03\x01"
			   "a"
			   "\x02"
			   "bb"
			   "\x00"));
	assert_value(RDB_TYPE_LIST_QUICKLIST, false,
		     SLICE("\x02\x03"
			   "abc"
			   "\x01"
			   "d"));
	assert_value(RDB_TYPE_LIST_QUICKLIST_2, false,
		     SLICE("\x02\x01\x03"
			   "abc"
			   "\x02\x01"
			   "d"));
	assert_value(RDB_TYPE_HASH, false,
		     SLICE("\x02\x01"
			   "a"
			   "\x00\x01"
			   "b"
			   "\xc1"
			   "xy"));
	assert_value(RDB_TYPE_ZSET, false,
		     SLICE("\x05\x01"
			   "a"
			   "\x03"
			   "1.5"
			   "\x01"
			   "b"
			   "\xff\x01"
			   "c"
			   "\xfe\x01"
			   "d"
			   "\xfd\x00\x00"));
	assert_value(RDB_TYPE_ZSET_2, false,
		     SLICE("\x02\x01"
			   "a" MS "\x00" MS));
	assert_value(RDB_TYPE_HASH_METADATA, false,
		     SLICE(MS "\x02\x00\x01"
			      "a"
			      "\x01"
			      "b"
			      "\x41\x00\x00\x03"
			      "abc"));
	assert_value(RDB_TYPE_HASH_LISTPACK_EX, false,
		     SLICE(MS "\x03"
			      "abc"));
	assert_value(RDB_TYPE_VALKEY_HASH_2, true,
		     SLICE("\x02\x01"
			   "a"
			   "\x00" MS "\x01"
			   "b"
			   "\x02"
			   "cc" MS));
}

static void test_streams(void **state)
{
	(void)state;
	assert_value(RDB_TYPE_STREAM_LISTPACKS, false,
		     SLICE("\x00"
			   "\x00\x00\x00"
			   "\x00"));
	assert_value(RDB_TYPE_STREAM_LISTPACKS, false,
		     SLICE("\x01\x10" ID "\x03"
			   "abc"
			   "\x02\x41\x00\x00" /* nodes; length, last id */
			   "\x02"             /* groups */
			   "\x01"
			   "g"
			   "\x01\x02"
			   "\x02" ID MS "\x01" ID MS "\x40\x40" /* name, id, pending */
			   "\x02"
			   "\x01"
			   "c" MS "\x01" ID "\x01"
			   "d" MS "\x00" /* consumers and their pending */
			   "\x01"
			   "h"
			   "\x00\x00"
			   "\x00"
			   "\x00"));
	assert_value(RDB_TYPE_STREAM_LISTPACKS_2, false,
		     SLICE("\x01\x10" ID "\x03"
			   "abc"
			   "\x02\x41\x00\x00"
			   "\x01\x02\x03\x04\x05"
			   "\x01"
			   "\x01"
			   "g"
			   "\x01\x02\x03"
			   "\x01" ID MS "\x01"
			   "\x01"
			   "\x01"
			   "c" MS "\x01" ID));
	assert_value(RDB_TYPE_STREAM_LISTPACKS_3, true,
		     SLICE("\x00"
			   "\x00\x00\x00"
			   "\x01\x02\x03\x04\x05"
			   "\x02"
			   "\x01"
			   "g"
			   "\x01\x02\x03"
			   "\x01" ID MS "\x01"
			   "\x01"
			   "\x01"
			   "c" MS MS "\x02" ID ID "\x00"
			   "\x01\x02\x03"
			   "\x00"
			   "\x00"));
}

static void test_modules(void **state)
{
	(void)state;
	assert_value(RDB_TYPE_MODULE_2, false, SLICE("\x81" MS "\x00"));
	assert_value(RDB_TYPE_MODULE_2, false,
		     SLICE("\x81" MS "\x01\x05"
			   "\x02\x81" MS "\x03"
			   "flt4"
			   "\x04" MS "\x05\x03"
			   "abc"
			   "\x05\xc0\x01"
			   "\x00"));
}

static void test_opcodes(void **state)
{
	struct rdb_walk walk;

	(void)state;
	assert_opcode(RDB_OPCODE_SELECTDB, false, SLICE("\x41\x00"));
	assert_opcode(RDB_OPCODE_RESIZEDB, false, SLICE("\x41\x00\x05"));
	assert_opcode(RDB_OPCODE_AUX, false,
		      SLICE("\x05"
			    "ctime"
			    "\xc2"
			    "1234"));
	assert_opcode(RDB_OPCODE_FUNCTION2, false,
		      SLICE("\x03"
			    "lua"));
	assert_opcode(RDB_OPCODE_MODULE_AUX, false,
		      SLICE("\x81" MS "\x02\x01"
			    "\x05\x03"
			    "abc"
			    "\x00"));
	assert_opcode(RDB_OPCODE_SLOT_IMPORT, true,
		      SLICE("\x03"
			    "job"
			    "\x02\x00\x05\x41\x00\x41\x01"));
	assert_false(rdb_walk_opcode(&walk, RDB_OPCODE_SLOT_IMPORT, false, 0));
	assert_false(rdb_walk_opcode(&walk, RDB_OPCODE_FUNCTION_PRE_GA, false, 0));
	assert_false(rdb_walk_opcode(&walk, RDB_OPCODE_EOF, false, 0));
}

/* A type has a layout when, and only when, it has a version. */
static void test_known_types(void **state)
{
	struct rdb_walk walk;

	(void)state;
	for (unsigned type = 0; type < 256; type++)
		for (unsigned valkey = 0; valkey < 2; valkey++)
			assert_int_equal(rdb_walk_value(&walk, (uint8_t)type, valkey, 0),
					 rdb_type_version((uint8_t)type, valkey) != 0);
}

static void assert_bad(uint8_t type, struct slice value, uint64_t offset)
{
	struct rdb_walk walk;
	struct parse_fault fault = {0, NULL};
	uint64_t need;

	assert_true(rdb_walk_value(&walk, type, false, 0));
	assert_int_equal(rdb_walk_run(&walk, value, &need, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, offset);
	assert_non_null(fault.what);
}

static void test_damage(void **state)
{
	(void)state;
	assert_bad(RDB_TYPE_LIST, SLICE("\xc0\x01"), 0);
	assert_bad(RDB_TYPE_LIST, SLICE("\x81\xff\xff\xff\xff\xff\xff\xff\xff"), 0);
	assert_bad(RDB_TYPE_LIST, SLICE("\x02\x00\xc4"), 2);
	assert_bad(RDB_TYPE_LIST_QUICKLIST_2, SLICE("\x01\x03\x00"), 1);
	assert_bad(RDB_TYPE_STREAM_LISTPACKS, SLICE("\x01\x0f" ID), 1);
	assert_bad(RDB_TYPE_STREAM_LISTPACKS, SLICE("\x01\xc0\x10" ID), 1);
	assert_bad(RDB_TYPE_MODULE_2, SLICE("\x00\x06"), 1);
	assert_bad(RDB_TYPE_MODULE_2, SLICE("\x00\x01\xc0\x01"), 2);
}

/* A damaged count must neither overflow the bound nor keep the walk busy with bytes that are not there. */
static void test_huge_counts(void **state)
{
	static const char pending[] = "\x00"
				      "\x00\x00\x00"
				      "\x01"
				      "\x01"
				      "g"
				      "\x01\x02"
				      "\x00"
				      "\x01"
				      "\x01"
				      "c" MS "\x81\x00\x00\x01\x00\x00\x00\x00\x00";
	static const char elements[] = "\x81\x00\x00\x01\x00\x00\x00\x00\x00"
				       "\x81\x00\x00\x01\x00\x00\x00\x00\x00";
	struct rdb_walk walk;
	struct parse_fault fault;
	uint64_t need = 0;

	(void)state;
	assert_true(rdb_walk_value(&walk, RDB_TYPE_STREAM_LISTPACKS, false, 0));
	assert_int_equal(rdb_walk_run(&walk, slice_make(pending, sizeof(pending) - 1), &need, &fault), PARSE_MORE);
	assert_true(need >= 16 * RDB_LENGTH_MAX && need < 17 * RDB_LENGTH_MAX);
	assert_true(rdb_walk_value(&walk, RDB_TYPE_LIST, false, 0));
	assert_int_equal(rdb_walk_run(&walk, slice_make(elements, sizeof(elements) - 1), &need, &fault), PARSE_MORE);
	assert_true(need >= 2 * RDB_LENGTH_MAX && need < 3 * RDB_LENGTH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings), cmocka_unit_test(test_collections), cmocka_unit_test(test_streams),
		cmocka_unit_test(test_modules), cmocka_unit_test(test_opcodes),     cmocka_unit_test(test_known_types),
		cmocka_unit_test(test_damage),  cmocka_unit_test(test_huge_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
