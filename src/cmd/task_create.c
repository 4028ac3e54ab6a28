/* `keyferry task create`: a task of a document, or of both addresses as `keyferry sync` takes them. */
#include "api/yaml_text.h"
#include "base/memory.h"
#include "cmd/secret_input.h"
#include "cmd/task_calls.h"
#include "cmd/task_document.h"
#include "cmd/task_run.h"
#include "task/credentials.h"
#include "task/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- passwords ---- */

/* `side` is "source" or "target". *ret NULL: none is given. */
static bool read_password(const struct task_session *session, const char *side, bool by_url, char **ret, struct error *error)
{
	char *name = memory_printf("%s-password-file", side), *what = memory_printf("Password of the %s", side);
	const char *file = arguments_value(&session->arguments, name),
		   *environment = getenv(side[0] == 's' ? "KEYFERRY_SOURCE_PASSWORD" : "KEYFERRY_TARGET_PASSWORD");
	bool ok = true;

	*ret = NULL;
	if (file && strcmp(file, "-") == 0)
		ok = (*ret = secret_input_read(what, session->stop_fd, error)) != NULL;
	else if (file)
		ok = credentials_read_file(file, "password file", ret, error);
	else if (by_url && environment && environment[0])
		*ret = memory_strdup(environment);
	if (!ok && error->kind != ERROR_NONE)
		error_prefix(error, "--%s", name);
	free(name);
	free(what);
	return ok;
}

/* A password in the document wins over the environment, and is an error beside a file that is named. */
static bool put_password(const struct task_session *session, const char *side, bool by_url, json_t *document, struct error *error)
{
	char path[32], *password;
	json_t *value;
	bool ok = true;

	snprintf(path, sizeof(path), "%s.password", side);
	if (!read_password(session, side, by_url && !stored_get(document, path), &password, error))
		return false;
	if (!password)
		return true;
	value = json_string(password);
	if (stored_get(document, path)) {
		error_set(error, ERROR_USAGE, "the %s has two passwords: by --%s-password-file, and by its URL or document", side,
			  side);
		json_decref(value);
		ok = false;
	} else if (!value) {
		error_set(error, ERROR_USAGE, "the password of the %s is not UTF-8", side);
		ok = false;
	} else {
		stored_set(document, path, value);
	}
	credentials_forget(password);
	return ok;
}

static bool gives_password(const struct task_session *session)
{
	return arguments_given(&session->arguments, "source-password-file") ||
	       arguments_given(&session->arguments, "target-password-file");
}

/* ---- the document ---- */

static bool looks_like_file(const char *word)
{
	static const char *const ends[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(word);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (len > strlen(ends[i]) && strcmp(word + len - strlen(ends[i]), ends[i]) == 0)
			return true;
	return strcmp(word, "-") == 0 || strchr(word, '/');
}

static bool check_words(const struct task_session *session, bool by_url, struct error *error)
{
	const struct arguments *arguments = &session->arguments;
	const char *word = task_word(session, 0);

	if (by_url && (!arguments_given(arguments, "source") || !arguments_given(arguments, "target"))) {
		error_set(error, ERROR_USAGE, "there is no --%s", arguments_given(arguments, "source") ? "target" : "source");
		error_hint(error, "Give both --source URL and --target URL, or a document");
	} else if (by_url && word && looks_like_file(word)) {
		error_set(error, ERROR_USAGE,
			  "%s looks like a document: with --source and --target, the word is the name of the task", word);
		error_hint(error, "Give the document alone, and change it by --set");
	} else if (by_url && word && arguments_given(arguments, "name")) {
		error_set(error, ERROR_USAGE, "the task has two names: %s, and --name", word);
	} else if (!by_url && !word && !task_document_changes(session)) {
		error_set(error, ERROR_USAGE, "there is no document: neither FILE nor --set, nor --source and --target");
		error_hint(error, "for example 'keyferry task create orders.yaml'; 'keyferry help task create' explains it");
	} else if (arguments_given(arguments, "dry-run") && arguments_given(arguments, "start")) {
		error_set(error, ERROR_USAGE, "--dry-run makes no task that could be started");
	} else if (arguments_given(arguments, "wait") && !arguments_given(arguments, "start")) {
		error_set(error, ERROR_USAGE, "--wait is for --start: a task that is only made does nothing");
	} else {
		return true;
	}
	return false;
}

static json_t *document_of_urls(const struct task_session *session, struct error *error)
{
	const char *word = task_word(session, 0);
	json_t *document = json_object(), *name = word ? json_string(word) : NULL;
	bool ok = stored_set_url(document, true, arguments_value(&session->arguments, "source"), error) &&
		  stored_set_url(document, false, arguments_value(&session->arguments, "target"), error) &&
		  task_document_change(session, document, error);

	if (ok && word && !name) {
		error_set(error, ERROR_USAGE, "the name is not UTF-8");
		ok = false;
	}
	if (ok && name)
		json_object_set(document, "name", name);
	json_decref(name);
	if (ok)
		return document;
	json_decref(document);
	return NULL;
}

/* What is to be sent, for task_document_forget(). The text as it was written where nothing is put into it: errors name its lines. */
static char *make_text(const struct task_session *session, bool by_url, struct error *error)
{
	const char *file = by_url ? NULL : task_word(session, 0);
	char *text = by_url ? NULL : task_document_make(session, file, error), *made = NULL;
	json_t *document;

	if (!by_url && (!text || !gives_password(session)))
		return text;
	document =
		by_url ? document_of_urls(session, error) : stored_parse(slice_of_string(text), file ? file : "document", error);
	if (document && put_password(session, "source", by_url, document, error) &&
	    put_password(session, "target", by_url, document, error))
		made = json_dumps(document, JSON_COMPACT);
	task_document_forget(text);
	json_decref(document);
	return made;
}

/* ---- what becomes of it ---- */

/* As the daemon would store it, which masks its secrets. */
static bool show(struct task_session *session, const char *text, struct error *error)
{
	json_t *checked = task_document_send(session, "POST", memory_strdup("/api/v1/documents/check"), text, NULL, error);
	char *yaml = checked && !session->json ? yaml_text(json_object_get(checked, "document")) : NULL;

	if (yaml)
		fputs(yaml, stdout);
	else if (checked)
		task_print_answer(session);
	free(yaml);
	json_decref(checked);
	return checked != NULL;
}

static bool make(struct task_session *session, const char *text, struct error *error)
{
	json_t *task = task_document_send(session, "POST", memory_strdup("/api/v1/tasks"), text, NULL, error);
	bool start = arguments_given(&session->arguments, "start"), ok = task != NULL;
	char id[24];

	/* Of several answers the last one is the whole task. */
	if (task && !(start && session->json))
		task_document_tell(session, task, "created");
	if (task && start) {
		snprintf(id, sizeof(id), "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(task, "id")));
		ok = task_run_start(session, id, error);
		if (!ok && error->kind != ERROR_NONE)
			error_prefix(error, "task %s is created, but", task_text(task, "name"));
	}
	json_decref(task);
	return ok;
}

bool cmd_task_create(struct task_session *session, struct error *error)
{
	bool by_url = arguments_given(&session->arguments, "source") || arguments_given(&session->arguments, "target");
	const char *file = by_url ? NULL : task_word(session, 0);
	bool ok;
	char *text;

	if (!check_words(session, by_url, error))
		return false;
	text = make_text(session, by_url, error);
	/* Interrupted while a password was asked for. */
	if (!text && error->kind == ERROR_NONE)
		session->code = ERROR_INTERNAL;
	ok = text && (arguments_given(&session->arguments, "dry-run") ? show(session, text, error) : make(session, text, error));
	if (text && !ok && file && error->kind != ERROR_NONE)
		error_prefix(error, "%s", file);
	task_document_forget(text);
	return ok;
}
