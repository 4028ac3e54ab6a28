/* What the commands that work on a task have in common: its options from document and command line, the log, signals.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_ARGUMENTS_H
#define KEYFERRY_CMD_TASK_ARGUMENTS_H

#include "cmd/arguments.h"
#include "net/loop.h"
#include "task/options.h"

/* The options of the document, --source, --target, --set, --name, --data, --listen and --stop-when, as far as the command has them. ERROR_USAGE. */
bool task_arguments_read(const struct arguments *arguments, struct task_options *options, struct error *error) WARN_UNUSED;
/* --log-format and --log-level. ERROR_USAGE. */
bool task_arguments_log(const struct arguments *arguments, struct error *error) WARN_UNUSED;

/* SIGINT and SIGTERM wake from now on; the second one of a kind ends the process at once. NULL: nobody is to be woken any more. */
void task_signals_take(struct wake *wake);
bool task_signal_seen(void);

#endif
