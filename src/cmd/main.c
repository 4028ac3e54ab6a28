#include "base/log.h"
#include "base/memory.h"
#include "base/open_files.h"
#include "base/suggest.h"
#include "cmd/command.h"
#include "cmd/title.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

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

static char **copy_arguments(int argc, char **argv)
{
	char **copies = memory_alloc_zero((size_t)argc + 1, sizeof(*copies));

	for (int i = 0; i < argc; i++)
		copies[i] = memory_strdup(argv[i]);
	return copies;
}

static void free_arguments(char **copies)
{
	for (size_t i = 0; copies[i]; i++) {
		memory_wipe(copies[i], strlen(copies[i]));
		free(copies[i]);
	}
	free(copies);
}

/* What every program is expected to answer, beside the commands of the same meaning. */
static const char *command_name(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	return strcmp(word, "--version") == 0 ? "version" : word;
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
	int code;

	/* A peer that closes its connection is an error of that write, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	/* The daemon starts workers from /proc/self/exe, and "exe" is what ps and top would call them. */
	prctl(PR_SET_NAME, "keyferry");
	log_look_for_journal();
	open_files_raise();
	if (argc < 2) {
		fprintf(stderr, "keyferry: a command is needed\n  'keyferry help' lists the commands\n");
		return ERROR_USAGE;
	}
	copies = copy_arguments(argc, argv);
	process_title_hide_urls(argc, argv);
	command = command_find(command_name(copies[1]));
	code = command ? close_output(command->run(argc - 1, copies + 1)) : refuse_command(copies[1]);
	free_arguments(copies);
	return code;
}
