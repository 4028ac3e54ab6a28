#include "service/config.h"

#include "base/memory.h"
#include "task/document.h"
#include "task/option_node.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MACHINE_STATE "/var/lib/keyferry"
#define FIELD(member) .offset = offsetof(struct service_config, member), .width = sizeof(((struct service_config *)0)->member)

static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const booleans[] = {"true", "false", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const probes[] = {"token", "open", NULL};

/* The second of the row's two words is true. */
static bool parse_either(const struct option_row *row, bool *ret, const struct option_value *value, struct error *error)
{
	for (int i = 0; value->form == OPTION_SCALAR && i < 2; i++) {
		if (slice_equal(value->items[0], slice_of_string(row->values[i]))) {
			*ret = i == 1;
			return true;
		}
	}
	error_set(error, ERROR_USAGE, "it takes %s or %s", row->values[0], row->values[1]);
	return false;
}

/* "json" or "text" into a bool. */
static bool parse_format(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	return parse_either(row, &((struct service_config *)object)->log_json, value, error);
}

/* "open" or "token" into a bool. */
static bool parse_probes(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	return parse_either(row, &((struct service_config *)object)->open_probes, value, error);
}

static const struct option_row rows[] = {
	{"data", OPTION_STRING, "folder", NULL, .example = "/var/lib/keyferry/serve", FIELD(data_dir),
	 .sentence = "Data directory: tasks, their work directories, the key of stored passwords."},
	{"listen", OPTION_STRING, "address with port", "127.0.0.1:7280", .example = "127.0.0.1:7280", FIELD(listen),
	 .sentence = "Where the API listens."},
	{"require_token", OPTION_BOOL, NULL, "false", booleans, .example = "true", FIELD(require_token),
	 .sentence = "Ask for a token on a loopback address too. On any other address one is always asked for."},
	{"probes", OPTION_OTHER, NULL, "token", probes, .example = "open", .parse = parse_probes,
	 .sentence =
		 "Whether /healthz and /readyz ask for a token where everything else does; `open`: they answer everybody, with `ok`, `ready` or `not ready` and nothing more."},
	{"tls.certificate", OPTION_STRING, "file", NULL, .example = "/etc/keyferry/api.pem", FIELD(tls_certificate),
	 .sentence =
		 "Certificate of the API (PEM), followed by those that it depends on; read again at a reload. Needs `tls.key`."},
	{"tls.key", OPTION_STRING, "file", NULL, .example = "/etc/keyferry/api.key", FIELD(tls_key),
	 .sentence = "Private key of the certificate (PEM), without a password."},
	{"key_file", OPTION_STRING, "file", NULL, .example = "/etc/keyferry/key", FIELD(key_file),
	 .sentence = "Key of stored passwords, 32 bytes, made at the first start; by default `key` in the data directory."},
	{"log.level", OPTION_ENUM, NULL, "info", levels, .example = "debug", FIELD(log_level),
	 .sentence = "Least level of what is logged, by the daemon and by workers."},
	{"log.format", OPTION_OTHER, NULL, "text", formats, .example = "json", .parse = parse_format,
	 .sentence = "Form of log lines, of the daemon and of workers."},
	{"worker.memory", OPTION_SIZE, "size", NULL, .example = "2GiB", FIELD(worker_memory), .min = 64u << 20, .max = UINT64_MAX,
	 .sentence = "Memory that a worker may take for itself (RLIMIT_DATA); without it there is no limit."},
	{"worker.open_files", OPTION_COUNT, "number", NULL, .example = "65536", FIELD(worker_open_files), .min = 64,
	 .max = 1u << 20,
	 .sentence = "Files and connections that a worker may have open (RLIMIT_NOFILE); without it as many as the daemon."},
	{"worker.nice", OPTION_COUNT, "number", NULL, .example = "5", FIELD(worker_nice), .min = 0, .max = 19,
	 .sentence = "By how much workers give way to other processes."},
	{"worker.log_size", OPTION_SIZE, "size", "16MiB", .example = "64MiB", FIELD(worker_log_size), .min = 64u << 10,
	 .max = 1u << 30, .sentence = "Size of a worker's log from which on it is turned; the one before is kept."},
	{"worker.stop_timeout", OPTION_DURATION, "duration", "30s", .example = "1m", FIELD(stop_timeout_ms), .min = 1000,
	 .max = 3600000, .sentence = "How long a worker may take to end cleanly before it is killed."},
};

const struct option_table service_config_table = {rows, sizeof(rows) / sizeof(rows[0])};

void service_config_init(struct service_config *config)
{
	*config = (struct service_config){0};
	option_set_defaults(&service_config_table, config);
}

void service_config_free(struct service_config *config)
{
	option_free_strings(&service_config_table, config);
	*config = (struct service_config){0};
}

/* ---- the file ---- */

static bool set_node(struct service_config *config, const char *file, const char *path, const struct document_node *node,
		     struct error *error)
{
	const struct option_row *row = option_find(&service_config_table, slice_of_string(path));
	struct option_place place = {.line = node->line};
	char nearest[OPTION_PATH_MAX];

	snprintf(place.path, sizeof(place.path), "%s", path);
	if (row && option_node_set(row, config, node, &place, error))
		return true;
	if (row) {
		error_prefix(error, "%s:%u: option '%s'", file, place.line, place.path);
	} else {
		bool near = option_nearest(&service_config_table, slice_of_string(path), nearest) != NULL;

		error_set(error, ERROR_USAGE, "%s:%u: unknown option '%s'%s%s%s", file, node->line, path,
			  near ? ": did you mean '" : "", near ? nearest : "", near ? "'?" : "");
	}
	return false;
}

static bool set_children(struct service_config *config, const char *file, const char *prefix, const struct document_node *parent,
			 struct error *error)
{
	for (const struct document_node *node = parent->first; node; node = node->next) {
		char path[OPTION_PATH_MAX];
		bool group;

		snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", node->key);
		group = node->kind == DOCUMENT_MAP && option_has_below(&service_config_table, slice_of_string(path));
		if (!(group ? set_children(config, file, path, node, error) : set_node(config, file, path, node, error)))
			return false;
	}
	return true;
}

static bool read_text(const char *file, char **ret, size_t *ret_len, struct error *error)
{
	char *text = memory_alloc(DOCUMENT_BYTES_MAX + 1);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 && len <= DOCUMENT_BYTES_MAX) {
		got = read(fd, text + len, DOCUMENT_BYTES_MAX + 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		error_set_errno(error, ERROR_USAGE, errno, "the configuration %s cannot be read", file);
	if (fd >= 0)
		close(fd);
	if (got < 0) {
		free(text);
		return false;
	}
	*ret = text;
	*ret_len = len;
	return true;
}

bool service_config_read(struct service_config *config, const char *file, struct error *error)
{
	struct document_node *root;
	char *text;
	size_t len;
	bool ok = true;

	if (!read_text(file, &text, &len, error))
		return false;
	/* A file of comments alone, as packages bring it, is one without options. */
	root = document_parse(slice_make(text, len), file, error);
	if (root)
		ok = set_children(config, file, "", root, error);
	else
		ok = strstr(error->text, "the document is empty") != NULL;
	document_free(root);
	free(text);
	return ok;
}

static char *default_data_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	/* As the work directories of single tasks (task/options_finish.c), beside which it lies. */
	if (geteuid() == 0 || euidaccess(MACHINE_STATE, W_OK | X_OK) == 0)
		return memory_strdup(MACHINE_STATE "/serve");
	if (state && state[0] == '/')
		return memory_printf("%s/keyferry/serve", state);
	return home && home[0] == '/' ? memory_printf("%s/.local/state/keyferry/serve", home) : NULL;
}

bool service_config_finish(struct service_config *config, struct error *error)
{
	if (!config->data_dir)
		config->data_dir = default_data_dir();
	if (!config->data_dir) {
		error_set(error, ERROR_USAGE, "no data directory: neither XDG_STATE_HOME nor HOME is set");
		error_hint(error, "name one with --data DIR");
		return false;
	}
	if (!config->key_file)
		config->key_file = memory_printf("%s/key", config->data_dir);
	return true;
}
