/* What the commands of `keyferry task` have in common: their command line, the daemon that they ask, how they print, signals.
 *
 * A command is a function `bool call(session, error)`, named by its row in task_commands.c. True: it has printed what it has to say, and session->code is the exit code. False: the error is printed and
 * its kind is the exit code; kind ERROR_NONE: interrupted by SIGINT or SIGTERM, session->code is the exit code, which is 0 unless the command has set another.
 * Output goes to standard output; when nobody reads that any more (a closed pipe) the command ends without a word.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_SESSION_H
#define KEYFERRY_CMD_TASK_SESSION_H

#include "base/language.h"
#include "client/api_client.h"
#include "cmd/arguments.h"
#include "cmd/table.h"

#include <jansson.h>

struct command;

struct task_session {
	const struct command *command;
	struct arguments arguments;
	struct api_client *client;
	bool json;   /* --format json: what the API answers, unchanged */
	bool screen; /* standard output is a terminal */
	bool colours;
	enum language language; /* --lang, or LANG */
	int code;
	int stop_fd;              /* readable after SIGINT or SIGTERM */
	struct api_answer answer; /* the last one */
};

/* Runs a command of that row; the exit code. */
int task_session_run(const struct command *command, int argc, char **argv);

/* "/api/v1/tasks/NAME/events?limit=3": the task escaped, and what is behind it (NULL: nothing). free() */
char *task_path(const char *task, const char *behind, ...) PRINTF_LIKE(2, 3);
/* Percent-encoded, for a path or a query; free(). */
char *task_escape(const char *text);

/* Asks; session->answer is what came. The tree is of a JSON answer, or JSON null; NULL: error. */
json_t *task_ask(struct task_session *session, const struct api_request *request, struct error *error) WARN_UNUSED;
/* GET, and a method without a body. Take the path. */
json_t *task_get(struct task_session *session, char *path, struct error *error) WARN_UNUSED;
json_t *task_do(struct task_session *session, const char *method, char *path, struct error *error) WARN_UNUSED;
/* With a JSON body; takes path and body. */
json_t *task_send(struct task_session *session, const char *method, char *path, json_t *body, struct error *error) WARN_UNUSED;

/* The last answer on standard output, as it came. */
void task_print_answer(const struct task_session *session);
/* Has what was printed gone out? False: nobody reads it any more. */
bool task_flush(void);
/* Prints and frees. */
void task_print_table(const struct task_session *session, struct table *table);
/* A member as text, "" where there is none or it is none. Borrowed. */
const char *task_text(const json_t *object, const char *name);
/* Text of a server for the terminal; free(). */
char *task_clean(const char *text);

/* The index-th word, which min_words says is there. */
const char *task_word(const struct task_session *session, size_t index);
/* A number of an option; *ret is untouched where it is not given. ERROR_USAGE. */
bool task_take_number(const struct task_session *session, const char *name, uint64_t least, uint64_t most, uint64_t *ret,
		      struct error *error) WARN_UNUSED;
/* One of the words, which end with NULL; *ret NULL: it is not given. ERROR_USAGE. */
bool task_take_word(const struct task_session *session, const char *name, const char *const *words, const char **ret,
		    struct error *error) WARN_UNUSED;
/* Asks a person at the terminal whether to go on, unless --yes is given; where there is none, it goes on. False: no (ERROR_USAGE). */
bool task_confirm(const struct task_session *session, struct error *error, const char *question, ...) PRINTF_LIKE(3, 4);

/* Prints an error of one of several tasks; the first of them is the exit code. */
void task_fail(struct task_session *session, const struct error *error);
/* Makes an error of a fault as tasks and results have it. `what` stands before its text. */
void task_fault(const json_t *fault, struct error *error, const char *what);

#endif
