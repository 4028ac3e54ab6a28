/* Bad input for every option there is, made from the table: whatever is refused names the file and line, the option, the value, and shows an example. */
#include "base/memory.h"
#include "task/options.h"
#include "task/options_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT_MAX 1024

/* Begun so that it is not taken for JSON, and with a line of its own for the value. */
static void document_of(const char *path, const struct option_row *list, const char *name, const char *value, char out[TEXT_MAX])
{
	char copy[OPTION_PATH_MAX];
	size_t len = (size_t)snprintf(out, TEXT_MAX, "---\n"), depth = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *part = strtok(copy, "."); part; part = strtok(NULL, "."))
		len += (size_t)snprintf(out + len, TEXT_MAX - len, "%*s%s:%s", (int)(2 * depth++), "", part,
					strchr(path, '.') || list ? "\n" : "");
	if (len > 0 && out[len - 1] == '\n' && !list)
		len--;
	if (list)
		snprintf(out + len, TEXT_MAX - len, "%*s- %s: %s\n", (int)(2 * depth), "", name, value);
	else
		snprintf(out + len, TEXT_MAX - len, " %s\n", value);
}

/* Every refusal, whatever the cause. */
static void check_refusal(const struct error *error, const char *document, const char *option, const char *value)
{
	char place[OPTION_PATH_MAX + 64];

	/* A group that has a short form as well: what is below it is not known. */
	snprintf(place, sizeof(place), "unknown option '%s.", option);
	if (error->kind == ERROR_USAGE && strncmp(error->text, "t.yaml:", 7) == 0 && strstr(error->text, place) &&
	    strstr(error->text, "did you mean"))
		return;
	/* Behind it the quote, or which item of a list it was. */
	snprintf(place, sizeof(place), "option '%s", option);
	if (error->kind != ERROR_USAGE || strncmp(error->text, "t.yaml:", 7) != 0 || !strstr(error->text, place))
		fail_msg("no place in: %s\nof:\n%s", error->text, document);
	if (value && !strstr(error->text, value))
		fail_msg("the value %s is not in: %s\nof:\n%s", value, error->text, document);
	if (!strstr(error->hint, "for example "))
		fail_msg("no example in the hint '%s' of: %s\nof:\n%s", error->hint, error->text, document);
}

/* True: it was accepted. `shown`: what of it has to stand in the error; NULL: it has no short form, or is a secret. */
static bool try_value(const struct option_row *list, const struct option_row *row, const char *value, const char *shown)
{
	char document[TEXT_MAX], option[OPTION_PATH_MAX + 16];
	struct task_options options;
	struct error error;
	bool accepted;

	document_of(list ? list->path : row->path, list, row->path, value, document);
	snprintf(option, sizeof(option), "%s%s%s", list ? list->path : "", list ? "[0]." : "", row->path);
	task_options_init(&options);
	accepted = task_options_parse(&options, slice_of_string(document), "t.yaml", &error);
	/* The whole of a rule may be wrong for another reason than this value. */
	if (!accepted && !(list && !strstr(error.text, option)))
		check_refusal(&error, document, option, row->type == OPTION_SECRET ? NULL : shown);
	else
		accepted = true;
	task_options_free(&options);
	return accepted;
}

static void refused(const struct option_row *list, const struct option_row *row, const char *value, const char *shown)
{
	if (try_value(list, row, value, shown))
		fail_msg("%s%s%s: %s is accepted", list ? list->path : "", list ? "[0]." : "", row->path, value);
}

static bool is_number(const struct option_row *row)
{
	return row->type == OPTION_SIZE || row->type == OPTION_DURATION || row->type == OPTION_COUNT;
}

static void numbers_out_of_bounds(const struct option_row *list, const struct option_row *row)
{
	const char *unit = row->type == OPTION_SIZE ? "B" : row->type == OPTION_DURATION ? "ms" : "";
	char value[40];

	refused(list, row, "many", "many");
	refused(list, row, "-1", "-1");
	refused(list, row, "1.5e99", "1.5e99");
	refused(list, row, "99999999999999999999999", "99999999999999999999999");
	if (row->max > 0 && row->max < UINT64_MAX) {
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)row->max + 1, unit);
		refused(list, row, value, value);
	}
	if (row->max > 0 && row->min > 0) {
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)row->min - 1, unit);
		refused(list, row, value, value);
	}
}

static void one_row(const struct option_row *list, const struct option_row *row)
{
	/* Some of these are good for some options; what is refused is explained. */
	static const char *const odd[] = {
		"no-such-word", "-1",     "99999999999", "5 apples", "true",  "1",      "a:b:c",       "\"\\x01\\xff\"",
		"\"\"",         "[1, x]", "[a, [b]]",    "[]",       "{}",    "{a: b}", "{a: {b: c}}", "{1: 99999}",
		"[{a: b}]",     "[-5]",   "\"[\"",       "\"(\"",    "1e400", "$9"};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		try_value(list, row, odd[i], strpbrk(odd[i], "[]{}\"") ? NULL : odd[i]);
	if (is_number(row))
		numbers_out_of_bounds(list, row);
	if (row->type == OPTION_BOOL || row->type == OPTION_ENUM)
		refused(list, row, "no-such-word", "no-such-word");
	if (row->type != OPTION_OTHER && row->type != OPTION_OBJECTS) {
		refused(list, row, "[a, b]", NULL);
		refused(list, row, "{a: b}", NULL);
	}
	/* What has its own reader: what it takes is told, and the value. */
	if (row->type == OPTION_OTHER && row->values)
		refused(list, row, "no-such-word", "no-such-word");
	refused(list, row, "", NULL); /* no value */
}

static void every_option_explains_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];

		one_row(NULL, row);
		for (size_t j = 0; row->item_table && j < row->item_table->count; j++)
			one_row(row, &row->item_table->rows[j]);
	}
}

/* A letter left out, doubled, or two exchanged: the nearest option is named, which is nearly always the one that was meant. */
static void misspelt_options_are_recognised(void **state)
{
	size_t wrong = 0, right = 0;

	(void)state;
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];
		const char *name = strrchr(row->path, '.') ? strrchr(row->path, '.') + 1 : row->path;
		size_t len = strlen(name), parent = (size_t)(name - row->path);

		for (size_t at = 0; at < len && len > 3; at++) {
			char path[OPTION_PATH_MAX], document[TEXT_MAX], expected[OPTION_PATH_MAX + 32];
			struct task_options options;
			struct error error;

			snprintf(path, sizeof(path), "%.*s%.*s%s", (int)(parent + at), row->path, at % 2 ? 0 : 2,
				 at % 2 ? "" : (char[]){name[at], name[at], 0}, name + at + 1);
			if (option_find(&task_option_table, slice_of_string(path)))
				continue;
			document_of(path, NULL, NULL, "x", document);
			snprintf(expected, sizeof(expected), "did you mean '%s'?", row->path);
			task_options_init(&options);
			if (task_options_parse(&options, slice_of_string(document), "t.yaml", &error))
				fail_msg("accepted:\n%s", document);
			if (!strstr(error.text, "unknown option") || strncmp(error.text, "t.yaml:", 7) != 0 || !error.hint[0])
				fail_msg("%s\n%s", error.text, document);
			right += strstr(error.text, expected) != NULL;
			wrong += strstr(error.text, expected) == NULL;
			task_options_free(&options);
		}
	}
	assert_true(right > 300);
	assert_true(wrong < right / 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_explains_what_is_wrong),
		cmocka_unit_test(misspelt_options_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
