/* The daemon's configuration: /etc/keyferry/serve.yaml or --config FILE, and the command line over it.
 *
 * One table (config.c) has a row per option, read by the option engine like a task document: unknown options are refused with the nearest known one.
 * Strings are owned. Thread: none in particular. */
#ifndef KEYFERRY_SERVICE_CONFIG_H
#define KEYFERRY_SERVICE_CONFIG_H

#include "base/log.h"
#include "base/option.h"

struct service_config {
	char *data_dir; /* data: by default /var/lib/keyferry/serve for root and the service's user, else $XDG_STATE_HOME/keyferry/serve */
	char *listen;          /* listen: of the API */
	bool require_token;    /* require_token: on a loopback address too */
	bool open_probes;      /* probes: open: /healthz and /readyz want no token */
	char *tls_certificate; /* tls.certificate, tls.key: PEM files; NULL: plain HTTP */
	char *tls_key;
	char *key_file;             /* key_file: by default DATA/key */
	enum log_level log_level;   /* log.level: of the daemon, and of workers that have none of their own */
	bool log_json;              /* log.format: text or json, of both */
	uint64_t worker_memory;     /* worker.memory: RLIMIT_DATA of each worker; 0: none */
	uint32_t worker_open_files; /* worker.open_files: RLIMIT_NOFILE; 0: as inherited */
	uint32_t worker_nice;       /* worker.nice: added to the daemon's */
	uint64_t worker_log_size;   /* worker.log_size: bytes of a worker's log, and as many of the one before */
	uint32_t stop_timeout_ms;   /* worker.stop_timeout: after which a worker that is to end is killed */
};

extern const struct option_table service_config_table;

/* Everything at its default. */
void service_config_init(struct service_config *config);
void service_config_free(struct service_config *config);
/* ERROR_USAGE with file, line and option. */
bool service_config_read(struct service_config *config, const char *file, struct error *error) WARN_UNUSED;
/* Defaults that depend on others; makes nothing. */
bool service_config_finish(struct service_config *config, struct error *error) WARN_UNUSED;

#endif
