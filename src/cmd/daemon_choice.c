#include "cmd/daemon_choice.h"

#include "base/memory.h"
#include "client/api_client.h"
#include "service/config.h"
#include "task/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/keyferry/serve.yaml"

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/* Where the daemon of this machine listens; an address of all interfaces is reached by loopback. */
static char *configured_server(const struct service_config *config)
{
	static const struct {
		const char *all, *here;
	} addresses[] = {{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}};
	const char *listen = config->listen, *scheme = config->tls_certificate ? "https" : "http";

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (strncmp(listen, addresses[i].all, strlen(addresses[i].all)) == 0)
			return memory_printf("%s://%s%s", scheme, addresses[i].here, listen + strlen(addresses[i].all));
	return memory_printf("%s://%s", scheme, listen);
}

static char *default_server(struct error *error)
{
	struct service_config config;
	char *server = NULL;

	service_config_init(&config);
	if (access(CONFIG_FILE, R_OK) != 0 || service_config_read(&config, CONFIG_FILE, error))
		server = configured_server(&config);
	else
		error_hint(error, "Mend it, or say where the daemon listens: --server URL");
	service_config_free(&config);
	return server;
}

static bool choose_server(const char *given, struct daemon_choice *choice, struct error *error)
{
	const char *text = given ? given : environment("KEYFERRY_SERVER");
	char *made = text ? NULL : default_server(error);

	if (text || made)
		choice->server = api_client_server(text ? text : made, error);
	if (!choice->server && (text || made))
		error_prefix(error, "%s", given ? "--server" : text ? "KEYFERRY_SERVER" : CONFIG_FILE);
	free(made);
	return choice->server != NULL;
}

/* NULL: there is none. */
static char *usual_token_file(void)
{
	const char *config = environment("XDG_CONFIG_HOME"), *home = environment("HOME");
	char *path = config ? memory_printf("%s/keyferry/token", config)
		     : home ? memory_printf("%s/.config/keyferry/token", home)
			    : NULL;

	if (path && access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static bool choose_token(const char *file, struct daemon_choice *choice, struct error *error)
{
	const char *value = environment("KEYFERRY_TOKEN");
	char *usual = file || value ? NULL : usual_token_file();
	bool ok = true;

	if (file) {
		ok = credentials_read_file(file, "token file", &choice->token, error);
	} else if (value) {
		choice->token = memory_strdup(value);
	} else if (usual && api_client_is_private(choice->server)) {
		ok = credentials_read_file(usual, "token file", &choice->token, error);
	} else {
		choice->withheld = usual != NULL;
	}
	free(usual);
	return ok;
}

bool daemon_choice_make(const struct arguments *arguments, struct daemon_choice *ret, struct error *error)
{
	const char *ca_file = arguments_value(arguments, "ca-file");
	struct daemon_choice choice = {.ca_file = ca_file ? ca_file : environment("KEYFERRY_CA_FILE")};

	if (choose_server(arguments_value(arguments, "server"), &choice, error) &&
	    choose_token(arguments_value(arguments, "token-file"), &choice, error)) {
		*ret = choice;
		return true;
	}
	daemon_choice_free(&choice);
	return false;
}

void daemon_choice_free(struct daemon_choice *choice)
{
	credentials_forget(choice->token);
	free(choice->server);
	*choice = (struct daemon_choice){.server = NULL};
}
