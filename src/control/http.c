#include "control/http.h"

#include "base/memory.h"
#include "control/exposition.h"
#include "net/endpoint.h"

#include <errno.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MIN 16
#define CONNECTIONS_MAX 64
#define IDLE_SECONDS 30
#define PLAIN "text/plain; charset=utf-8"

struct http {
	struct MHD_Daemon *daemon;
	const struct http_routes *routes;
	void *owner;
	bool open_probes;
	char *token; /* NULL: loopback, nobody is asked */
	char address[ENDPOINT_TEXT_MAX];
};

static bool may_read(const struct http *http, struct MHD_Connection *connection)
{
	const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	size_t len = http->token ? strlen(http->token) : 0;

	if (!http->token)
		return true;
	return header && strncmp(header, "Bearer ", 7) == 0 && strlen(header + 7) == len &&
	       CRYPTO_memcmp(header + 7, http->token, len) == 0;
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned code, const char *type, char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (code == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

/* Who names OpenMetrics accepts it; the text format is there for all others, people too. */
static enum MHD_Result answer_metrics(const struct http *http, struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool open_metrics = accept && strstr(accept, "application/openmetrics-text");
	char *text = http->routes->metrics(http->owner, open_metrics);

	if (!text)
		return reply(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, PLAIN,
			     memory_printf("the page would be larger than %u bytes\n", EXPOSITION_PAGE_MAX));
	return reply(connection, MHD_HTTP_OK, open_metrics ? EXPOSITION_OPEN_METRICS : EXPOSITION_TEXT, text);
}

/* Why not names servers: that is for readers. */
static enum MHD_Result answer_probe(const struct http *http, struct MHD_Connection *connection, enum health_probe probe,
				    bool reader)
{
	bool ok;
	char *text = http->routes->health(http->owner, probe, &ok);

	if (!reader) {
		free(text);
		text = memory_strdup(ok ? "ok\n" : "not ready\n");
	}
	return reply(connection, ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN, text);
}

static enum MHD_Result answer(void *owner, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **request)
{
	struct http *http = owner;
	bool reader = may_read(http, connection), probe = strcmp(url, "/healthz") == 0 || strcmp(url, "/readyz") == 0;

	(void)version;
	(void)upload;
	(void)upload_size;
	(void)request;
	if (!reader && !(probe && http->open_probes))
		return reply(connection, MHD_HTTP_UNAUTHORIZED, PLAIN, memory_strdup("a token is needed\n"));
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, PLAIN, memory_strdup("only GET\n"));
	if (strcmp(url, "/status") == 0)
		return reply(connection, MHD_HTTP_OK, "application/json", http->routes->status(http->owner));
	if (strcmp(url, "/metrics") == 0)
		return answer_metrics(http, connection);
	if (probe)
		return answer_probe(http, connection, strcmp(url, "/healthz") == 0 ? HEALTH_LIVE : HEALTH_READY, reader);
	return reply(connection, MHD_HTTP_NOT_FOUND, PLAIN, memory_strdup("here are /status, /metrics, /healthz and /readyz\n"));
}

static bool take_token(struct http *http, const char *listen, struct error *error)
{
	const char *token = getenv("KEYFERRY_TOKEN");

	if (token && strlen(token) >= TOKEN_MIN) {
		http->token = memory_strdup(token);
		return true;
	}
	error_set(error, ERROR_USAGE, "--listen %s is reachable from other machines, and there is no token", listen);
	error_hint(
		error,
		"Set KEYFERRY_TOKEN to a secret of at least %d characters that readers send as 'Authorization: Bearer ...', or listen on 127.0.0.1",
		TOKEN_MIN);
	return false;
}

struct http *http_start(const char *listen, bool open_probes, const struct http_routes *routes, void *owner, struct error *error)
{
	struct http *http = memory_alloc_zero(1, sizeof(*http));
	struct endpoint endpoint;
	struct sockaddr_storage address;
	bool loopback;
	const union MHD_DaemonInfo *info;

	http->routes = routes;
	http->owner = owner;
	http->open_probes = open_probes;
	if (!endpoint_parse(slice_of_string(listen), 0, &endpoint) || !endpoint_numeric(&endpoint, &address, &loopback)) {
		error_set(error, ERROR_USAGE, "--listen %s is no address and port", listen);
		error_hint(error, "Write it like 127.0.0.1:9121 or [::1]:9121");
		http_stop(http);
		return NULL;
	}
	if (!loopback && !take_token(http, listen, error)) {
		http_stop(http);
		return NULL;
	}
	errno = 0;
	http->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0),
					endpoint.port, NULL, NULL, answer, http, MHD_OPTION_SOCK_ADDR,
					(struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
					MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
	if (!http->daemon) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot listen on %s", listen);
		error_hint(error, "Choose another port with --listen");
		http_stop(http);
		return NULL;
	}
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info)
		endpoint.port = info->port;
	endpoint_format(&endpoint, http->address);
	return http;
}

void http_stop(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	if (http->token)
		memory_wipe(http->token, strlen(http->token));
	free(http->token);
	free(http);
}

const char *http_address(const struct http *http)
{
	return http->address;
}
