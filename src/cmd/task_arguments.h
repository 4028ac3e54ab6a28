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

/* SIGINT and SIGTERM wake from now on; the second one of a kind ends the process at once. SIGUSR1 sets the log's level to debug, SIGUSR2 puts it back, both wake.
 * NULL: nobody is to be woken any more. */
void task_signals_take(struct wake *wake);
/* Says in the log what a signal has done to its level, if one has. */
void task_signals_tell(void);
bool task_signal_seen(void);

#endif
