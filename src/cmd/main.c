#include "base/memory.h"
#include "base/suggest.h"
#include "cmd/command.h"
#include "cmd/title.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int refuse_command(const char *name)
{
	const char *names[16];
	const char *near;
	char quoted[96];
	size_t count = 0;

	for (size_t i = 0; i < command_count && count < sizeof(names) / sizeof(names[0]); i++)
		names[count++] = commands[i].name;
	near = suggest_nearest(slice_of_string(name), names, count);
	fprintf(stderr, "keyferry: unknown command %s%s%s%s\n  'keyferry help' lists the commands\n",
		slice_quote(slice_of_string(name), quoted, sizeof(quoted)), near ? ": did you mean '" : "", near ? near : "",
		near ? "'?" : "");
	return ERROR_USAGE;
}

/* Copies live until the process ends: commands keep pointers into them. */
static char **copy_arguments(int argc, char **argv)
{
	char **copies = memory_alloc_zero((size_t)argc + 1, sizeof(*copies));

	for (int i = 0; i < argc; i++)
		copies[i] = memory_strdup(argv[i]);
	return copies;
}

/* A full disk or a closed pipe behind standard output must not look like success to a script. */
static int close_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "keyferry: standard output cannot be written\n");
	return code == ERROR_NONE ? ERROR_INTERNAL : code;
}

int main(int argc, char **argv)
{
	const struct command *command;
	char **copies;

	/* A peer that closes its connection is an error of that write, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		fprintf(stderr, "keyferry: a command is needed\n  'keyferry help' lists the commands\n");
		return ERROR_USAGE;
	}
	copies = copy_arguments(argc, argv);
	process_title_hide_urls(argc, argv);
	if (strcmp(copies[1], "--help") == 0 || strcmp(copies[1], "-h") == 0)
		copies[1] = memory_strdup("help");
	else if (strcmp(copies[1], "--version") == 0)
		copies[1] = memory_strdup("version");
	command = command_find(copies[1]);
	if (!command)
		return refuse_command(copies[1]);
	return close_output(command->run(argc - 1, copies + 1));
}
