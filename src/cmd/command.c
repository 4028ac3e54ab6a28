#include "cmd/command.h"

#include <stdio.h>
#include <stdlib.h>

int command_fail(const char *name, const struct error *error)
{
	fprintf(stderr, "keyferry %s: %s\n", name, error->text);
	if (error->hint[0])
		fprintf(stderr, "  %s\n", error->hint);
	return error->kind == ERROR_NONE ? ERROR_INTERNAL : error->kind;
}

int command_arguments(const char *name, int argc, char **argv, struct arguments *ret)
{
	const struct command *command = command_find(name);
	struct error error;

	if (!command) {
		fprintf(stderr, "keyferry: command table: no '%s'\n", name);
		abort();
	}
	error_clear(&error);
	if (!arguments_parse(ret, command->rows, command->row_count, command->max_words, argc, argv, &error)) {
		error_hint(&error, "'keyferry help %s' explains the command", name);
		return command_fail(name, &error);
	}
	if (!ret->help)
		return COMMAND_GO_ON;
	help_print(name);
	return ERROR_NONE;
}
