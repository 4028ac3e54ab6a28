/* The imports of a link: what the stream of Valkey 9.1 tells of slots that come by atomic migration, and what is remembered of it. */
#include "link/imports.h"

#include "decode/stream.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SOURCE "028e877c2e67b91aa27e64821d5e3b700a396357"
#define JOB "c34ca5d4b0f2749b73a1e701b5073a02724c1902"

/* `text`: a command's words. */
static enum import_word read_words(const char *text, struct import *ret)
{
	static struct slice argv[64];
	struct event event = {.kind = EVENT_COMMAND, .start = 100, .end = 200, .db = 3, .argv = argv};

	for (const char *at = text; *at; at += strspn(at, " ")) {
		argv[event.argc++] = slice_make(at, strcspn(at, " "));
		at += strcspn(at, " ");
	}
	return imports_read(&event, ret);
}

static void test_words(void **state)
{
	struct import said;

	(void)state;
	assert_int_equal(read_words("CLUSTER SYNCSLOTS ESTABLISH SOURCE " SOURCE " NAME " JOB
				    " SLOTSRANGE 13907 13907 0 1 16383 16383",
				    &said),
			 IMPORT_ESTABLISH);
	assert_string_equal(said.name, JOB);
	assert_true(said.whole);
	assert_int_equal(said.start, 100);
	assert_int_equal(said.db, 3);
	assert_true(said.finish == IMPORT_OPEN);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		assert_int_equal(imports_slot(said.slots, (uint16_t)slot), slot == 13907 || slot <= 1 || slot == 16383);
	/* In another order, and with a word that does not exist yet. */
	assert_int_equal(read_words("cluster syncslots establish SLOTSRANGE 5 7 LATER x NAME " JOB, &said), IMPORT_ESTABLISH);
	assert_true(imports_slot(said.slots, 6));
	assert_int_equal(read_words("CLUSTER SYNCSLOTS FINISH STATE SUCCESS NAME " JOB " MESSAGE none", &said), IMPORT_SUCCESS);
	assert_string_equal(said.name, JOB);
	assert_int_equal(read_words("CLUSTER SYNCSLOTS FINISH NAME " JOB " STATE failed", &said), IMPORT_FAILED);
	assert_int_equal(read_words("CLUSTER SYNCSLOTS SNAPSHOT-EOF", &said), IMPORT_OTHER);
	assert_int_equal(read_words("CLUSTER SYNCSLOTS PAUSED", &said), IMPORT_OTHER);
	assert_int_equal(read_words("CLUSTER SETSLOT 1 STABLE", &said), IMPORT_NONE);
	assert_int_equal(read_words("SET CLUSTER SYNCSLOTS", &said), IMPORT_NONE);
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"CLUSTER SYNCSLOTS ESTABLISH SOURCE " SOURCE " NAME " JOB,
		"CLUSTER SYNCSLOTS ESTABLISH NAME " JOB " SLOTSRANGE 5",
		"CLUSTER SYNCSLOTS ESTABLISH NAME " JOB " SLOTSRANGE 7 5",
		"CLUSTER SYNCSLOTS ESTABLISH NAME " JOB " SLOTSRANGE 0 16384",
		"CLUSTER SYNCSLOTS ESTABLISH NAME " JOB "00 SLOTSRANGE 0 1",
		"CLUSTER SYNCSLOTS ESTABLISH SLOTSRANGE 0 1",
		"CLUSTER SYNCSLOTS FINISH STATE SUCCESS",
		"CLUSTER SYNCSLOTS FINISH NAME " JOB,
		"CLUSTER SYNCSLOTS FINISH STATE PERHAPS NAME " JOB,
	};
	struct import said;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(read_words(bad[i], &said), IMPORT_BAD);
}

static void test_opcode(void **state)
{
	struct event event = {.kind = EVENT_PROGRESS,
			      .type = RDB_OPCODE_SLOT_IMPORT,
			      .start = 50,
			      .value = SLICE("\x03"
					     "job"
					     "\x02\x00\x05\x41\x00\x41\x01")};
	struct import said;

	(void)state;
	assert_int_equal(imports_read(&event, &said), IMPORT_ESTABLISH);
	assert_string_equal(said.name, "job");
	assert_false(said.whole);
	assert_true(imports_slot(said.slots, 5));
	assert_false(imports_slot(said.slots, 6));
	assert_true(imports_slot(said.slots, 0x100));
	assert_true(imports_slot(said.slots, 0x101));
	event.value.len--;
	assert_int_equal(imports_read(&event, &said), IMPORT_BAD);
	event.value = SLICE("\x03"
			    "job"
			    "\x01\x05\x02");
	assert_int_equal(imports_read(&event, &said), IMPORT_BAD);
}

static struct import import_of(const char *name, uint64_t start, uint16_t slot)
{
	struct import import = {.start = start, .finish = IMPORT_OPEN, .whole = true};

	snprintf(import.name, sizeof(import.name), "%s", name);
	import.slots[slot / 64] |= 1ULL << (slot % 64);
	return import;
}

static void add(struct imports *imports, const char *name, uint64_t start, uint16_t slot)
{
	struct import import = import_of(name, start, slot);

	assert_true(imports_open(imports, &import));
}

static void test_list(void **state)
{
	struct imports imports = {0};

	(void)state;
	assert_false(imports_takes(&imports, 7));
	add(&imports, "a", 100, 7);
	add(&imports, "b", 200, 8);
	assert_true(imports_takes(&imports, 7));
	assert_true(imports_takes(&imports, 8));
	assert_false(imports_takes(&imports, 9));
	assert_int_equal(imports_needed(&imports, 250), 100);
	imports_finish(&imports, imports_find(&imports, "a"), 300);
	assert_null(imports_find(&imports, "a"));
	assert_false(imports_takes(&imports, 7));
	assert_int_equal(imports_needed(&imports, 300), 100); /* the command that ended it is still to come */
	assert_int_equal(imports_needed(&imports, 301), 200);
	imports_forget(&imports, 300);
	assert_int_equal(imports.count, 2);
	imports_rewind(&imports, 250); /* between its beginning and its end */
	assert_true(imports_takes(&imports, 7));
	imports_finish(&imports, imports_find(&imports, "a"), 300);
	imports_forget(&imports, 301);
	assert_int_equal(imports.count, 1);
	assert_int_equal(imports_lose(&imports, 201), 1);
	assert_int_equal(imports_lose(&imports, 201), 0);
	assert_true(imports_needed(&imports, 400) == UINT64_MAX);
	assert_true(imports_takes(&imports, 8));
	imports_rewind(&imports, 200); /* it is met again */
	assert_int_equal(imports.count, 0);
	for (uint32_t i = 0; i < IMPORTS_MAX; i++)
		add(&imports, "many", i, 1);
	struct import more = import_of("more", 9999, 2);
	assert_false(imports_open(&imports, &more));
	imports_free(&imports);
}

static void test_kept(void **state)
{
	struct imports imports = {0}, read = {0};
	json_t *array;

	(void)state;
	add(&imports, "over", 10, 1);
	imports_finish(&imports, imports_find(&imports, "over"), 20);
	add(&imports, "open", 100, 2);
	add(&imports, "ends", 110, 3);
	imports_finish(&imports, imports_find(&imports, "ends"), 500);
	add(&imports, "later", 600, 4);
	array = imports_write(&imports, 500);
	assert_int_equal(json_array_size(array), 2);
	assert_true(imports_take(&read, array));
	assert_int_equal(read.count, 2);
	assert_string_equal(read.list[0]->name, "open");
	assert_true(imports_takes(&read, 2));
	assert_true(imports_takes(&read, 3));
	assert_int_equal(read.list[1]->start, 110);
	assert_true(read.list[1]->whole);
	json_decref(array);
	imports_free(&imports);
	imports_free(&read);
	array = json_pack("[{s:s, s:i, s:i, s:b, s:[i, i]}]", "job", "x", "position", 1, "database", 0, "whole", 1, "slots", 5,
			  16384);
	assert_false(imports_take(&read, array));
	json_decref(array);
	imports_free(&read);
	assert_true(imports_take(&read, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_opcode),
		cmocka_unit_test(test_list),  cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
