#include "cmd/command.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

int command_fail(const char *name, const struct error *error)
{
	/* Whoever asked for JSON reads the last line as JSON, too; and the journal wants to know that it is an error. */
	if (log_is_json() || log_is_journal())
		log_error_value(LOG_ERROR, error);
	else
		fprintf(stderr, "keyferry %s: %s\n%s%s%s", name, error->text, error->hint[0] ? "  " : "", error->hint,
			error->hint[0] ? "\n" : "");
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
