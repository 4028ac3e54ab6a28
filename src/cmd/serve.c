#include "api/server.h"
#include "base/log.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/notify.h"
#include "cmd/task_arguments.h"
#include "control/json_server.h"
#include "service/call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/keyferry/serve.yaml"

struct serving {
	const struct arguments *arguments;
	const char *config_file; /* NULL: there is none */
	/* What is in force, and the place for the next: calls are answered by other threads while it is read. */
	struct service_config *config, places[2];
	struct service *service;
	struct server *server; /* of the API */
};

/* ---- configuration ---- */

static bool set_text(const struct arguments *arguments, const char *name, struct service_config *config, const char *path,
		     struct error *error)
{
	const char *value = arguments_value(arguments, name);
	struct slice item;

	if (!value)
		return true;
	item = slice_of_string(value);
	if (option_set(option_find(&service_config_table, slice_of_string(path)), config,
		       &(struct option_value){OPTION_SCALAR, &item, 1, NULL}, error))
		return true;
	error_prefix(error, "--%s", name);
	return false;
}

static bool read_config(const struct serving *serving, struct service_config *ret, struct error *error)
{
	const struct arguments *arguments = serving->arguments;

	service_config_init(ret);
	if ((!serving->config_file || service_config_read(ret, serving->config_file, error)) &&
	    set_text(arguments, "data", ret, "data", error) && set_text(arguments, "listen", ret, "listen", error) &&
	    set_text(arguments, "log-level", ret, "log.level", error) &&
	    set_text(arguments, "log-format", ret, "log.format", error) && service_config_finish(ret, error))
		return true;
	service_config_free(ret);
	return false;
}

static bool differs(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static bool server_differs(const struct service_config *a, const struct service_config *b)
{
	return differs(a->listen, b->listen) || differs(a->tls_certificate, b->tls_certificate) ||
	       differs(a->tls_key, b->tls_key) || a->require_token != b->require_token || a->open_probes != b->open_probes;
}

/* Those that a running daemon does not take. */
static void free_start_texts(struct service_config *config)
{
	free(config->data_dir);
	free(config->listen);
	free(config->key_file);
	free(config->tls_certificate);
	free(config->tls_key);
}

/* What cannot change while it runs (data, listen, key_file) waits for the next start. */
static void on_reload(void *owner)
{
	struct serving *serving = owner;
	const struct service_config *old = serving->config;
	struct service_config *config = &serving->places[old == &serving->places[0]];
	struct error error;

	notify("RELOADING=1");
	if (!server_reload(serving->server, &error)) {
		log_error_value(LOG_ERROR, &error);
		log_failure("the certificate is not taken: it stays what it was");
	}
	if (!read_config(serving, config, &error)) {
		log_error_value(LOG_ERROR, &error);
		log_failure("the configuration is not taken: it stays what it was");
	} else {
		if (strcmp(config->data_dir, old->data_dir) != 0 || strcmp(config->key_file, old->key_file) != 0 ||
		    server_differs(config, old))
			log_warning("data, listen, require_token, probes, tls and key_file are taken at the next start");
		/* The service and the server go on pointing at these. */
		free_start_texts(config);
		config->data_dir = old->data_dir;
		config->listen = old->listen;
		config->key_file = old->key_file;
		config->require_token = old->require_token;
		config->open_probes = old->open_probes;
		config->tls_certificate = old->tls_certificate;
		config->tls_key = old->tls_key;
		service_configure(serving->service, config);
		serving->config = config;
		log_info("the configuration is read again; limits of workers hold from their next start on");
	}
	notify("READY=1");
}

/* ---- signals ---- */

/* Signal handlers have no argument. */
static struct service *signalled;

static void on_signal(int number)
{
	if (!signalled)
		return;
	if (number == SIGHUP)
		service_reload(signalled);
	else
		service_stop(signalled, number == SIGUSR2 ? SERVICE_LEAVE_WORKERS : SERVICE_END_WORKERS);
}

static void take_signals(struct service *service)
{
	struct sigaction action = {.sa_handler = service ? on_signal : SIG_IGN, .sa_flags = SA_RESTART};

	signalled = service;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
}

/* ---- the socket ---- */

static json_t *on_call(void *owner, const json_t *request, unsigned uid)
{
	struct serving *serving = owner;
	char who[32];
	const struct service_caller caller = {who, ""};

	snprintf(who, sizeof(who), "unix:uid %u", uid);
	return call_answer(serving->service, &caller, request);
}

/* ---- running ---- */

static bool serve(struct serving *serving, struct error *error)
{
	const struct json_server_options options = {.folder = serving->config->data_dir,
						    .name = "control",
						    .request_max = CALL_REQUEST_MAX,
						    .answer = on_call,
						    .owner = serving};
	const struct server_options http = {.listen = serving->config->listen,
					    .require_token = serving->config->require_token,
					    .open_probes = serving->config->open_probes,
					    .certificate_file = serving->config->tls_certificate,
					    .key_file = serving->config->tls_key,
					    .version = KEYFERRY_VERSION};
	struct json_server *socket;
	bool ok;

	serving->server = server_start(serving->service, &http, error);
	if (!serving->server)
		return false;
	/* Behind the other one: whoever is answered there may call the API. */
	socket = json_server_start(&options, error);
	if (!socket) {
		server_stop(serving->server);
		return false;
	}
	take_signals(serving->service);
	service_reload_set(serving->service, on_reload, serving);
	log_info("keyferry %s serves %s from %s", KEYFERRY_VERSION, server_url(serving->server), serving->config->data_dir);
	notify("READY=1\nSTATUS=tasks are served");
	ok = service_run(serving->service, error);
	/* A service manager that is told of a stop ends what goes on after it. */
	notify(ok && service_ended(serving->service) == SERVICE_LEAVE_WORKERS ? "RELOADING=1" : "STOPPING=1");
	take_signals(NULL);
	server_stop(serving->server);
	serving->server = NULL;
	json_server_stop(socket);
	return ok;
}

/* The program's path at the start, for there a newer one is found after an upgrade. */
static char *own_path(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len <= 0)
		return NULL;
	path[len] = '\0';
	return memory_strdup(path);
}

/* In the same process, so that whoever supervises it sees it go on, and its workers remain its children. */
static int start_anew(const char *program, char **argv, struct error *error)
{
	/* A signal that is ignored stays so in the new program. */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	execv(program, argv);
	error_set_errno(error, ERROR_INTERNAL, errno, "%s cannot be started anew", program);
	error_hint(error, "Workers go on; start the daemon, and it takes them over");
	return command_fail("serve", error);
}

static char **whole_arguments(int argc, char **argv)
{
	char **whole = memory_alloc_zero((size_t)argc + 2, sizeof(*whole));

	whole[0] = memory_strdup("keyferry");
	for (int i = 0; i < argc; i++)
		whole[i + 1] = memory_strdup(argv[i]);
	return whole;
}

static void free_texts(char **texts)
{
	for (size_t i = 0; texts[i]; i++)
		free(texts[i]);
	free(texts);
}

/* A process that is started with one of them closed would give its number to a file, and that to workers. */
static void open_standard_files(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDWR);
	if (fd >= 0)
		close(fd);
}

static int run(struct serving *serving, const char *program, char **argv)
{
	struct error error;
	bool anew;
	int code;

	serving->config = &serving->places[0];
	if (!read_config(serving, serving->config, &error))
		return command_fail("serve", &error);
	log_set_json(serving->config->log_json);
	log_set_level(serving->config->log_level);
	/* Until it serves, a signal ends it at once: nothing runs yet. */
	serving->service = service_open(serving->config, &error);
	code = serving->service && serve(serving, &error) ? ERROR_NONE : command_fail("serve", &error);
	anew = code == ERROR_NONE && service_ended(serving->service) == SERVICE_LEAVE_WORKERS;
	service_close(serving->service);
	service_config_free(serving->config);
	if (anew) {
		log_info("starting anew: %s", program);
		return start_anew(program, argv, &error);
	}
	if (code == ERROR_NONE)
		log_info("stopped as asked; tasks that ran run again after the next start");
	return code;
}

int cmd_serve(int argc, char **argv)
{
	struct serving serving = {.config_file = NULL};
	struct arguments arguments;
	struct error error;
	char *program, **whole;
	int code = command_arguments("serve", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	if (!task_arguments_log(&arguments, &error))
		return command_fail("serve", &error);
	open_standard_files();
	serving.arguments = &arguments;
	serving.config_file = arguments_value(&arguments, "config");
	if (!serving.config_file && access(CONFIG_FILE, F_OK) == 0)
		serving.config_file = CONFIG_FILE;
	program = own_path();
	whole = whole_arguments(argc, argv);
	code = run(&serving, program, whole);
	free(program);
	free_texts(whole);
	return code;
}
