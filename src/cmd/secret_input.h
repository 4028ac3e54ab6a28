/* A secret that somebody gives: at the terminal, where it is not shown, or in a line of standard input.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_SECRET_INPUT_H
#define KEYFERRY_CMD_SECRET_INPUT_H

#include "base/error.h"

#define SECRET_INPUT_MAX 4096

/* Asks for `what` ("Password of the source") where standard input is a terminal, else takes its next line and no byte behind it. For credentials_forget(). NULL: ERROR_USAGE, or kind ERROR_NONE:
 * interrupted, which is when `stop_fd` becomes readable. */
char *secret_input_read(const char *what, int stop_fd, struct error *error);

#endif
