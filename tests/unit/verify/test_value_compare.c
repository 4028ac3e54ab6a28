/* Comparing values: equal ones in all the forms that servers have written, and each way in which they can differ. */
#include "verify/value_compare.h"

#include "base/memory.h"
#include "decode/event.h"
#include "decode/snapshot.h"
#include "fixture.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct value_comparer *comparer;
static struct value_comparison how;

static int set_up(void **state)
{
	(void)state;
	comparer = value_comparer_new(1 << 24);
	how = (struct value_comparison){.strict = true, .now_ms = 1};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	value_comparer_free(comparer);
	return 0;
}

/* ---- made by hand: a type, and its parts as length-prefixed strings ---- */

#define PLAIN_LIST 1
#define PLAIN_SET 2
#define PLAIN_HASH 4
#define PLAIN_ZSET 3 /* scores as text */

struct made {
	uint8_t bytes[256];
	struct value_form form;
};

/* "a b c": count, then each word; of hashes and sorted sets two words are one element. */
static const struct value_form *make(struct made *made, uint8_t type, const char *words)
{
	bool pairs = type == PLAIN_HASH || type == PLAIN_ZSET;
	size_t len = 1, count = 0;
	char copy[200], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		count++;
		made->bytes[len++] = (uint8_t)strlen(word);
		memcpy(made->bytes + len, word, strlen(word));
		len += strlen(word);
	}
	made->bytes[0] = (uint8_t)(pairs ? count / 2 : count);
	made->form = (struct value_form){.type = type, .value = slice_make(made->bytes, len)};
	return &made->form;
}

static void check(uint8_t type, const char *source, const char *target, const char *told)
{
	struct made a, b;
	char text[VALUE_DIFFERENCE_MAX];
	enum value_verdict verdict = value_compare(comparer, make(&a, type, source), make(&b, type, target), &how, text);

	if (strcmp(text, told) != 0)
		fail_msg("\"%s\" against \"%s\": \"%s\" in place of \"%s\"", source, target, text, told);
	assert_int_equal(verdict, told[0] ? VALUES_DIFFER : VALUES_EQUAL);
}

static void test_order(void **state)
{
	(void)state;
	check(PLAIN_SET, "a b c", "c a b", "");
	check(PLAIN_HASH, "f 1 g 2", "g 2 f 1", "");
	check(PLAIN_ZSET, "m 1 n 2.5", "n 2.5 m 1.0", "");
	check(PLAIN_ZSET, "m 0", "m -0", "");
	check(PLAIN_LIST, "a b", "a b", "");
	check(PLAIN_LIST, "a b", "b a", "element 0 is \"a\" in the source and \"b\" in the target");
}

static void test_differences(void **state)
{
	(void)state;
	check(PLAIN_LIST, "a b", "a", "the source has element 1, the target has not");
	check(PLAIN_LIST, "a", "a b", "the target has element 1, the source has not");
	check(PLAIN_SET, "a b", "a c", "member \"c\" is in the target alone");
	check(PLAIN_SET, "a b c", "c a", "member \"b\" is in the source alone");
	check(PLAIN_SET, "a", "a b", "member \"b\" is in the target alone");
	check(PLAIN_HASH, "f 1 g 2", "f 1 g 3", "field \"g\" is \"2\" in the source and \"3\" in the target");
	check(PLAIN_HASH, "f 1 g 2", "f 1", "field \"g\" is in the source alone");
	/* content and name exchanged: no sum may be fooled by it */
	check(PLAIN_HASH, "a b", "b a", "field \"b\" is in the target alone");
	check(PLAIN_HASH, "a 1 b 2", "a 2 b 1", "field \"a\" is \"1\" in the source and \"2\" in the target");
	check(PLAIN_ZSET, "m 1 n 2", "m 1 n 2.0000000000000004",
	      "the score of member \"n\" is 2 in the source and 2.0000000000000004 in the target");
	check(PLAIN_ZSET, "m 1 n 2", "m 2 n 1", "the score of member \"m\" is 1 in the source and 2 in the target");
}

static void test_strings(void **state)
{
	struct value_form a = {.value = SLICE("\x05hello")}, b = {.value = SLICE("\x05help!")}, c = {.value = SLICE("\x04hell")};
	struct value_form number = {.value = SLICE("\xc0\x7b")}, digits = {.value = SLICE("\x03"
											  "123")};
	struct made set;
	char text[VALUE_DIFFERENCE_MAX];

	(void)state;
	assert_int_equal(value_compare(comparer, &number, &digits, &how, text), VALUES_EQUAL);
	assert_int_equal(value_compare(comparer, &a, &b, &how, text), VALUES_DIFFER);
	assert_string_equal(text, "from byte 3 on it is \"lo\" in the source (5 bytes in all) and \"p!\" in the target (5)");
	assert_int_equal(value_compare(comparer, &a, &c, &how, text), VALUES_DIFFER);
	assert_string_equal(text, "from byte 4 on it is \"o\" in the source (5 bytes in all) and \"\" in the target (4)");
	assert_int_equal(value_compare(comparer, &a, make(&set, PLAIN_SET, "a"), &how, text), VALUES_DIFFER);
	assert_string_equal(text, "it is a string in the source and a set in the target");
}

static void test_unreadable(void **state)
{
	struct value_form whole = {.value = SLICE("\x05hello")}, cut = {.value = SLICE("\x05hell")},
			  unknown = {.type = 200, .value = SLICE("x")};
	struct made set, damaged;
	char text[VALUE_DIFFERENCE_MAX];

	(void)state;
	assert_int_equal(value_compare(comparer, &whole, &cut, &how, text), VALUES_UNREADABLE);
	assert_non_null(strstr(text, "the value in the target is damaged at byte"));
	assert_int_equal(value_compare(comparer, &unknown, &whole, &how, text), VALUES_UNREADABLE);
	assert_non_null(strstr(text, "the value in the source: "));
	make(&set, PLAIN_SET, "a b");
	make(&damaged, PLAIN_SET, "a b");
	damaged.form.value.len--;
	assert_int_equal(value_compare(comparer, &damaged.form, &set.form, &how, text), VALUES_UNREADABLE);
	assert_non_null(strstr(text, "in the source is damaged"));
}

/* ---- as servers wrote them ---- */

struct recorded {
	char *key;
	uint32_t db;
	struct value_form form;
	const char *server; /* the file's name up to the slash, kept for its length */
	struct recorded *next;
};
#define BUCKETS 4096
#define LARGEST 20000 /* bytes: larger ones would make the pairs take long */
static struct recorded *buckets[BUCKETS];
static unsigned kept;

static struct recorded **bucket_of(const char *key)
{
	unsigned hash = 5381;

	for (const char *p = key; *p; p++)
		hash = hash * 33 + (unsigned char)*p;
	return &buckets[hash % BUCKETS];
}

static void keep_file(const struct fixture *fixture)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct event event = {0};
	struct error error;
	uint64_t need, scanned;

	for (uint64_t at = 0; event.kind != EVENT_SNAPSHOT_END || at == 0; at = event.end) {
		struct recorded *one, **bucket;

		assert_int_equal(snapshot_decode(decoder, slice_make(fixture->data + at, fixture->len - at), at, &event, &need,
						 &scanned, &error),
				 PARSE_OK);
		if (event.kind != EVENT_KEY || event.value.len > LARGEST)
			continue;
		one = memory_alloc_zero(1, sizeof(*one));
		one->key = memory_strndup((const char *)event.key.data, event.key.len);
		one->db = event.db;
		one->form.type = event.type;
		one->form.valkey = snapshot_decoder_place(decoder).valkey;
		one->form.value = slice_make(memory_alloc(event.value.len + 1), event.value.len);
		memcpy((uint8_t *)one->form.value.data, event.value.data, event.value.len);
		one->server = memory_strndup(fixture->name, strcspn(fixture->name, "/"));
		bucket = bucket_of(one->key);
		one->next = *bucket;
		*bucket = one;
		kept++;
	}
	snapshot_decoder_free(decoder);
}

static unsigned equal_pairs, recast_pairs;

/* What is the same is so both ways round, and is found to be the same as itself. */
static void compare_pair(const struct recorded *a, const struct recorded *b)
{
	char text[VALUE_DIFFERENCE_MAX], back[VALUE_DIFFERENCE_MAX];
	enum value_verdict verdict = value_compare(comparer, &a->form, &b->form, &how, text);

	assert_int_not_equal(verdict, VALUES_UNREADABLE);
	assert_int_equal(value_compare(comparer, &b->form, &a->form, &how, back), verdict);
	assert_true((verdict == VALUES_EQUAL) == (text[0] == '\0'));
	if (verdict == VALUES_DIFFER)
		return;
	equal_pairs++;
	recast_pairs += a->form.type != b->form.type;
}

static void free_recorded(void)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct recorded *one = buckets[i], *next; one; one = next) {
			next = one->next;
			free(one->key);
			free((void *)one->form.value.data);
			free((char *)one->server);
			free(one);
		}
		buckets[i] = NULL;
	}
}

static void test_values_of_servers(void **state)
{
	(void)state;
	how.strict = false;
	fixture_each(400000, keep_file);
	assert_true(kept > 1000);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct recorded *a = buckets[i]; a; a = a->next)
			for (struct recorded *b = a->next; b; b = b->next)
				if (a->db == b->db && strcmp(a->key, b->key) == 0 && strcmp(a->server, b->server) != 0)
					compare_pair(a, b);
	/* The recordings hold the same data wherever the version has it. */
	assert_true(equal_pairs > 5000);
	assert_true(recast_pairs > 1000);
	free_recorded();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_differences, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_values_of_servers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
