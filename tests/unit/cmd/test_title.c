#include "cmd/title.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void passwords_are_overwritten_in_place(void **state)
{
	static const struct {
		const char *word, *shown;
	} words[] = {
		{"redis://user:s3cret@host:6379/0", "redis://***********@host:6379/0"},
		{"rediss://s3cret@host", "rediss://******@host"},
		{"--source=redis://:s3@h", "--source=redis://***@h"},
		{"redis://u:p/a@b@host", "redis://*******@host"}, /* not encoded as it should be: a password all the same */
		{"u:s3cret@host", "********@host"},               /* the scheme forgotten */
		{"source.password=s3cret", "source.password=******"},
		{"--set=target.password=a@b", "--set=*******************"},
		{"source.password_file=/etc/pass", "source.password_file=/etc/pass"},
		{"redis://host:6379/0", "redis://host:6379/0"},
		{"task.yaml", "task.yaml"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char word[64], name[] = "keyferry";
		char *argv[] = {name, word, NULL};

		snprintf(word, sizeof(word), "%s", words[i].word);
		process_title_hide_urls(2, argv);
		assert_string_equal(word, words[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_are_overwritten_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
