#include "cmd/command.h"

#include "base/suggest.h"
#include "cmd/reference.h"
#include "task/options_table.h"

#include <stdio.h>
#include <string.h>

/* A contract: scripts rely on it. */
static const struct {
	enum error_kind code;
	const char *meaning;
} exit_codes[] = {
	{ERROR_NONE, "done, or stopped as asked"},
	{ERROR_INTERNAL, "internal error, or the machine fails"},
	{ERROR_USAGE, "command line or task document; the work directory is not writable"},
	{ERROR_PRECHECK, "precheck failed, or a cut-over cannot begin: nothing was written"},
	{ERROR_SOURCE, "the source cannot be reached, refuses, or is damaged"},
	{ERROR_TARGET, "the target cannot be reached or refuses"},
	{ERROR_CONFLICT, "stopped by a data conflict"},
	{ERROR_DIFFERENT, "differences were found (verify, cutover)"},
	{ERROR_BUSY, "another process runs this task"},
};

static void print_program(void)
{
	printf("keyferry keeps one Redis or Valkey deployment in step with another while both are in use.\n\n"
	       "Usage: keyferry COMMAND ...\n\nCommands:\n");
	for (size_t i = 0; i < command_count; i++)
		printf("  %-12s %s\n", commands[i].name, commands[i].summary);
	printf("\nExit codes:\n");
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++)
		printf("  %d  %s\n", exit_codes[i].code, exit_codes[i].meaning);
	printf("\nA first task:\n  keyferry sync --source redis://10.0.0.1:6379 --target redis://10.1.0.1:6379\n"
	       "\n'keyferry help COMMAND' explains a command, 'keyferry help options' the task document.\n");
}

/* Each line of a text behind its own start. */
static void print_lines(const char *start, const char *next, const char *text)
{
	do {
		int len = (int)strcspn(text, "\n");

		printf("%s%s%.*s\n", start, len > 0 && start[strlen(start) - 1] != ' ' ? " " : "", len, text);
		text += len;
		text += *text == '\n';
		start = next;
	} while (*text);
}

static void print_commands(const struct command *command)
{
	printf("\nCommands:\n");
	for (size_t i = 0; i < *command->command_count; i++)
		if (!command->commands[i].hidden)
			printf("  %-12s %s\n", command->commands[i].name + strlen(command->name) + 1,
			       command->commands[i].summary);
}

static void print_command(const struct command *command)
{
	char start[64], next[64];

	snprintf(start, sizeof(start), "Usage: keyferry %s", command->name);
	snprintf(next, sizeof(next), "       keyferry %s", command->name);
	print_lines(start, next, command->usage);
	printf("\n%s", command->text);
	if (command->commands)
		print_commands(command);
	else
		printf("\nOptions:\n");
	for (size_t i = 0; i < command->row_count; i++) {
		const struct argument_row *row = &command->rows[i];
		char name[64], letter[8] = "";

		if (row->letter)
			snprintf(letter, sizeof(letter), ", -%c", row->letter);
		snprintf(name, sizeof(name), "--%s%s%s%s", row->name, letter, row->value ? " " : "",
			 row->value ? row->value : "");
		printf("  %-22s %s\n", name, row->sentence);
	}
	if (!command->commands)
		printf("  %-22s %s\n", "-h, --help", "this text");
	if (command->examples[0]) {
		printf("\nExamples:\n");
		print_lines("  ", "  ", command->examples);
	}
}

void help_print(const char *name)
{
	const struct command *command = name ? command_find(name) : NULL;

	if (command)
		print_command(command);
	else
		print_program();
}

static bool parse_format(const char *name, enum reference_format *ret)
{
	static const char *const names[] = {"text", "markdown", "man"};

	for (unsigned i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	return name == NULL;
}

static int refuse_topic(const char *topic)
{
	const char *names[16] = {"options"};
	char option[OPTION_PATH_MAX], quoted[96];
	struct error error;
	const char *near;
	size_t count = 1;

	for (size_t i = 0; i < command_count && count < sizeof(names) / sizeof(names[0]); i++)
		names[count++] = commands[i].name;
	near = suggest_nearest(slice_of_string(topic), names, count);
	if (!near)
		near = option_nearest(&task_option_table, slice_of_string(topic), option);
	error_set(&error, ERROR_USAGE, "no command or option is called %s%s%s%s",
		  slice_quote(slice_of_string(topic), quoted, sizeof(quoted)), near ? ": did you mean '" : "", near ? near : "",
		  near ? "'?" : "");
	error_hint(&error, "'keyferry help' lists the commands, 'keyferry help options' the options");
	return command_fail("help", &error);
}

int cmd_help(int argc, char **argv)
{
	enum reference_format format = REFERENCE_TEXT;
	enum language language = language_of_environment();
	struct arguments arguments;
	struct error error;
	const char *topic, *lang;
	char both[128];
	int code = command_arguments("help", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	topic = arguments_word(&arguments, 0);
	/* "task start" */
	if (arguments_word(&arguments, 1)) {
		snprintf(both, sizeof(both), "%s %s", topic, arguments_word(&arguments, 1));
		topic = both;
	}
	if (!parse_format(arguments_value(&arguments, "format"), &format)) {
		error_set(&error, ERROR_USAGE, "--format takes text, markdown or man");
		return command_fail("help", &error);
	}
	lang = arguments_value(&arguments, "lang");
	if (lang && !language_parse(lang, &language)) {
		error_set(&error, ERROR_USAGE, "--lang %s: it is en or zh", lang);
		return command_fail("help", &error);
	}
	if (arguments_given(&arguments, "format") && (!topic || strcmp(topic, "options") != 0)) {
		error_set(&error, ERROR_USAGE, "--format goes with 'help options' only");
		return command_fail("help", &error);
	}
	if (topic && strcmp(topic, "options") == 0)
		reference_print(stdout, format, language);
	else if (!topic || command_find(topic))
		help_print(topic);
	else if (!reference_print_topic(stdout, topic, language))
		return refuse_topic(topic);
	return ERROR_NONE;
}
