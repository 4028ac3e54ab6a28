/* The command line of a subcommand: long options, their values, and the rest.
 *
 *     --name VALUE, --name=VALUE, --flag, -h, a letter where a flag has one, and "--" after which nothing is an option
 *
 * Options may stand before and after the other words. One that is not marked `repeated` stands once.
 * Thread: the main one. Values point into argv. */
#ifndef KEYFERRY_CMD_ARGUMENTS_H
#define KEYFERRY_CMD_ARGUMENTS_H

#include "base/error.h"

#include <stddef.h>

struct argument_row {
	const char *name;  /* without its dashes: "source" */
	const char *value; /* what stands for the value in the help text: "URL"; NULL: a flag */
	const char *sentence;
	/* Values for shell completion, separated by spaces: "text json"; or "@file", "@dir", "@option" (of a task), "@topic" (of
	 * help), "@task" (the daemon's), "@file-or-task"; or NULL. */
	const char *choices;
	bool repeated;
	char letter; /* a flag's other name, as the -f of logs; 0: none */
};

#define ARGUMENTS_MAX 256 /* options and other words of one command line */

struct arguments {
	struct argument {
		const struct argument_row *row; /* NULL: a word that is no option */
		const char *value;              /* NULL: of a flag */
	} items[ARGUMENTS_MAX];
	size_t count;
	size_t words; /* how many of them are no options */
	bool help;    /* --help or -h was among them: nothing else counts */
};

/* argv[0] is the command's own name. At most max_words words are taken. Errors (ERROR_USAGE) name the nearest known option. */
bool arguments_parse(struct arguments *arguments, const struct argument_row *rows, size_t count, size_t max_words, int argc,
		     char **argv, struct error *error) WARN_UNUSED;

/* The value of an option, or NULL when it was not given. */
const char *arguments_value(const struct arguments *arguments, const char *name);
/* Was the flag (or option) given? */
bool arguments_given(const struct arguments *arguments, const char *name);
/* Values of a repeated option in their order: start with *cursor 0; NULL after the last. */
const char *arguments_next(const struct arguments *arguments, const char *name, size_t *cursor);
/* The index-th word that is no option; NULL: there are fewer. */
const char *arguments_word(const struct arguments *arguments, size_t index);

#endif
