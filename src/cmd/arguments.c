#include "cmd/arguments.h"

#include "base/suggest.h"

#include <string.h>

static const struct argument_row *find(const struct argument_row *rows, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_equal(name, slice_of_string(rows[i].name)))
			return &rows[i];
	return NULL;
}

static const struct argument_row *find_letter(const struct argument_row *rows, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].letter && word[1] == rows[i].letter && word[2] == '\0')
			return &rows[i];
	return NULL;
}

/* Only the name is shown: what follows '=' may be a secret. */
static bool refuse_unknown(const struct argument_row *rows, size_t count, struct slice name, struct error *error)
{
	const char *names[ARGUMENTS_MAX];
	const char *near;
	char quoted[80];

	for (size_t i = 0; i < count; i++)
		names[i] = rows[i].name;
	near = suggest_nearest(name, names, count);
	slice_quote(name, quoted, sizeof(quoted));
	if (near)
		error_set(error, ERROR_USAGE, "unknown option --%.*s: did you mean '--%s'?", (int)strlen(quoted) - 2, quoted + 1,
			  near);
	else
		error_set(error, ERROR_USAGE, "unknown option --%.*s", (int)strlen(quoted) - 2, quoted + 1);
	return false;
}

static bool add(struct arguments *arguments, const struct argument_row *row, const char *value, struct error *error)
{
	if (arguments->count == ARGUMENTS_MAX) {
		error_set(error, ERROR_USAGE, "more than %d arguments", ARGUMENTS_MAX);
		return false;
	}
	if (row && !row->repeated && arguments_given(arguments, row->name)) {
		error_set(error, ERROR_USAGE, "--%s is given twice", row->name);
		return false;
	}
	arguments->items[arguments->count++] = (struct argument){row, value};
	arguments->words += row == NULL;
	return true;
}

static bool add_option(struct arguments *arguments, const struct argument_row *rows, size_t count, int argc, char **argv, int *at,
		       struct error *error)
{
	const char *text = argv[*at] + 2;
	const char *equals = strchr(text, '=');
	struct slice name = slice_make(text, equals ? (size_t)(equals - text) : strlen(text));
	const struct argument_row *row = find(rows, count, name);

	if (!row)
		return refuse_unknown(rows, count, name, error);
	if (!row->value && equals) {
		error_set(error, ERROR_USAGE, "--%s takes no value", row->name);
		return false;
	}
	if (!row->value || equals)
		return add(arguments, row, equals ? equals + 1 : NULL, error);
	if (*at + 1 >= argc) {
		error_set(error, ERROR_USAGE, "--%s needs a value: --%s %s", row->name, row->name, row->value);
		return false;
	}
	return add(arguments, row, argv[++*at], error);
}

bool arguments_parse(struct arguments *arguments, const struct argument_row *rows, size_t count, size_t max_words, int argc,
		     char **argv, struct error *error)
{
	bool options_ended = false;

	memset(arguments, 0, sizeof(*arguments));
	for (int i = 1; i < argc; i++) {
		if (!options_ended && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
			arguments->help = true;
			return true;
		}
		if (!options_ended && strcmp(argv[i], "--") == 0) {
			options_ended = true;
		} else if (!options_ended && strncmp(argv[i], "--", 2) == 0) {
			if (!add_option(arguments, rows, count, argc, argv, &i, error))
				return false;
		} else if (!options_ended && argv[i][0] == '-' && find_letter(rows, count, argv[i])) {
			if (!add(arguments, find_letter(rows, count, argv[i]), NULL, error))
				return false;
		} else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0') {
			error_set(error, ERROR_USAGE, "unknown option -%c: options have long names, but for -h", argv[i][1]);
			return false;
		} else if (arguments->words == max_words) {
			/* Not shown: with a forgotten --set or --source before it, it may hold a password. */
			error_set(error, ERROR_USAGE,
				  max_words == 0 ? "argument %d is too many: only options are taken"
						 : "argument %d is one too many",
				  i);
			return false;
		} else if (!add(arguments, NULL, argv[i], error)) {
			return false;
		}
	}
	return true;
}

const char *arguments_next(const struct arguments *arguments, const char *name, size_t *cursor)
{
	while (*cursor < arguments->count) {
		const struct argument *item = &arguments->items[(*cursor)++];

		if (item->row && strcmp(item->row->name, name) == 0)
			return item->value ? item->value : "";
	}
	return NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *name)
{
	size_t cursor = 0;

	return arguments_next(arguments, name, &cursor);
}

bool arguments_given(const struct arguments *arguments, const char *name)
{
	return arguments_value(arguments, name) != NULL;
}

const char *arguments_word(const struct arguments *arguments, size_t index)
{
	for (size_t i = 0; i < arguments->count; i++)
		if (!arguments->items[i].row && index-- == 0)
			return arguments->items[i].value;
	return NULL;
}
