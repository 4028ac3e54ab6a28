/* Processes that the service starts: workers and jobs, of the same program.
 *
 * A task's document goes by a descriptor (memfd), as /dev/fd/3, never by the command line, the environment or a file; nothing else is handed on. Each has a session of its own, so that
 * a terminal's Ctrl-C is the daemon's alone, and no core files, for its memory holds passwords.
 * Thread: the service's main one (what dies with its parent dies with the thread that has started it). */
#ifndef KEYFERRY_SERVICE_PROCESS_H
#define KEYFERRY_SERVICE_PROCESS_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>
#include <sys/types.h>

#define PROCESS_DOCUMENT "/dev/fd/3"

struct process_options {
	const char *const *argv; /* of keyferry, with its name; NULL-terminated */
	int document;            /* of process_document() */
	const char *log;         /* standard error, appended to; and standard output, where output is -1 */
	bool new_log;            /* emptied before */
	int output;              /* standard output, or -1 */
	bool dies_with_parent;   /* by SIGTERM */
	uint64_t memory;         /* RLIMIT_DATA; 0: as inherited */
	uint32_t open_files;     /* RLIMIT_NOFILE; likewise */
	uint32_t nice;           /* more than the parent's */
};

/* The descriptor of a text that nobody else reads; -1 + ERROR_INTERNAL. */
int process_document(struct slice text, struct error *error) WARN_UNUSED;

/* -1: ERROR_INTERNAL. *ret_pidfd: to wait for its end with a poller. */
pid_t process_start(const struct process_options *options, int *ret_pidfd, struct error *error) WARN_UNUSED;
/* A descriptor of a process that runs already; -1: it does not. */
int process_open(pid_t pid);
/* Of one that has ended, as its pidfd tells. False: how is not known, for it is not the daemon's child. */
bool process_reap(pid_t pid, int *ret_status);
void process_signal(int pidfd, int number);

#endif
