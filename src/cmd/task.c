/* `keyferry task COMMAND`: finds the command. */
#include "base/memory.h"
#include "base/suggest.h"
#include "cmd/command.h"
#include "cmd/task_session.h"

#include <stdlib.h>

#define NAMES_MAX 64

static int refuse(const char *word)
{
	const char *names[NAMES_MAX], *near;
	char quoted[96];
	struct error error;
	size_t count = 0;

	/* Behind "task ". */
	for (size_t i = 0; i < task_command_count && count < NAMES_MAX; i++)
		if (!task_commands[i].hidden)
			names[count++] = task_commands[i].name + 5;
	if (!word) {
		error_set(&error, ERROR_USAGE, "a command is needed: list, create, show, start, watch, ...");
	} else {
		near = suggest_nearest(slice_of_string(word), names, count);
		error_set(&error, ERROR_USAGE, "unknown command %s%s%s%s",
			  slice_quote(slice_of_string(word), quoted, sizeof(quoted)), near ? ": did you mean '" : "",
			  near ? near : "", near ? "'?" : "");
	}
	error_hint(&error, "'keyferry help task' lists the commands");
	return command_fail("task", &error);
}

int cmd_task(int argc, char **argv)
{
	const struct command *command;
	char *name;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
		help_print("task");
		return ERROR_NONE;
	}
	if (argc < 2)
		return refuse(NULL);
	name = memory_printf("task %s", argv[1]);
	command = command_find(name);
	free(name);
	return command ? task_session_run(command, argc - 1, argv + 1) : refuse(argv[1]);
}
