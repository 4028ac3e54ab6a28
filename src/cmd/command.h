/* The subcommands, and what they have in common.
 *
 * Each is a row of the table in commands.c and a function cmd_NAME() in a file of its own; help, completion and the reading of
 * its arguments are made of the row. A command returns the exit code, an enum error_kind.
 * `task` has commands of its own (task_commands.c), with both words as their name: "task list".
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_COMMAND_H
#define KEYFERRY_CMD_COMMAND_H

#include "cmd/arguments.h"

struct task_session;

struct command {
	const char *name;
	const char *usage;    /* what follows "keyferry NAME", one form a line */
	const char *summary;  /* a few words, for the list of commands */
	const char *text;     /* what it does, whole sentences, lines of at most 78 columns */
	const char *examples; /* lines, "" for none */
	const struct argument_row *rows;
	size_t row_count;
	size_t max_words;
	const char *words;                 /* what the other words are, as argument_row.choices */
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; NULL: `call` */
	/* Of those that ask a daemon (task_session.h), or may. */
	bool (*call)(struct task_session *session, struct error *error);
	size_t min_words;
	bool hidden;                    /* for scripts of completion; no command for people */
	const struct command *commands; /* its own; NULL: none */
	const size_t *command_count;
};

extern const struct command task_commands[];
extern const size_t task_command_count;

extern const struct command commands[];
extern const size_t command_count;

/* NULL: no such command. */
const struct command *command_find(const char *name);

#define COMMAND_GO_ON (-1)
/* Reads the command line of the named command by its row. COMMAND_GO_ON, or the code to exit with at once: after --help (the help
 * went to standard output) or a mistake (error and usage went to standard error). */
int command_arguments(const char *name, int argc, char **argv, struct arguments *ret) WARN_UNUSED;
/* Prints "keyferry NAME: <text>" and the hint to standard error; returns the exit code that the error stands for. */
int command_fail(const char *name, const struct error *error);

/* The help of a command on standard output; NULL: of the program. */
void help_print(const char *name);

int cmd_sync(int argc, char **argv);
int cmd_precheck(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_cutover(int argc, char **argv);
int cmd_finish(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_task(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_worker(int argc, char **argv);
int cmd_rdb(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_completion(int argc, char **argv);

#endif
