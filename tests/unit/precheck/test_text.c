/* The sentences: none is missing in a language, both languages have the same places, and places are filled. */
#include "precheck/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One bit for each place that a sentence has; those by name count for {0} to {5} too, since either may stand in one language only. */
static unsigned places_of(const char *sentence)
{
	unsigned places = 0;

	for (const char *at = sentence; at && (at = strchr(at, '{')); at++)
		if (at[1] >= '0' && at[1] <= '9' && at[2] == '}')
			places |= 1u << (at[1] - '0');
	return places;
}

static bool has_chinese(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0xe3)
			return true;
	return false;
}

static void every_sentence_in_both_languages(void **state)
{
	(void)state;
	for (int i = TEXT_NONE + 1; i < TEXTS; i++) {
		const struct text_row *row = &text_table[i];

		if (!row->cause[LANGUAGE_EN] || !row->cause[LANGUAGE_ZH] || !has_chinese(row->cause[LANGUAGE_ZH]) ||
		    has_chinese(row->cause[LANGUAGE_EN]))
			fail_msg("sentence %d is not there in both languages", i);
		if (!row->remedy[LANGUAGE_EN] != !row->remedy[LANGUAGE_ZH])
			fail_msg("the remedy of sentence %d is there in one language only: %s", i, row->cause[LANGUAGE_EN]);
		/* What an error says is whole in English; in Chinese other words may take the place of its hint. */
		if (strcmp(row->cause[LANGUAGE_EN], "{0}") == 0)
			continue;
		if (places_of(row->cause[LANGUAGE_EN]) != places_of(row->cause[LANGUAGE_ZH]))
			fail_msg("not the same places: %s", row->cause[LANGUAGE_EN]);
		if (places_of(row->remedy[LANGUAGE_EN]) != places_of(row->remedy[LANGUAGE_ZH]))
			fail_msg("not the same places: %s", row->remedy[LANGUAGE_EN]);
	}
}

static void places_are_filled(void **state)
{
	const struct text_places places = {.side = "source", .node = "10.0.0.1:6379", .arguments = {"a {1} b", "c"}};
	static const struct {
		const char *sentence, *filled;
	} rows[] = {
		{"{side} {node}: {0}, {1}{2}.", "source 10.0.0.1:6379: a {1} b, c."},
		{"", ""},
		{"{", "{"},
		{"{side", "{side"},
		{"{\"*\": 0} {shard} {", "{\"*\": 0} {shard} {"},
		{"{9}{}", "{9}{}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = text_fill(rows[i].sentence, &places);

		assert_string_equal(text, rows[i].filled);
		free(text);
	}
}

static void language_is_what_the_environment_says(void **state)
{
	enum language language;

	(void)state;
	unsetenv("LC_ALL");
	unsetenv("LC_MESSAGES");
	unsetenv("LANG");
	assert_int_equal(language_of_environment(), LANGUAGE_EN);
	setenv("LANG", "zh_CN.UTF-8", 1);
	assert_int_equal(language_of_environment(), LANGUAGE_ZH);
	setenv("LC_MESSAGES", "", 1);
	assert_int_equal(language_of_environment(), LANGUAGE_ZH);
	setenv("LC_ALL", "C", 1);
	assert_int_equal(language_of_environment(), LANGUAGE_EN);
	assert_true(language_parse("zh", &language));
	assert_int_equal(language, LANGUAGE_ZH);
	assert_false(language_parse("zh_CN", &language));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sentence_in_both_languages),
		cmocka_unit_test(places_are_filled),
		cmocka_unit_test(language_is_what_the_environment_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
