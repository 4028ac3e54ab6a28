#include "cmd/task_session.h"

#include "base/columns.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/daemon_choice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- signals ---- */

/* Signal handlers have no argument. */
static int stop_ends[2] = {-1, -1};

static void on_signal(int number)
{
	int before = errno;
	char byte = (char)number;

	if (write(stop_ends[1], &byte, 1) < 0)
		errno = before; /* it is full of signals */
	errno = before;
}

/* The second one of a kind ends the process at once. */
static void take_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	if (pipe2(stop_ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- asking ---- */

char *task_escape(const char *text)
{
	char *out = memory_alloc(strlen(text) * 3 + 1), *at = out;

	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		    strchr("-._~", byte))
			*at++ = (char)byte;
		else
			at += sprintf(at, "%%%02X", byte);
	}
	*at = '\0';
	return out;
}

char *task_path(const char *task, const char *behind, ...)
{
	char *name = task_escape(task), *rest = NULL, *path;
	va_list arguments;

	va_start(arguments, behind);
	if (!behind || vasprintf(&rest, behind, arguments) < 0)
		rest = memory_strdup("");
	va_end(arguments);
	path = memory_printf("/api/v1/tasks/%s%s", name, rest);
	free(name);
	free(rest);
	return path;
}

json_t *task_ask(struct task_session *session, const struct api_request *request, struct error *error)
{
	struct slice body;
	json_t *tree;

	api_answer_free(&session->answer);
	if (!api_client_call(session->client, request, &session->answer, error))
		return NULL;
	body = buffer_readable(&session->answer.body);
	if (body.len == 0 || strcmp(session->answer.type, "application/json") != 0)
		return json_null();
	tree = json_loadb((const char *)body.data, body.len, JSON_DECODE_ANY, NULL);
	if (!tree)
		error_set(error, ERROR_INTERNAL, "%s answers %s with what is no JSON", api_client_name(session->client),
			  request->path);
	return tree;
}

json_t *task_do(struct task_session *session, const char *method, char *path, struct error *error)
{
	json_t *tree = task_ask(session, &(struct api_request){.method = method, .path = path}, error);

	free(path);
	return tree;
}

json_t *task_get(struct task_session *session, char *path, struct error *error)
{
	return task_do(session, NULL, path, error);
}

json_t *task_send(struct task_session *session, const char *method, char *path, json_t *body, struct error *error)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct slice bytes = slice_of_string(text);
	const struct api_request request = {
		.method = method, .path = path, .body = &bytes, .language = session->language == LANGUAGE_ZH ? "zh" : "en"};
	json_t *tree = task_ask(session, &request, error);

	/* A document may hold passwords. */
	memory_wipe(text, strlen(text));
	free(text);
	free(path);
	json_decref(body);
	return tree;
}

/* ---- printing ---- */

void task_print_answer(const struct task_session *session)
{
	struct slice body = buffer_readable(&session->answer.body);

	fwrite(body.data, 1, body.len, stdout);
	if (body.len > 0 && body.data[body.len - 1] != '\n')
		putchar('\n');
}

bool task_flush(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};
	bool closed = poll(&output, 1, 0) > 0 && (output.revents & POLLERR);

	/* Of a pipe that nobody reads, nothing is to be said; also where nothing is to be written, so that who watches does not go on for ever. A full disk is told at the end. */
	if (closed && freopen("/dev/null", "w", stdout))
		clearerr(stdout);
	return !closed && fflush(stdout) == 0 && !ferror(stdout);
}

void task_print_table(const struct task_session *session, struct table *table)
{
	table_print(table, stdout, session->colours, 0);
	table_free(table);
}

const char *task_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

char *task_clean(const char *text)
{
	char *clean = memory_strdup(text);

	columns_clean(clean);
	return clean;
}

/* ---- the command line ---- */

const char *task_word(const struct task_session *session, size_t index)
{
	return arguments_word(&session->arguments, index);
}

bool task_take_number(const struct task_session *session, const char *name, uint64_t least, uint64_t most, uint64_t *ret,
		      struct error *error)
{
	const char *value = arguments_value(&session->arguments, name);
	uint64_t number;

	if (!value)
		return true;
	if (slice_to_uint64(slice_of_string(value), &number) && number >= least && number <= most) {
		*ret = number;
		return true;
	}
	error_set(error, ERROR_USAGE, "--%s %s: it is a number from %llu to %llu", name, value, (unsigned long long)least,
		  (unsigned long long)most);
	return false;
}

bool task_take_word(const struct task_session *session, const char *name, const char *const *words, const char **ret,
		    struct error *error)
{
	const char *value = arguments_value(&session->arguments, name);
	char listed[256] = "";
	size_t used = 0;

	*ret = value;
	for (size_t i = 0; value && words[i]; i++) {
		if (strcmp(value, words[i]) == 0)
			return true;
		used += (size_t)snprintf(listed + used, sizeof(listed) - used, "%s%s", i ? ", " : "", words[i]);
	}
	if (value)
		error_set(error, ERROR_USAGE, "--%s %s: it is one of %s", name, value, listed);
	return value == NULL;
}

bool task_confirm(const struct task_session *session, struct error *error, const char *question, ...)
{
	va_list arguments;
	char answer[16] = "";

	if (arguments_given(&session->arguments, "yes") || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	va_start(arguments, question);
	vfprintf(stderr, question, arguments);
	va_end(arguments);
	fputs(" [y/N] ", stderr);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	error_set(error, ERROR_USAGE, "nothing was done");
	error_hint(error, "--yes does not ask");
	return false;
}

void task_fault(const json_t *fault, struct error *error, const char *what)
{
	json_int_t code = json_integer_value(json_object_get(fault, "exit_code"));
	const char *text = task_text(fault, "text"), *hint = task_text(fault, "hint");

	error_set(error, code > ERROR_NONE && code <= ERROR_BUSY ? (enum error_kind)code : ERROR_INTERNAL, "%s: %s", what,
		  text[0] ? text : "it told no cause");
	if (hint[0])
		error_hint(error, "%s", hint);
	columns_clean(error->text);
	columns_clean(error->hint);
}

void task_fail(struct task_session *session, const struct error *error)
{
	int code;

	fflush(stdout);
	code = command_fail(session->command->name, error);
	session->code = session->code ? session->code : code;
}

/* ---- one run ---- */

static bool read_format(struct task_session *session, struct error *error)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *format, *language = arguments_value(&session->arguments, "lang"), *terminal = getenv("TERM");

	session->language = language_of_environment();
	session->screen = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
	session->colours = session->screen && !getenv("NO_COLOR");
	if (!task_take_word(session, "format", formats, &format, error))
		return false;
	session->json = format && strcmp(format, "json") == 0;
	if (language && !language_parse(language, &session->language)) {
		error_set(error, ERROR_USAGE, "--lang %s: it is en or zh", language);
		return false;
	}
	return true;
}

static bool ask(struct task_session *session, struct error *error)
{
	struct daemon_choice choice;
	bool ok = false;

	if (!daemon_choice_make(&session->arguments, &choice, error))
		return false;
	take_signals();
	session->stop_fd = stop_ends[0];
	session->client = api_client_new(&(struct api_client_options){.server = choice.server,
								      .token = choice.token,
								      .ca_file = choice.ca_file,
								      .agent = "keyferry/" KEYFERRY_VERSION,
								      .stop_fd = session->stop_fd,
								      .connect_ms = session->command->hidden ? 500 : 0},
					 error);
	if (session->client) {
		ok = session->command->call(session, error);
		if (!ok && choice.withheld && session->answer.status == 0 && strstr(error->hint, "~/.config/keyferry/token"))
			error_hint(
				error,
				"The token in ~/.config/keyferry/token goes over https:// or to this machine alone; --token-file FILE sends it all the same");
		api_client_free(session->client);
	}
	daemon_choice_free(&choice);
	return ok;
}

int task_session_run(const struct command *command, int argc, char **argv)
{
	struct task_session session = {.command = command};
	struct error error;
	bool ok;
	int code = command_arguments(command->name, argc, argv, &session.arguments);

	if (code != COMMAND_GO_ON)
		return code;
	error_clear(&error);
	if (session.arguments.words < command->min_words) {
		error_set(&error, ERROR_USAGE, "it takes %.*s", (int)strcspn(command->usage, "\n"), command->usage);
		error_hint(&error, "'keyferry help %s' explains the command", command->name);
		return command_fail(command->name, &error);
	}
	ok = read_format(&session, &error) && ask(&session, &error);
	api_answer_free(&session.answer);
	task_flush();
	if (!ok && error.kind != ERROR_NONE)
		return command->hidden ? ERROR_NONE : command_fail(command->name, &error);
	return session.code;
}
