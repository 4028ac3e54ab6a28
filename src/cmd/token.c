#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"
#include "cmd/command.h"
#include "cmd/daemon_call.h"
#include "cmd/task_arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/keyferry/serve.yaml"
#define DAY_MS 86400000ULL

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

/* ---- output ---- */

static int print_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	puts(text);
	memory_wipe(text, strlen(text));
	free(text);
	return ERROR_NONE;
}

static const char *text_of(const json_t *token, const char *name, const char *none)
{
	const char *text = json_string_value(json_object_get(token, name));

	return text ? text : none;
}

static void print_table(const json_t *tokens)
{
	const json_t *token;
	size_t i;

	printf("%-6s %-24s %-10s %-25s %-25s %s\n", "ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED");
	json_array_foreach (tokens, i, token)
		printf("%-6lld %-24s %-10s %-25s %-25s %s\n", (long long)json_integer_value(json_object_get(token, "id")),
		       text_of(token, "name", ""), text_of(token, "role", ""), text_of(token, "created", ""),
		       text_of(token, "expires", "never"), text_of(token, "used", "never"));
}

/* ---- what it does ---- */

static bool take_days(const struct arguments *arguments, json_t *request, struct error *error)
{
	const char *expires = arguments_value(arguments, "expires");
	uint64_t ms;

	if (!expires)
		return true;
	if (!units_parse_duration(slice_of_string(expires), &ms) || ms < DAY_MS || ms % DAY_MS != 0 || ms / DAY_MS > 36500) {
		error_set(error, ERROR_USAGE, "--expires %s: it takes whole days, as 90d", expires);
		return false;
	}
	json_object_set_new(request, "days", json_integer((json_int_t)(ms / DAY_MS)));
	return true;
}

static json_t *create_token(const struct arguments *arguments, const struct service_config *config, struct error *error)
{
	const char *name = arguments_word(arguments, 1), *role = arguments_value(arguments, "role");
	json_t *request;

	if (!name || !role) {
		error_set(error, ERROR_USAGE, "create takes a name, and --role viewer, operator or admin");
		return NULL;
	}
	request = json_pack("{s:s, s:s, s:s}", "call", "token.create", "name", name, "role", role);
	if (!request || !take_days(arguments, request, error)) {
		if (!request)
			error_set(error, ERROR_USAGE, "the name is not UTF-8");
		json_decref(request);
		return NULL;
	}
	return daemon_call(config, request, error);
}

static json_t *list_tokens(const struct service_config *config, struct error *error)
{
	return daemon_call(config, json_pack("{s:s}", "call", "token.list"), error);
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
		if (strcmp(word, id) == 0 || strcmp(word, text_of(token, "name", "")) == 0)
			return true;
	}
	return false;
}

static json_t *revoke_token(const struct arguments *arguments, const struct service_config *config, struct error *error)
{
	const char *word = arguments_word(arguments, 1);
	json_t *tokens = word ? list_tokens(config, error) : NULL;
	json_int_t id = 0;
	bool found = tokens && find_token(tokens, word, &id);

	json_decref(tokens);
	if (found)
		return daemon_call(config, json_pack("{s:s, s:I}", "call", "token.delete", "id", id), error);
	if (!word || tokens)
		error_set(error, ERROR_USAGE, word ? "there is no token %s" : "revoke takes the number or the name of a token%s",
			  word ? word : "");
	return NULL;
}

static int run(const struct arguments *arguments, const struct service_config *config, struct error *error)
{
	const char *what = arguments_word(arguments, 0), *format = arguments_value(arguments, "format");
	bool json = format && strcmp(format, "json") == 0;
	json_t *result = NULL;
	char *token;

	if (format && !json && strcmp(format, "text") != 0) {
		error_set(error, ERROR_USAGE, "--format %s: it is text or json", format);
	} else if (what && strcmp(what, "create") == 0) {
		result = create_token(arguments, config, error);
		/* The token alone goes to standard output, so that it can be put into a file. */
		token = result && !json ? memory_strdup(text_of(result, "token", "")) : NULL;
		if (token) {
			puts(token);
			fprintf(stderr, "Token %s is told this once; it is stored nowhere.\n", text_of(result, "name", ""));
			memory_wipe(token, strlen(token));
			free(token);
		}
	} else if (what && strcmp(what, "list") == 0) {
		result = list_tokens(config, error);
		if (result && !json)
			print_table(result);
	} else if (what && strcmp(what, "revoke") == 0) {
		result = revoke_token(arguments, config, error);
	} else {
		error_set(error, ERROR_USAGE, "it takes create, list or revoke");
	}
	if (!result)
		return command_fail("token", error);
	if (json)
		print_json(result);
	json_decref(result);
	return ERROR_NONE;
}

int cmd_token(int argc, char **argv)
{
	struct service_config config;
	struct arguments arguments;
	struct error error;
	int code = command_arguments("token", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	error_clear(&error);
	log_set_level(LOG_WARNING);
	code = read_config(&arguments, &config, &error) ? run(&arguments, &config, &error) : command_fail("token", &error);
	service_config_free(&config);
	return code;
}
