#include "cmd/task_document.h"

#include "base/memory.h"
#include "cmd/task_calls.h"
#include "task/document.h"
#include "task/options_table.h"
#include "task/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- texts ---- */

static bool read_all(int fd, struct buffer *text)
{
	ssize_t got = 1;

	while (got != 0) {
		size_t room;
		uint8_t *to;

		if (!buffer_reserve(text, 4096)) {
			errno = EFBIG;
			return false;
		}
		to = buffer_room(text, &room);
		got = read(fd, to, room);
		if (got < 0 && errno != EINTR)
			return false;
		if (got > 0)
			buffer_produced(text, (size_t)got);
	}
	return true;
}

char *task_document_read(const char *file, struct error *error)
{
	bool is_input = strcmp(file, "-") == 0;
	int fd = is_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	struct buffer text;
	char *copy = NULL;

	/* The daemon says no to what is longer; some more, so that it is its answer. */
	buffer_init(&text, DOCUMENT_BYTES_MAX + 8192);
	if (fd >= 0 && read_all(fd, &text))
		copy = memory_strndup((const char *)buffer_readable(&text).data, buffer_readable(&text).len);
	else
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be read", is_input ? "standard input" : file);
	if (fd >= 0 && !is_input)
		close(fd);
	if (text.data)
		memory_wipe(text.data, text.cap);
	buffer_free(&text);
	return copy;
}

void task_document_forget(char *text)
{
	if (text)
		memory_wipe(text, strlen(text));
	free(text);
}

const char *task_document_type(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '{' ? "application/json" : "application/yaml";
}

/* ---- --set and --unset ---- */

/* "option: value" as a document of its own: so the value may be all that it may be there, [0,3] or {a: b}. Plain text that YAML would read otherwise is put as it is. */
static bool set_value(json_t *document, const char *path, const char *text, struct error *error)
{
	const struct option_row *row = option_find(&task_option_table, slice_of_string(path));
	bool structured = text[0] == '[' || text[0] == '{';
	char *line = structured ? memory_printf("%s: %s\n", path, text) : NULL;
	json_t *one = structured ? stored_parse(slice_of_string(line), "value", error) : NULL;

	free(line);
	if (structured && !one)
		return false;
	if (structured)
		stored_set(document, path, json_incref(stored_get(one, path)));
	else if (row && row->type == OPTION_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		stored_set(document, path, json_boolean(strcmp(text, "true") == 0));
	else
		stored_set(document, path, json_string(text));
	json_decref(one);
	if (stored_get(document, path))
		return true;
	error_set(error, ERROR_USAGE, "the value is not UTF-8");
	return false;
}

static bool is_option(const char *path, struct error *error)
{
	char nearest[OPTION_PATH_MAX];
	bool near;

	if (option_find(&task_option_table, slice_of_string(path)) || option_has_below(&task_option_table, slice_of_string(path)))
		return true;
	near = option_nearest(&task_option_table, slice_of_string(path), nearest) != NULL;
	error_set(error, ERROR_USAGE, "unknown option '%s'%s%s%s", path, near ? ": did you mean '" : "", near ? nearest : "",
		  near ? "'?" : "");
	error_hint(error, "'keyferry help options' lists all options");
	return false;
}

bool task_document_change(const struct task_session *session, json_t *document, struct error *error)
{
	const char *assignment, *name = arguments_value(&session->arguments, "name");
	size_t cursor = 0;

	while ((assignment = arguments_next(&session->arguments, "set", &cursor))) {
		size_t len = strcspn(assignment, "=");
		char path[OPTION_PATH_MAX];

		if (assignment[len] != '=' || len == 0 || len >= sizeof(path)) {
			error_set(error, ERROR_USAGE, "--set: an option is set by name=value");
			error_hint(error, "for example --set limit.spec=medium");
			return false;
		}
		snprintf(path, sizeof(path), "%.*s", (int)len, assignment);
		if (!is_option(path, error) || !set_value(document, path, assignment + len + 1, error)) {
			error_prefix(error, "--set %s", path);
			return false;
		}
	}
	cursor = 0;
	while ((assignment = arguments_next(&session->arguments, "unset", &cursor))) {
		if (!is_option(assignment, error)) {
			error_prefix(error, "--unset");
			return false;
		}
		stored_set(document, assignment, NULL);
	}
	if (name)
		json_object_set_new(document, "name", json_string(name));
	return true;
}

bool task_document_changes(const struct task_session *session)
{
	return arguments_given(&session->arguments, "set") || arguments_given(&session->arguments, "unset") ||
	       arguments_given(&session->arguments, "name");
}

char *task_document_make(const struct task_session *session, const char *file, struct error *error)
{
	char *text = file ? task_document_read(file, error) : memory_strdup(""), *made;
	json_t *document;

	if (!text || (file && !task_document_changes(session)))
		return text;
	document = file ? stored_parse(slice_of_string(text), file, error) : json_object();
	task_document_forget(text);
	made = document && task_document_change(session, document, error) ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	return made;
}

/* ---- check, import, export ---- */

json_t *task_document_send(struct task_session *session, const char *method, char *path, const char *text, const char *if_match,
			   struct error *error)
{
	struct slice body = slice_of_string(text);
	json_t *tree = task_ask(
		session,
		&(struct api_request){
			.method = method, .path = path, .type = task_document_type(text), .body = &body, .if_match = if_match},
		error);

	free(path);
	return tree;
}

void task_document_tell(const struct task_session *session, const json_t *task, const char *what)
{
	char *name = task_clean(task_text(task, "name"));

	if (session->json)
		task_print_answer(session);
	else
		printf("task %s (%lld): %s\n", name, (long long)json_integer_value(json_object_get(task, "id")), what);
	free(name);
}

bool cmd_task_check(struct task_session *session, struct error *error)
{
	const char *file = task_word(session, 0);
	char *text = task_document_make(session, file, error);
	json_t *checked =
		text ? task_document_send(session, "POST", memory_strdup("/api/v1/documents/check"), text, NULL, error) : NULL;

	if (checked && session->json)
		task_print_answer(session);
	else if (checked)
		printf("%s: a valid document of task %s\n", file, task_text(json_object_get(checked, "document"), "name"));
	else if (text && error->kind != ERROR_NONE)
		error_prefix(error, "%s", file);
	task_document_forget(text);
	json_decref(checked);
	return checked != NULL;
}

static char *document_path(const struct task_session *session, const char *task)
{
	return task_path(task, "/document%s",
			 arguments_given(&session->arguments, "accept-changes") ? "?accept_changes=true" : "");
}

/* A task that has this document already is left alone, also where it runs. *ret: it was. */
static bool has_document(struct task_session *session, const char *name, const json_t *document, bool *ret, struct error *error)
{
	char *text = json_dumps(document, JSON_COMPACT), *escaped = task_escape(name);
	json_t *checked = task_document_send(session, "POST", memory_printf("/api/v1/documents/check?secrets_of=%s", escaped),
					     text, NULL, error);
	json_t *there = checked ? task_get(session, task_path(name, "/document"), error) : NULL;
	json_t *secrets = stored_take_secrets((json_t *)document);

	/* Of a password that is given nobody tells whether it is the stored one. */
	*ret = there && json_object_size(secrets) == 0 && json_equal(json_object_get(checked, "document"), there);
	free(escaped);
	task_document_forget(text);
	json_decref(secrets);
	json_decref(checked);
	json_decref(there);
	return there != NULL;
}

/* Of a task that is there; NULL with *ret_there false: it is not. */
static json_t *replace(struct task_session *session, const char *file, const char *text, bool *ret_there, const char **ret_what,
		       struct error *error)
{
	json_t *document = stored_parse(slice_of_string(text), file, error), *task = NULL;
	char *name = document ? memory_strdup(task_text(document, "name")) : NULL;
	bool same = false;

	task = name && name[0] ? task_get(session, task_path(name, NULL), error) : NULL;
	*ret_there = task || !document || strcmp(api_client_refusal(session->client), "task-not-found") != 0;
	if (task && !has_document(session, name, document, &same, error)) {
		json_decref(task);
		task = NULL;
	} else if (task && !same) {
		json_decref(task);
		task = task_document_send(session, "PUT", document_path(session, name), text, "*", error);
	}
	*ret_what = same ? "has this document already" : "document replaced";
	free(name);
	json_decref(document);
	return task;
}

static bool import_one(struct task_session *session, const char *file, struct error *error)
{
	const char *what = "created";
	char *text = task_document_read(file, error);
	bool there = false;
	json_t *task = NULL;

	if (text && arguments_given(&session->arguments, "replace"))
		task = replace(session, file, text, &there, &what, error);
	if (text && !there) {
		what = "created";
		task = task_document_send(session, "POST", memory_strdup("/api/v1/tasks"), text, NULL, error);
	}
	if (task)
		task_document_tell(session, task, what);
	else if (text && error->kind != ERROR_NONE)
		error_prefix(error, "%s", file);
	task_document_forget(text);
	json_decref(task);
	return task != NULL;
}

bool cmd_task_import(struct task_session *session, struct error *error)
{
	for (size_t i = 0; task_word(session, i); i++) {
		if (import_one(session, task_word(session, i), error))
			continue;
		if (error->kind == ERROR_NONE)
			return false;
		task_fail(session, error);
	}
	return true;
}

bool cmd_task_export(struct task_session *session, struct error *error)
{
	char *path = task_path(task_word(session, 0), "/document");
	json_t *tree = task_ask(session, &(struct api_request){.path = path, .accept = session->json ? NULL : "application/yaml"},
				error);

	if (tree)
		task_print_answer(session);
	free(path);
	json_decref(tree);
	return tree != NULL;
}

/* ---- edit ---- */

static const char *editor(void)
{
	const char *visual = getenv("VISUAL"), *plain = getenv("EDITOR");

	return visual && visual[0] ? visual : plain && plain[0] ? plain : "vi";
}

static bool write_file(int fd, struct slice text)
{
	while (text.len > 0) {
		ssize_t put = write(fd, text.data, text.len);

		if (put <= 0)
			return false;
		text = slice_make(text.data + put, text.len - (size_t)put);
	}
	return true;
}

/* The text as a person leaves it; NULL: ERROR_USAGE. */
static char *edit_text(struct slice text, struct error *error)
{
	const char *folder = getenv("TMPDIR");
	char *path = memory_printf("%s/keyferry-task-XXXXXX.yaml", folder && folder[0] ? folder : "/tmp"), *command = NULL,
	     *edited = NULL;
	int fd = mkostemps(path, 5, O_CLOEXEC), status = -1;

	if (fd < 0 || !write_file(fd, text)) {
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be written", path);
	} else {
		/* As a shell reads it: an editor may come with arguments. */
		command = memory_printf("%s '%s'", editor(), path);
		status = system(command);
		if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			error_set(error, ERROR_USAGE, "the editor (%s) has failed: nothing was changed", editor());
		else
			edited = task_document_read(path, error);
	}
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	free(command);
	free(path);
	return edited;
}

/* By a person, or by --set: the document that is there, changed, with its ETag. */
static json_t *edit_there(struct task_session *session, const char *task, struct error *error)
{
	bool by_hand = !task_document_changes(session);
	char *path = task_path(task, "/document"), *text = NULL, etag[sizeof(session->answer.etag)];
	json_t *document = task_ask(session, &(struct api_request){.path = path, .accept = by_hand ? "application/yaml" : NULL},
				    error),
	       *put = NULL;
	struct slice before = buffer_readable(&session->answer.body);

	free(path);
	if (!document)
		return NULL;
	memcpy(etag, session->answer.etag, sizeof(etag));
	if (by_hand)
		text = edit_text(before, error);
	else if (task_document_change(session, document, error))
		text = json_dumps(document, JSON_COMPACT);
	if (text && slice_equal(slice_of_string(text), before))
		error_set(error, ERROR_USAGE, "the document is as it was: nothing is replaced");
	else if (text)
		put = task_document_send(session, "PUT", document_path(session, task), text, etag, error);
	task_document_forget(text);
	json_decref(document);
	return put;
}

bool cmd_task_edit(struct task_session *session, struct error *error)
{
	const char *task = task_word(session, 0), *file = task_word(session, 1);
	char etag[32] = "*", *text = NULL;
	uint64_t revision = 0;
	json_t *put = NULL;

	if (!task_take_number(session, "revision", 1, INT64_MAX, &revision, error))
		return false;
	if (file && task_document_changes(session)) {
		error_set(error, ERROR_USAGE, "FILE is the whole document: --set and --unset change the one that is there");
		return false;
	}
	if (!file && !task_document_changes(session) && !isatty(STDIN_FILENO)) {
		error_set(error, ERROR_USAGE, "nothing says what is to be changed, and there is no terminal for an editor");
		error_hint(error, "Give --set OPTION=VALUE, --unset OPTION, or a file");
		return false;
	}
	if (!file) {
		put = edit_there(session, task, error);
	} else if ((text = task_document_read(file, error))) {
		if (revision)
			snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)revision);
		put = task_document_send(session, "PUT", document_path(session, task), text, etag, error);
		if (!put && error->kind != ERROR_NONE)
			error_prefix(error, "%s", file);
		task_document_forget(text);
	}
	if (put)
		task_document_tell(session, put, "document replaced");
	json_decref(put);
	return put != NULL;
}

/* ---- what the source holds ---- */

static json_t *databases_wish(struct task_session *session, struct error *error)
{
	const char *task = task_word(session, 0), *file = arguments_value(&session->arguments, "document");
	json_t *document, *wish;
	char *text;

	if ((task != NULL) + (file != NULL) + (!task && !file && task_document_changes(session)) != 1) {
		error_set(error, ERROR_USAGE, "name a task, or give --document FILE or --set source.address=ADDRESS");
		return NULL;
	}
	text = task ? NULL : task_document_make(session, file, error);
	document = task   ? task_get(session, task_path(task, "/document"), error)
		   : text ? stored_parse(slice_of_string(text), file ? file : "document", error)
			  : NULL;
	task_document_forget(text);
	if (!document || (task && !task_document_change(session, document, error))) {
		json_decref(document);
		return NULL;
	}
	wish = json_pack("{s:o}", "document", document);
	if (task)
		json_object_set_new(wish, "task", json_string(task));
	return wish;
}

static void print_databases(const struct task_session *session, const json_t *told)
{
	static const char *const database_headings[] = {">DATABASE", ">KEYS", ">WITH EXPIRY", NULL}, *const master_headings[] = {
													     "MASTER", "VERSION",
													     ">KEYS", NULL};
	struct table *databases = table_new(database_headings), *masters = table_new(master_headings);
	const json_t *each;
	size_t i;

	json_array_foreach (json_object_get(told, "databases"), i, each)
		for (size_t column = 0; column < 3; column++)
			table_cell(databases, TABLE_PLAIN, "%lld",
				   (long long)json_integer_value(json_object_get(each, column == 0   ? "database"
										       : column == 1 ? "keys"
												     : "expiring")));
	json_array_foreach (json_object_get(told, "masters"), i, each) {
		table_cell(masters, TABLE_PLAIN, "%s", task_text(each, "address"));
		table_cell(masters, TABLE_PLAIN, "%s", task_text(each, "version"));
		table_cell(masters, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(each, "keys")));
	}
	printf("%s, %lld keys\n\n", task_text(told, "mode"), (long long)json_integer_value(json_object_get(told, "keys")));
	task_print_table(session, databases);
	putchar('\n');
	task_print_table(session, masters);
}

bool cmd_task_databases(struct task_session *session, struct error *error)
{
	json_t *wish = databases_wish(session, error),
	       *told = wish ? task_send(session, "POST", memory_strdup("/api/v1/databases"), wish, error) : NULL;

	if (told && session->json)
		task_print_answer(session);
	else if (told)
		print_databases(session, told);
	json_decref(told);
	return told != NULL;
}
