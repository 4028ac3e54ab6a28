/* Task documents on their way to a daemon: files, standard input, --set and --unset.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_DOCUMENT_H
#define KEYFERRY_CMD_TASK_DOCUMENT_H

#include "cmd/task_session.h"

/* The text of a file, "-": of standard input; at most as much as a document may have. Wiped and freed by task_document_forget(). NULL: ERROR_USAGE. */
char *task_document_read(const char *file, struct error *error);
void task_document_forget(char *text);
/* "application/json" or "application/yaml". */
const char *task_document_type(const char *text);
/* Does what --set, --unset and --name say to a document. ERROR_USAGE. */
bool task_document_change(const struct task_session *session, json_t *document, struct error *error) WARN_UNUSED;

#endif
