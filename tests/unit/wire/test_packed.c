/* Listpack, ziplist, intset and zipmap: every form of an element, made by hand, and damage to each part. */
#include "base/memory.h"
#include "wire/intset.h"
#include "wire/listpack.h"
#include "wire/ziplist.h"
#include "wire/zipmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum form { LISTPACK, ZIPLIST, INTSET, ZIPMAP };

/* Everything that comes out, as "text,text,..." (bytes) and "#number" (integers); damage as "!what". */
static const char *read_all(enum form form, struct slice in)
{
	static char out[4096];
	union {
		struct listpack listpack;
		struct ziplist ziplist;
		struct intset intset;
		struct zipmap zipmap;
	} it;
	/* Memory of just the length: a sanitizer sees a read behind it. */
	uint8_t *copy = memory_alloc(in.len);
	struct packed_element element;
	struct parse_fault fault = {0, NULL};
	enum packed_step step = PACKED_BAD;
	size_t at = 0;
	bool opened = false;

	memcpy(copy, in.data, in.len);
	in.data = copy;
	switch (form) {
	case LISTPACK: opened = listpack_open(&it.listpack, in, &fault); break;
	case ZIPLIST: opened = ziplist_open(&it.ziplist, in, &fault); break;
	case INTSET: opened = intset_open(&it.intset, in, &fault); break;
	case ZIPMAP: opened = zipmap_open(&it.zipmap, in, &fault); break;
	}
	out[0] = '\0';
	while (opened) {
		char room[PACKED_TEXT_MAX];
		struct slice text;

		switch (form) {
		case LISTPACK: step = listpack_next(&it.listpack, &element, &fault); break;
		case ZIPLIST: step = ziplist_next(&it.ziplist, &element, &fault); break;
		case INTSET: step = intset_next(&it.intset, &element, &fault); break;
		case ZIPMAP: step = zipmap_next(&it.zipmap, &element, &fault); break;
		}
		if (step != PACKED_ELEMENT)
			break;
		text = packed_text(element, room);
		if (at + text.len + 8 < sizeof(out))
			at += (size_t)sprintf(out + at, "%s%s%.*s", at > 0 ? "," : "", element.bytes.data ? "" : "#",
					      (int)text.len, (const char *)text.data);
	}
	if (step == PACKED_BAD) {
		assert_non_null(fault.what);
		assert_true(fault.offset <= in.len);
		sprintf(out + at, "!%s", fault.what);
	}
	free(copy);
	return out;
}

#define READS(form, bytes, text) assert_string_equal(read_all(form, SLICE(bytes)), text)

static void assert_damaged(enum form form, struct slice in, const char *what)
{
	const char *got = read_all(form, in);

	if (!strchr(got, '!') || !strstr(strchr(got, '!'), what))
		fail_msg("\"%s\" does not say \"%s\"", got, what);
}

#define DAMAGED(form, bytes, what) assert_damaged(form, SLICE(bytes), what)

/* A frame around the elements. */
static struct slice listpack(const char *elements, size_t len, unsigned count, uint8_t out[8192])
{
	size_t total = 6 + len + 1;

	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(total >> 8 * i);
	out[4] = (uint8_t)count;
	out[5] = (uint8_t)(count >> 8);
	memcpy(out + 6, elements, len);
	out[total - 1] = 0xff;
	return slice_make(out, total);
}

#define LP(elements, count) listpack(elements, sizeof(elements) - 1, count, memory)

static void test_listpack(void **state)
{
	uint8_t memory[8192];
	char large[5000];

	(void)state;
	READS(LISTPACK, "\x07\0\0\0\0\0\xff", "");
	assert_string_equal(read_all(LISTPACK, LP("\x00\x01\x7f\x01\x81"
						  "a\x02\x80\x01",
						  4)),
			    "#0,#127,a,");
	assert_string_equal(read_all(LISTPACK, LP("\xc0\x00\x02\xcf\xff\x02\xd0\x00\x02\xdf\xff\x02", 4)), "#0,#4095,#-4096,#-1");
	assert_string_equal(read_all(LISTPACK, LP("\xf1\xff\x7f\x03\xf1\x00\x80\x03\xf2\xff\xff\x7f\x04\xf2\x00\x00\x80\x04", 4)),
			    "#32767,#-32768,#8388607,#-8388608");
	assert_string_equal(read_all(LISTPACK, LP("\xf3\xff\xff\xff\x7f\x05\xf3\x00\x00\x00\x80\x05", 2)),
			    "#2147483647,#-2147483648");
	assert_string_equal(
		read_all(LISTPACK, LP("\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09", 2)),
		"#9223372036854775807,#-9223372036854775808");
	assert_string_equal(read_all(LISTPACK, LP("\xe0\x03"
						  "abc\x05\xf0\x02\0\0\0xy\x07",
						  2)),
			    "abc,xy");
	/* A length of two bytes behind the element: 130 is 1 and 2, read backwards. */
	memset(large, 'a', sizeof(large));
	memcpy(large, "\xe0\x80", 2);
	memcpy(large + 130, "\x01\x82", 2);
	assert_int_equal(strlen(read_all(LISTPACK, listpack(large, 132, 1, memory))), 128);
	memcpy(large + 130, "\x01\x83", 2);
	assert_damaged(LISTPACK, listpack(large, 132, 1, memory), "written behind it");
	memcpy(large + 130, "\x81\x82", 2);
	assert_damaged(LISTPACK, listpack(large, 132, 1, memory), "written behind it");
	/* The count that means "walk". */
	assert_string_equal(read_all(LISTPACK, LP("\x01\x01\x02\x01", 65535)), "#1,#2");

	DAMAGED(LISTPACK, "\x06\0\0\0\0\0", "shorter than its frame");
	DAMAGED(LISTPACK, "\x08\0\0\0\0\0\xff", "length that it says");
	DAMAGED(LISTPACK, "\x07\0\0\0\0\0\xfe", "no end mark");
	assert_damaged(LISTPACK, LP("\x01\x01", 2), "ends before the count");
	assert_damaged(LISTPACK, LP("\x01\x01\x02\x01", 1), "more elements than it says");
	assert_damaged(LISTPACK, LP("\x01\x02", 1), "written behind it");
	assert_damaged(LISTPACK, LP("\x01", 1), "written behind it");
	assert_damaged(LISTPACK,
		       LP("\x83"
			  "a\x02",
			  1),
		       "runs over its end");
	assert_damaged(LISTPACK, LP("\xbf", 1), "runs over its end");
	assert_damaged(LISTPACK, LP("\xc1", 1), "runs over its end");
	assert_damaged(LISTPACK, LP("\xe1", 1), "runs over its end");
	assert_damaged(LISTPACK, LP("\xf0\xff\xff\xff\xff", 1), "runs over its end");
	assert_damaged(LISTPACK, LP("\xf0\x01", 1), "runs over its end");
	assert_damaged(LISTPACK, LP("\xf4\x01\x02", 1), "runs over its end");
	assert_damaged(LISTPACK, LP("\xf5\x01", 1), "no known form");
	assert_damaged(LISTPACK, LP("\xff\x01", 1), "no known form");
}

static struct slice ziplist(const char *elements, size_t len, unsigned last, unsigned count, uint8_t out[8192])
{
	size_t total = 10 + len + 1;

	for (unsigned i = 0; i < 4; i++) {
		out[i] = (uint8_t)(total >> 8 * i);
		out[4 + i] = (uint8_t)(last >> 8 * i);
	}
	out[8] = (uint8_t)count;
	out[9] = (uint8_t)(count >> 8);
	memcpy(out + 10, elements, len);
	out[total - 1] = 0xff;
	return slice_make(out, total);
}

#define ZL(elements, last, count) ziplist(elements, sizeof(elements) - 1, last, count, memory)

static void test_ziplist(void **state)
{
	uint8_t memory[8192];

	(void)state;
	READS(ZIPLIST, "\x0b\0\0\0\x0a\0\0\0\0\0\xff", "");
	assert_string_equal(read_all(ZIPLIST, ZL("\x00\x01"
						 "a\x03\x00\x02\xf1\x02\xfd",
						 17, 4)),
			    "a,,#0,#12");
	assert_string_equal(read_all(ZIPLIST, ZL("\x00\xfe\x80\x03\xc0\xff\x7f\x04\xf0\x00\x00\x80", 17, 3)),
			    "#-128,#32767,#-8388608");
	assert_string_equal(read_all(ZIPLIST, ZL("\x00\xd0\x00\x00\x00\x80\x06\xe0\xff\xff\xff\xff\xff\xff\xff\x7f", 16, 2)),
			    "#-2147483648,#9223372036854775807");
	assert_string_equal(read_all(ZIPLIST, ZL("\x00\x40\x02"
						 "ab\x05\x80\0\0\0\x01"
						 "c",
						 15, 2)),
			    "ab,c");
	/* The long form of a short length, which servers leave where an element has shrunk. */
	assert_string_equal(read_all(ZIPLIST, ZL("\x00\xf2\xfe\x02\0\0\0\xf3\x06\xf4", 18, 3)), "#1,#2,#3");
	assert_string_equal(read_all(ZIPLIST, ZL("\x00\xf2\x02\xf3", 12, 65535)), "#1,#2");

	DAMAGED(ZIPLIST, "\x0a\0\0\0\x0a\0\0\0\0\0", "shorter than its frame");
	DAMAGED(ZIPLIST, "\x0c\0\0\0\x0a\0\0\0\0\0\xff", "length that it says");
	DAMAGED(ZIPLIST, "\x0b\0\0\0\x0a\0\0\0\0\0\0", "no end mark");
	DAMAGED(ZIPLIST, "\x0b\0\0\0\x0b\0\0\0\0\0\xff", "last element is not where it says");
	assert_damaged(ZIPLIST, ZL("\x00\xf2", 10, 2), "ends before the count");
	assert_damaged(ZIPLIST, ZL("\x00\xf2\x02\xf2", 12, 1), "more elements than it says");
	assert_damaged(ZIPLIST, ZL("\x00\xf2\x02\xf2", 10, 2), "last element is not where it says");
	assert_damaged(ZIPLIST, ZL("\x01\xf2", 10, 1), "length of the one before it");
	assert_damaged(ZIPLIST, ZL("\x00\xf2\x03\xf2", 12, 2), "length of the one before it");
	assert_damaged(ZIPLIST, ZL("\x00", 10, 1), "runs over its end");
	assert_damaged(ZIPLIST, ZL("\xfe\0\0\0\0", 10, 1), "runs over its end");
	assert_damaged(ZIPLIST, ZL("\xff\xf2", 10, 1), "runs over its end");
	assert_damaged(ZIPLIST,
		       ZL("\x00\x02"
			  "a",
			  10, 1),
		       "runs over its end");
	assert_damaged(ZIPLIST, ZL("\x00\x41", 10, 1), "runs over its end");
	assert_damaged(ZIPLIST, ZL("\x00\x80\xff\xff\xff\xff", 10, 1), "runs over its end");
	assert_damaged(ZIPLIST, ZL("\x00\x81\0\0\0\0", 10, 1), "no known form");
	assert_damaged(ZIPLIST, ZL("\x00\xe0\x01", 10, 1), "runs over its end");
	assert_damaged(ZIPLIST, ZL("\x00\xff", 10, 1), "no known form");
	assert_damaged(ZIPLIST, ZL("\x00\xc1\0", 10, 1), "no known form");
}

static void test_intset(void **state)
{
	(void)state;
	READS(INTSET, "\x02\0\0\0\0\0\0\0", "");
	READS(INTSET, "\x02\0\0\0\x03\0\0\0\x00\x80\xff\xff\xff\x7f", "#-32768,#-1,#32767");
	READS(INTSET, "\x04\0\0\0\x02\0\0\0\x00\x00\x00\x80\xff\xff\xff\x7f", "#-2147483648,#2147483647");
	READS(INTSET, "\x08\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\x80\xff\xff\xff\xff\xff\xff\xff\x7f",
	      "#-9223372036854775808,#9223372036854775807");

	DAMAGED(INTSET, "\x02\0\0\0\0\0\0", "shorter than its frame");
	DAMAGED(INTSET, "\x03\0\0\0\0\0\0\0", "impossible width");
	DAMAGED(INTSET, "\x02\0\0\0\x01\0\0\0\x01", "count of numbers asks for");
	DAMAGED(INTSET, "\x02\0\0\0\x01\0\0\0\x01\0\0", "count of numbers asks for");
	DAMAGED(INTSET, "\x08\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0", "count of numbers asks for");
	DAMAGED(INTSET, "\x02\0\0\0\x02\0\0\0\x01\0\x01\0", "do not ascend");
	DAMAGED(INTSET, "\x02\0\0\0\x02\0\0\0\x01\0\xff\xff", "do not ascend");
}

static void test_zipmap(void **state)
{
	(void)state;
	READS(ZIPMAP, "\x00\xff", "");
	READS(ZIPMAP,
	      "\x02\x01"
	      "a\x01\x00"
	      "1\x02"
	      "bc\x01\x02"
	      "2??\xff",
	      "a,1,bc,2");
	READS(ZIPMAP,
	      "\x01\xfe\x01\0\0\0"
	      "a\xfe\x02\0\0\0\x01"
	      "xy?\xff",
	      "a,xy");
	READS(ZIPMAP,
	      "\xfe\x01"
	      "a\x00\x00\xff",
	      "a,");

	DAMAGED(ZIPMAP, "\x00", "shorter than its frame");
	DAMAGED(ZIPMAP, "\x00\x00", "no end mark");
	DAMAGED(ZIPMAP, "\x01\xff", "count of fields");
	DAMAGED(ZIPMAP,
		"\x01\x01"
		"a\xff",
		"field without a value");
	DAMAGED(ZIPMAP,
		"\x01\x02"
		"a\xff",
		"runs over its end");
	DAMAGED(ZIPMAP, "\x01\xfe\xff\xff\xff\xff\xff", "runs over its end");
	DAMAGED(ZIPMAP, "\x01\xfe\xff\xff\xff", "runs over its end");
	DAMAGED(ZIPMAP,
		"\x01\x01"
		"a\x01\xff",
		"runs over its end");
	DAMAGED(ZIPMAP,
		"\x01\x01"
		"a\x01\x02"
		"1?\xff",
		"runs over its end");
	DAMAGED(ZIPMAP,
		"\x01\x01"
		"a\x01\x00"
		"1\xff\x00\xff",
		"runs over its end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listpack),
		cmocka_unit_test(test_ziplist),
		cmocka_unit_test(test_intset),
		cmocka_unit_test(test_zipmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
