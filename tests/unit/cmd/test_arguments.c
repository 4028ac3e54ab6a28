#include "cmd/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct argument_row rows[] = {
	{.name = "source", .value = "URL"},
	{.name = "set", .value = "OPTION=VALUE", .repeated = true},
	{.name = "no-progress", .letter = 'n'},
};

/* Words separated by spaces, as after "keyferry sync". */
static bool parse(struct arguments *arguments, struct error *error, const char *line)
{
	static char copy[256], name[] = "sync";
	char *argv[32] = {name};
	int argc = 1;

	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	error_clear(error);
	return arguments_parse(arguments, rows, 3, 1, argc, argv, error);
}

static void options_and_words_are_told_apart(void **state)
{
	struct arguments arguments;
	struct error error;
	size_t cursor = 0;

	(void)state;
	assert_true(parse(&arguments, &error, "--set a=1 task.yaml --source=h:1 --set=b=2 --no-progress"));
	assert_string_equal(arguments_value(&arguments, "source"), "h:1");
	assert_string_equal(arguments_next(&arguments, "set", &cursor), "a=1");
	assert_string_equal(arguments_next(&arguments, "set", &cursor), "b=2");
	assert_null(arguments_next(&arguments, "set", &cursor));
	assert_true(arguments_given(&arguments, "no-progress"));
	assert_string_equal(arguments_word(&arguments, 0), "task.yaml");
	assert_null(arguments_word(&arguments, 1));
	assert_false(arguments.help);

	assert_true(parse(&arguments, &error, "-- --source"));
	assert_string_equal(arguments_word(&arguments, 0), "--source");
	assert_null(arguments_value(&arguments, "source"));

	assert_true(parse(&arguments, &error, "--source --help")); /* a value, whatever it looks like */
	assert_false(arguments.help);
	assert_true(parse(&arguments, &error, "-h --nonsense"));
	assert_true(arguments.help);
	assert_true(parse(&arguments, &error, "-n")); /* a letter is the flag's other name */
	assert_true(arguments_given(&arguments, "no-progress"));
	assert_false(parse(&arguments, &error, "-n --no-progress"));
	assert_false(parse(&arguments, &error, "-nn"));
	assert_true(parse(&arguments, &error, "-")); /* standard input, by custom */
	assert_string_equal(arguments_word(&arguments, 0), "-");
}

static void mistakes_are_explained_without_values(void **state)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{"--sorce=redis://u:s3cret@h", "unknown option --sorce: did you mean '--source'?"},
		{"--frobnicate=s3cret", "unknown option --frobnicate"},
		{"--source", "--source needs a value: --source URL"},
		{"--no-progress=yes", "--no-progress takes no value"},
		{"--source a --source b", "--source is given twice"},
		{"a s3cret", "argument 2 is one too many"},
		{"-x", "unknown option -x: options have long names, but for -h"},
	};
	struct arguments arguments;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(parse(&arguments, &error, wrong[i].line));
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_string_equal(error.text, wrong[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_words_are_told_apart),
		cmocka_unit_test(mistakes_are_explained_without_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
