/* The error value: what happened, where, and what to do.
 *
 * Functions that can fail take a `struct error *` as their last parameter and return false (or NULL, or a
 * negative number) after filling it. `ret_` outputs are untouched on failure. Library code never logs: the
 * error travels up, gaining context by error_prefix(), and the edge of the task logs it once.
 * The kinds are the exit codes of the program, so an error knows how the process ends.
 * Secrets never go into an error. Thread: a value type; each thread has its own. */
#ifndef KEYFERRY_BASE_ERROR_H
#define KEYFERRY_BASE_ERROR_H

#include <stdbool.h>

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum error_kind {
	ERROR_NONE = 0,
	ERROR_INTERNAL = 1,  /* a bug, or the machine: out of memory, a failing disk */
	ERROR_USAGE = 2,     /* command line, task document, work directory not writable */
	ERROR_PRECHECK = 3,  /* refused before anything was written */
	ERROR_SOURCE = 4,    /* the source cannot be reached, refuses, or sends what cannot be read */
	ERROR_TARGET = 5,    /* the target cannot be reached or refuses */
	ERROR_CONFLICT = 6,  /* stopped by data: a command or value that the target cannot take */
	ERROR_DIFFERENT = 7, /* verify found differences */
	ERROR_BUSY = 8,      /* another process runs this task */
};

struct error {
	enum error_kind kind;
	char text[768]; /* what happened and where; one line, no full stop */
	char hint[384]; /* what to do, or empty; one line */
};

/* Fills the error; any earlier content is replaced. */
void error_set(struct error *error, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);

/* As error_set(), with ": <strerror(errnum)>" at the end of the text. */
void error_set_errno(struct error *error, enum error_kind kind, int errnum, const char *format, ...) PRINTF_LIKE(4, 5);

/* Says what to do. */
void error_hint(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts context before the text: "<prefix>: <text>". */
void error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

void error_clear(struct error *error);

/* "conflict", "source", ...: for logs and the status document. Static. */
const char *error_kind_name(enum error_kind kind);

#endif
