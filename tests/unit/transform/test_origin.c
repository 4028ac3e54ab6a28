/* Whose key of the target is it: names led back, databases, slots, types; what is nobody's and what cannot be told. */
#include "transform/transform.h"

#include "wire/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
	struct task_options options;
	struct transform *transform;
};

static bool owns_lower_half(void *owner, uint16_t slot)
{
	(void)owner;
	return slot < SLOT_COUNT / 2;
}

static void bench_open(struct bench *bench, const char *document, bool shared)
{
	struct transform_target target = {.databases = 16, .shared = shared, .owns = owns_lower_half};
	struct error error;

	task_options_init(&bench->options);
	if (!task_options_parse(&bench->options, slice_of_string(document), "t.yaml", &error) ||
	    !transform_check(&bench->options, &error))
		fail_msg("%s", error.text);
	bench->transform = transform_new(&bench->options, &target);
}

static void bench_close(struct bench *bench)
{
	transform_free(bench->transform);
	task_options_free(&bench->options);
}

#define EVERY UINT32_MAX

static enum brought typed(struct bench *bench, uint32_t scope_db, uint32_t target_db, const char *key, const char *type)
{
	const struct brought_scope scope = {.every_database = scope_db == EVERY, .db = scope_db};

	return transform_brought(bench->transform, &scope, target_db, slice_of_string(key),
				 transform_type_bits(slice_of_string(type)));
}

static enum brought brought(struct bench *bench, uint32_t scope_db, uint32_t target_db, const char *key)
{
	return typed(bench, scope_db, target_db, key, "");
}

static bool comes_to(struct bench *bench, uint32_t scope_db, uint32_t target_db)
{
	const struct brought_scope scope = {.every_database = scope_db == EVERY, .db = scope_db};

	return transform_brings_to(bench->transform, &scope, target_db);
}

static void a_full_copy_owns_all_but_own_keys(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "{}", false);
	assert_int_equal(brought(&bench, EVERY, 3, "k"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 3, 3, "k"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 2, 3, "k"), BROUGHT_NO);
	assert_int_equal(brought(&bench, EVERY, 0, "keyferry:mark:{x}"), BROUGHT_NO);
	assert_true(comes_to(&bench, EVERY, 3));
	assert_false(comes_to(&bench, 2, 3));
	bench_close(&bench);
}

/* slot of "foo" is 12182, of "bar" 5061 */
static void slots_of_other_links_are_theirs(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "{}", true);
	assert_int_equal(brought(&bench, EVERY, 0, "bar"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 0, "foo"), BROUGHT_NO);
	bench_close(&bench);
	/* The slot is that of the name at the source. */
	bench_open(&bench, "rename: [{prefix: \"\", to: \"{foo}\"}]", true);
	assert_int_equal(brought(&bench, EVERY, 0, "{foo}bar"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 0, "{foo}foo"), BROUGHT_NO);
	assert_int_equal(brought(&bench, EVERY, 0, "bar"), BROUGHT_NO);
	bench_close(&bench);
}

static void types_are_asked_for(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "filter: {allow: [{prefix: a, type: [hash, module]}, {prefix: b}]}", false);
	assert_int_equal(brought(&bench, EVERY, 0, "a1"), BROUGHT_BY_TYPE);
	assert_int_equal(typed(&bench, EVERY, 0, "a1", "hash"), BROUGHT_YES);
	assert_int_equal(typed(&bench, EVERY, 0, "a1", "zset"), BROUGHT_NO);
	assert_int_equal(typed(&bench, EVERY, 0, "a1", "ReJSON-RL"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 0, "b1"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 0, "c1"), BROUGHT_NO);
	bench_close(&bench);
}

static void merged_databases_are_told_apart_or_not(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "target: {database_map: {\"*\": 0}}", false);
	assert_int_equal(brought(&bench, 1, 0, "k"), BROUGHT_UNCLEAR);
	assert_int_equal(brought(&bench, EVERY, 0, "k"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 1, "k"), BROUGHT_NO);
	assert_false(comes_to(&bench, EVERY, 1));
	bench_close(&bench);
	bench_open(
		&bench,
		"source: {databases: [1, 2]}\ntarget: {database_map: {1: 5, 2: 5}}\nfilter: {allow: [{database: 1, prefix: a}, {database: 2, prefix: b}]}",
		false);
	assert_int_equal(brought(&bench, 1, 5, "a1"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 1, 5, "b1"), BROUGHT_NO);
	assert_int_equal(brought(&bench, 2, 5, "b1"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 5, "c"), BROUGHT_NO);
	bench_close(&bench);
	bench_open(&bench, "target: {database_map: {\"*\": 0}}\nrename: [{match: \"^\", to: \"db${db}:\"}]", false);
	assert_int_equal(brought(&bench, 1, 0, "db1:k"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 1, 0, "db11:k"), BROUGHT_NO);
	assert_int_equal(brought(&bench, 1, 0, "db01:k"), BROUGHT_NO);
	assert_int_equal(brought(&bench, EVERY, 0, "db4711:k"), BROUGHT_YES);
	assert_int_equal(brought(&bench, EVERY, 0, "k"), BROUGHT_NO);
	bench_close(&bench);
}

static void names_lead_back(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(
		&bench,
		"filter: {allow: [{prefix: \"user:\"}, {key: free}]}\nrename: [{match: \"^user:(?<id>[0-9]+):(.+)$\", to: \"u/$2/${id}\"}, "
		"{database: 1, prefix: \"user:\", to: \"one:\"}]",
		false);
	assert_int_equal(brought(&bench, 0, 0, "u/x/12"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 0, 0, "u/x/1y"), BROUGHT_NO);
	assert_int_equal(brought(&bench, 0, 0, "u/a/b/12"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 0, 0, "user:1:x"), BROUGHT_NO); /* it would have another name */
	assert_int_equal(brought(&bench, 0, 0, "user:x"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 1, 1, "user:x"), BROUGHT_NO);
	assert_int_equal(brought(&bench, 1, 1, "one:x"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 1, 1, "one:1:x"), BROUGHT_NO);
	assert_int_equal(brought(&bench, 0, 0, "free"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 0, 0, ""), BROUGHT_NO);
	bench_close(&bench);
	/* All that was matched is there: whatever the expression. */
	bench_open(&bench, "rename: [{match: \"[a-c]+x?\", to: \"<$0>\"}]", false);
	assert_null(transform_clears_not(bench.transform));
	assert_int_equal(brought(&bench, 0, 0, "k<abx>y"), BROUGHT_YES);
	assert_int_equal(brought(&bench, 0, 0, "k<ab>xy"), BROUGHT_NO); /* the x would have been taken along */
	assert_int_equal(brought(&bench, 0, 0, "ky"), BROUGHT_YES);
	bench_close(&bench);
}

static void one_way_rules_are_known(void **state)
{
	static const struct {
		const char *rule;
		bool one_way;
	} rules[] = {
		{"{prefix: a, to: b}", false},
		{"{match: \"^\", to: \"${db}:\"}", false},
		{"{match: \"^a(.*)b$\", to: \"$1\"}", false},
		{"{match: \"(a(b)c)[.]\", to: \"$1\"}", true},
		{"{match: \"(a(b)c)\\\\.\", to: \"$1\"}", false},
		{"{match: \"(a)?b\", to: \"$1\"}", true},
		{"{match: \"(a)(b)\", to: \"$1\"}", true},
		{"{match: \"a|b\", to: \"c\"}", true},
		{"{match: \"a|b\", to: \"$0\"}", false},
		{"{match: \"(?i)a\", to: \"b\"}", true},
		{"{match: \"ab*\", to: \"b\"}", true},
		{"{match: \"(?=a)(.)\", to: \"$1\"}", true},
		{"{match: \"x\\\\K(y)\", to: \"$1\"}", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char document[256];
		struct bench bench;

		snprintf(document, sizeof(document), "rename: [%s]\n", rules[i].rule);
		bench_open(&bench, document, false);
		if ((transform_clears_not(bench.transform) != NULL) != rules[i].one_way ||
		    (transform_options_clear_not(&bench.options) != NULL) != rules[i].one_way)
			fail_msg("%s", document);
		bench_close(&bench);
		snprintf(document, sizeof(document), "rename: [%s]\nfilter: {block: [{command: \"flush*\"}]}\n", rules[i].rule);
		bench_open(&bench, document, false);
		assert_null(transform_options_clear_not(&bench.options));
		bench_close(&bench);
	}
}

/* A name that could be cut in a great many ways ends in an answer, not in a link that stands still. */
static void too_many_ways_are_unclear(void **state)
{
	char name[4096];
	struct bench bench;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	bench_open(&bench, "rename: [{match: \"(.*)x(.*)y(.*)\", to: \"$3$2$1\"}]", false);
	assert_int_equal(brought(&bench, 0, 0, name), BROUGHT_UNCLEAR);
	name[8] = '\0';
	assert_int_equal(brought(&bench, 0, 0, name), BROUGHT_YES);
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_copy_owns_all_but_own_keys),
		cmocka_unit_test(slots_of_other_links_are_theirs),
		cmocka_unit_test(types_are_asked_for),
		cmocka_unit_test(merged_databases_are_told_apart_or_not),
		cmocka_unit_test(names_lead_back),
		cmocka_unit_test(one_way_rules_are_known),
		cmocka_unit_test(too_many_ways_are_unclear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
