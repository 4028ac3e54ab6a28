/* `keyferry token`: by the data directory of this machine's daemon, whether it runs or not, or by the API of one that is named. */
#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"
#include "cmd/command.h"
#include "cmd/daemon_call.h"
#include "cmd/task_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/keyferry/serve.yaml"
#define DAY_MS 86400000ULL
#define DAY_S 86400
#define TOKENS "/api/v1/tokens"

/* Who is asked: one of the two. */
struct keeper {
	const struct service_config *config;
	struct task_session *session;
};

static bool read_config(const struct arguments *arguments, struct service_config *config, struct error *error)
{
	const char *file = arguments_value(arguments, "config"), *data = arguments_value(arguments, "data");
	struct slice item;

	service_config_init(config);
	if (!file && access(CONFIG_FILE, F_OK) == 0)
		file = CONFIG_FILE;
	if (file && !service_config_read(config, file, error))
		return false;
	item = slice_of_string(data ? data : "");
	if (data && !option_set(option_find(&service_config_table, SLICE("data")), config,
				&(struct option_value){OPTION_SCALAR, &item, 1, NULL}, error)) {
		error_prefix(error, "--data");
		return false;
	}
	return service_config_finish(config, error);
}

/* ---- what is asked of either ---- */

/* Takes the request. */
static json_t *make_token(const struct keeper *keeper, json_t *request, uint64_t days, struct error *error)
{
	json_t *token;

	if (keeper->session) {
		if (days)
			json_object_set_new(request, "expires_in_seconds", json_integer((json_int_t)days * DAY_S));
		token = task_send(keeper->session, "POST", memory_strdup(TOKENS), request, error);
		if (keeper->session->answer.body.data)
			memory_wipe(keeper->session->answer.body.data, keeper->session->answer.body.cap);
		return token;
	}
	if (days)
		json_object_set_new(request, "days", json_integer((json_int_t)days));
	json_object_set_new(request, "call", json_string("token.create"));
	return daemon_call(keeper->config, request, error);
}

static json_t *list_tokens(const struct keeper *keeper, struct error *error)
{
	json_t *page, *tokens;

	if (!keeper->session)
		return daemon_call(keeper->config, json_pack("{s:s}", "call", "token.list"), error);
	page = task_get(keeper->session, memory_strdup(TOKENS), error);
	tokens = json_incref(json_object_get(page, "items"));
	if (page && !tokens)
		error_set(error, ERROR_INTERNAL, "%s does not answer as a keyferry does",
			  api_client_name(keeper->session->client));
	json_decref(page);
	return tokens;
}

static json_t *delete_token(const struct keeper *keeper, json_int_t id, struct error *error)
{
	if (keeper->session)
		return task_do(keeper->session, "DELETE", memory_printf(TOKENS "/%" JSON_INTEGER_FORMAT, id), error);
	return daemon_call(keeper->config, json_pack("{s:s, s:I}", "call", "token.delete", "id", id), error);
}

/* ---- output ---- */

static bool print_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	puts(text);
	memory_wipe(text, strlen(text));
	free(text);
	return true;
}

static const char *text_or(const json_t *token, const char *name, const char *none)
{
	const char *text = json_string_value(json_object_get(token, name));

	return text ? text : none;
}

static void print_table(const json_t *tokens)
{
	static const char *const headings[] = {">ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED", NULL};
	struct table *table = table_new(headings);
	const json_t *token;
	size_t i;

	json_array_foreach (tokens, i, token) {
		table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(token, "id")));
		table_cell(table, TABLE_PLAIN, "%s", text_or(token, "name", ""));
		table_cell(table, TABLE_PLAIN, "%s", text_or(token, "role", ""));
		table_cell(table, TABLE_PLAIN, "%s", text_or(token, "created", ""));
		table_cell(table, TABLE_PLAIN, "%s", text_or(token, "expires", "never"));
		table_cell(table, TABLE_PLAIN, "%s", text_or(token, "used", "never"));
	}
	table_print(table, stdout, false, 0);
	table_free(table);
}

/* ---- what it does ---- */

/* 0: never. */
static bool take_days(const struct arguments *arguments, uint64_t *ret, struct error *error)
{
	const char *expires = arguments_value(arguments, "expires");
	uint64_t ms = 0;

	*ret = 0;
	if (expires &&
	    (!units_parse_duration(slice_of_string(expires), &ms) || ms < DAY_MS || ms % DAY_MS != 0 || ms / DAY_MS > 36500)) {
		error_set(error, ERROR_USAGE, "--expires %s: it takes whole days, as 90d", expires);
		return false;
	}
	*ret = ms / DAY_MS;
	return true;
}

static bool create_token(const struct keeper *keeper, const struct arguments *arguments, bool json, struct error *error)
{
	const char *name = arguments_word(arguments, 1), *role = arguments_value(arguments, "role");
	json_t *request, *token;
	uint64_t days;

	if (!name || !role) {
		error_set(error, ERROR_USAGE, "create takes a name, and --role viewer, operator or admin");
		return false;
	}
	if (!take_days(arguments, &days, error))
		return false;
	request = json_pack("{s:s, s:s}", "name", name, "role", role);
	if (!request)
		error_set(error, ERROR_USAGE, "the name is not UTF-8");
	token = request ? make_token(keeper, request, days, error) : NULL;
	if (token && json) {
		print_json(token);
	} else if (token) {
		/* The token alone goes to standard output, so that it can be put into a file. */
		puts(text_or(token, "token", ""));
		fprintf(stderr, "Token %s is told this once; it is stored nowhere.\n", name);
	}
	json_decref(token);
	return token != NULL;
}

static bool show_tokens(const struct keeper *keeper, bool json, struct error *error)
{
	json_t *tokens = list_tokens(keeper, error);

	if (tokens && json)
		print_json(tokens);
	else if (tokens)
		print_table(tokens);
	json_decref(tokens);
	return tokens != NULL;
}

/* By number or by name. */
static bool find_token(const json_t *tokens, const char *word, json_int_t *ret_id)
{
	const json_t *token;
	size_t i;

	json_array_foreach (tokens, i, token) {
		char id[24];

		*ret_id = json_integer_value(json_object_get(token, "id"));
		snprintf(id, sizeof(id), "%lld", (long long)*ret_id);
		if (strcmp(word, id) == 0 || strcmp(word, text_or(token, "name", "")) == 0)
			return true;
	}
	return false;
}

static bool revoke_token(const struct keeper *keeper, const struct arguments *arguments, bool json, struct error *error)
{
	const char *word = arguments_word(arguments, 1);
	json_t *tokens = word ? list_tokens(keeper, error) : NULL, *gone = NULL;
	json_int_t id = 0;

	if (!word)
		error_set(error, ERROR_USAGE, "revoke takes the number or the name of a token");
	else if (tokens && !find_token(tokens, word, &id))
		error_set(error, ERROR_USAGE, "there is no token %s", word);
	else if (tokens)
		gone = delete_token(keeper, id, error);
	if (gone && !json)
		printf("token %s (%" JSON_INTEGER_FORMAT "): revoked\n", word, id);
	json_decref(tokens);
	json_decref(gone);
	return gone != NULL;
}

static bool run(const struct keeper *keeper, const struct arguments *arguments, bool json, struct error *error)
{
	const char *what = arguments_word(arguments, 0);

	if (what && strcmp(what, "create") == 0)
		return create_token(keeper, arguments, json, error);
	if (what && strcmp(what, "list") == 0)
		return show_tokens(keeper, json, error);
	if (what && strcmp(what, "revoke") == 0)
		return revoke_token(keeper, arguments, json, error);
	error_set(error, ERROR_USAGE, "it takes create, list or revoke");
	return false;
}

bool cmd_token_elsewhere(struct task_session *session, struct error *error)
{
	const struct keeper keeper = {.session = session};

	return run(&keeper, &session->arguments, session->json, error);
}

/* What says how to ask an API, where none is asked. */
static bool refuse_choice(const struct arguments *arguments, struct error *error)
{
	if (arguments_given(arguments, "server")) {
		error_set(
			error, ERROR_USAGE,
			"--server names a daemon that is asked by its API, --data and --config one by its files: give one of them");
		return true;
	}
	if (!arguments_given(arguments, "token-file") && !arguments_given(arguments, "ca-file"))
		return false;
	error_set(error, ERROR_USAGE, "--token-file and --ca-file are for a daemon that is asked by its API: give --server URL");
	return true;
}

static bool run_here(const struct arguments *arguments, struct error *error)
{
	const char *format = arguments_value(arguments, "format");
	struct service_config config;
	const struct keeper keeper = {.config = &config};
	bool json = format && strcmp(format, "json") == 0, ok;

	if (refuse_choice(arguments, error))
		return false;
	if (format && !json && strcmp(format, "text") != 0) {
		error_set(error, ERROR_USAGE, "--format %s: it is text or json", format);
		return false;
	}
	ok = read_config(arguments, &config, error) && run(&keeper, arguments, json, error);
	service_config_free(&config);
	return ok;
}

/* A daemon that is named is asked by its API; one whose files are named, or none, by its data directory. */
static bool is_elsewhere(const struct arguments *arguments)
{
	const char *server = getenv("KEYFERRY_SERVER");

	if (arguments_given(arguments, "data") || arguments_given(arguments, "config"))
		return false;
	return arguments_given(arguments, "server") || (server && server[0]);
}

int cmd_token(int argc, char **argv)
{
	struct arguments arguments;
	struct error error;
	int code = command_arguments("token", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	error_clear(&error);
	log_set_level(LOG_WARNING);
	if (is_elsewhere(&arguments))
		return task_session_run(command_find("token"), argc, argv);
	return run_here(&arguments, &error) ? ERROR_NONE : command_fail("token", &error);
}
