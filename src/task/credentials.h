/* Who logs in to a side's servers, and with what.
 *
 * A password from a file is read again for each new connection: passwords are changed while a task runs, and connections that are there stay logged in.
 * Thread: read-only once the task has started; credentials_password() from any. */
#ifndef KEYFERRY_TASK_CREDENTIALS_H
#define KEYFERRY_TASK_CREDENTIALS_H

#include "base/error.h"

struct credentials {
	char *username;      /* NULL: the default user (AUTH with one argument) */
	char *password;      /* NULL: none; what the task began with; wiped when freed */
	char *password_file; /* where it is from; NULL: not from there */
	char *password_env;
	bool complete; /* by credentials_finish() */
};

/* Reads the password from where it is to come from. `group` is that of the options, for the error (ERROR_USAGE). Again does no harm. */
bool credentials_finish(struct credentials *credentials, const char *group, struct error *error) WARN_UNUSED;

/* The password to log in with now, to be given back to credentials_forget(); NULL: there is none. A file that cannot be read now gives what it gave at the start. */
char *credentials_password(const struct credentials *credentials);
/* Wipes and frees it; NULL is fine. */
void credentials_forget(char *password);

/* The one line that a file of a secret holds, for credentials_forget(); `what` it is, for the error: "password file". ERROR_USAGE. */
bool credentials_read_file(const char *path, const char *what, char **ret, struct error *error) WARN_UNUSED;

#endif
