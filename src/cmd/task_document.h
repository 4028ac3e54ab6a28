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
/* Is any of them given? */
bool task_document_changes(const struct task_session *session);
/* The document of a file ("-"; NULL: none) with what they say over it, as what is to be sent: as it was written where they say nothing, so that an error's line is that of the file. For
 * task_document_forget(). NULL: ERROR_USAGE. */
char *task_document_make(const struct task_session *session, const char *file, struct error *error);
/* Sends it; `if_match` NULL: none. Takes the path. The answer's tree; NULL: error. */
json_t *task_document_send(struct task_session *session, const char *method, char *path, const char *text, const char *if_match,
			   struct error *error) WARN_UNUSED;
/* What became of a task: "task orders (7): created", or the answer where that is asked for. */
void task_document_tell(const struct task_session *session, const json_t *task, const char *what);

#endif
