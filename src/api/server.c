#include "api/server.h"

#include "api/api.h"
#include "api/certificate.h"
#include "api/mailbox.h"
#include "api/route.h"
#include "api/workers.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "net/endpoint.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define STREAM_BLOCK 8192
/* Of a body that is too large and does not say so, what is read before the connection is closed without an answer. */
#define DISCARD_MAX (4u << 20)
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct server {
	struct MHD_Daemon *daemon;
	struct api *api;
	struct workers *workers;
	struct certificate *certificate;
	char url[ENDPOINT_TEXT_MAX + 16];
};

/* GnuTLS asks for the certificate without saying for whom. A process has one server at a time. */
static struct certificate *_Atomic serving_certificate;

enum exchange_state { EXCHANGE_NEW, EXCHANGE_BODY, EXCHANGE_WORKING, EXCHANGE_DONE };

/* One request and its answer. */
struct exchange {
	struct server *server;
	struct MHD_Connection *connection;
	_Atomic enum exchange_state state;
	struct call call;
	struct answer answer;
	struct buffer body;
	size_t discarded;
	uint64_t begun_us;
	char *target;
};

/* ---- answers ---- */

static void sleep_connection(void *owner)
{
	MHD_suspend_connection(owner);
}

static void wake_connection(void *owner)
{
	MHD_resume_connection(owner);
}

static ssize_t read_stream(void *owner, uint64_t position, char *out, size_t max)
{
	ssize_t len = mailbox_read(owner, out, max);

	(void)position;
	return len < 0 ? MHD_CONTENT_READER_END_OF_STREAM : len;
}

static void close_stream(void *owner)
{
	mailbox_close(owner);
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
	struct answer *answer = &exchange->answer;
	struct MHD_Response *response;

	if (answer->mailbox) {
		mailbox_attach(answer->mailbox, sleep_connection, wake_connection, exchange->connection);
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, answer->mailbox,
							     close_stream);
		if (!response)
			mailbox_close(answer->mailbox);
		answer->mailbox = NULL;
		return response;
	}
	response = MHD_create_response_from_buffer(answer->len, answer->body,
						   answer->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (response)
		answer->body = NULL;
	return response;
}

/* For browsers: nothing of an answer is run, framed, kept, guessed at or given to another site. An answer of its own mind about one of them has set it itself. */
static const char *const fixed_headers[][2] = {
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cache-Control", "no-store"},
};

static bool has_header(const struct answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->header_count; i++)
		if (strcmp(answer->headers[i].name, name) == 0)
			return true;
	return false;
}

static enum MHD_Result respond(struct exchange *exchange)
{
	struct answer *answer = &exchange->answer;
	const char *type = answer->type;
	struct MHD_Response *response = make_response(exchange);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(fixed_headers) / sizeof(fixed_headers[0]); i++)
		if (!has_header(answer, fixed_headers[i][0]))
			MHD_add_response_header(response, fixed_headers[i][0], fixed_headers[i][1]);
	for (size_t i = 0; i < answer->header_count; i++)
		MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
	if (type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(exchange->connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- requests ---- */

struct header_place {
	const char *name;
	size_t offset;
	bool once;
};

#define PLACE(name, field, once)                                                                                                 \
	{                                                                                                                        \
		name, offsetof(struct call_headers, field), once                                                                 \
	}
static const struct header_place header_places[] = {
	PLACE("Host", host, true),
	PLACE("Origin", origin, true),
	PLACE("Sec-Fetch-Site", fetch_site, true),
	PLACE("Authorization", authorization, true),
	PLACE("Cookie", cookie, true),
	PLACE("X-CSRF-Token", csrf, true),
	PLACE("Content-Type", content_type, true),
	PLACE("Content-Length", content_length, true),
	PLACE("Accept", accept, false),
	PLACE("Accept-Language", accept_language, false),
	PLACE("Accept-Encoding", accept_encoding, false),
	PLACE("If-Match", if_match, true),
	PLACE("If-None-Match", if_none_match, true),
	PLACE("Last-Event-ID", last_event_id, true),
};

static enum MHD_Result take_header(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct exchange *exchange = owner;

	(void)kind;
	for (size_t i = 0; i < sizeof(header_places) / sizeof(header_places[0]); i++) {
		const char **place = (const char **)((char *)&exchange->call.headers + header_places[i].offset);

		if (strcasecmp(name, header_places[i].name) != 0)
			continue;
		if (*place && header_places[i].once)
			exchange->call.malformed = true;
		else if (!*place)
			*place = value ? value : "";
	}
	return MHD_YES;
}

/* Every request begins here, with its target as it was sent. */
static void *begin(void *owner, const char *target, struct MHD_Connection *connection)
{
	struct exchange *exchange = memory_alloc_zero(1, sizeof(*exchange));

	exchange->server = owner;
	exchange->connection = connection;
	exchange->target = memory_strdup(target);
	exchange->begun_us = clock_monotonic_us();
	return exchange;
}

static void end(void *owner, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *request;

	(void)owner;
	(void)connection;
	(void)code;
	if (!exchange)
		return;
	*request = NULL;
	if (exchange->answer.mailbox)
		mailbox_close(exchange->answer.mailbox);
	answer_free(&exchange->answer);
	api_forget(&exchange->call);
	/* A task document or a login: secrets. */
	if (exchange->body.data)
		memory_wipe(exchange->body.data, exchange->body.cap);
	buffer_free(&exchange->body);
	free(exchange->target);
	free(exchange);
}

static size_t head_size(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info ? info->header_size : 0;
}

static void name_peer(struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct call *call = &exchange->call;

	call->peer = info->client_addr;
	if (getnameinfo(call->peer, call->peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
			call->from, sizeof(call->from), NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(call->from, sizeof(call->from), "?");
}

static enum MHD_Result take_request(struct exchange *exchange, const char *method)
{
	struct call *call = &exchange->call;

	call->method = method;
	call->target = exchange->target;
	call->head_len = head_size(exchange->connection);
	call->secure = exchange->server->certificate != NULL;
	MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, take_header, exchange);
	name_peer(exchange);
	if (!api_admit(exchange->server->api, call, &exchange->answer)) {
		exchange->state = EXCHANGE_DONE;
		return respond(exchange);
	}
	buffer_init(&exchange->body, api_body_max(call));
	exchange->state = EXCHANGE_BODY;
	return MHD_YES;
}

/* What is too large is read on for a while: only behind its end may it be answered. */
static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *len)
{
	if (clock_monotonic_us() - exchange->begun_us > SERVER_BODY_S * 1000000ULL)
		return MHD_NO;
	if (exchange->discarded || !buffer_append(&exchange->body, data, *len)) {
		exchange->discarded += *len;
		if (exchange->discarded > DISCARD_MAX)
			return MHD_NO;
	}
	*len = 0;
	return MHD_YES;
}

static void work(void *job)
{
	struct exchange *exchange = job;
	struct MHD_Connection *connection = exchange->connection;

	api_handle(exchange->server->api, &exchange->call, &exchange->answer);
	exchange->state = EXCHANGE_DONE;
	MHD_resume_connection(connection);
}

static enum MHD_Result hand_over(struct exchange *exchange)
{
	struct call *call = &exchange->call;

	if (exchange->discarded) {
		answer_problem(&exchange->answer, call, PROBLEM_TOO_LARGE, NULL, "it takes at most %zu bytes here",
			       api_body_max(call));
		exchange->state = EXCHANGE_DONE;
		return respond(exchange);
	}
	call->body = buffer_readable(&exchange->body);
	exchange->state = EXCHANGE_WORKING;
	/* Before the worker may be done with it. */
	MHD_suspend_connection(exchange->connection);
	if (!workers_take(exchange->server->workers, exchange, call->route->slow)) {
		answer_header(&exchange->answer, "Retry-After", "1");
		answer_problem(&exchange->answer, call, PROBLEM_BUSY, NULL, "too many requests wait to be answered");
		exchange->state = EXCHANGE_DONE;
		MHD_resume_connection(exchange->connection);
	}
	return MHD_YES;
}

static enum MHD_Result handle(void *owner, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *data, size_t *len, void **request)
{
	struct exchange *exchange = *request;
	enum exchange_state state = exchange->state;

	(void)owner;
	(void)connection;
	(void)url;
	(void)version;
	switch (state) {
	case EXCHANGE_NEW: return take_request(exchange, method);
	case EXCHANGE_BODY: return *len > 0 ? take_body(exchange, data, len) : hand_over(exchange);
	case EXCHANGE_WORKING: return MHD_YES;
	case EXCHANGE_DONE: return respond(exchange);
	}
	return MHD_NO;
}

/* ---- the server ---- */

static int give_certificate(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
			    const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
			    unsigned *ret_count, gnutls_privkey_t *ret_key)
{
	struct certificate *certificate = serving_certificate;

	(void)session;
	(void)names;
	(void)name_count;
	(void)algorithms;
	(void)algorithm_count;
	if (!certificate)
		return -1;
	certificate_current(certificate, ret_chain, ret_count, ret_key);
	return 0;
}

/* Percent signs are decoded by uri_parse(). */
static size_t leave_escaped(void *owner, struct MHD_Connection *connection, char *text)
{
	(void)owner;
	(void)connection;
	return strlen(text);
}

static struct MHD_Daemon *listen_on(struct server *server, const struct sockaddr_storage *address)
{
	unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			 (address->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)give_certificate},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};

	errno = 0;
	return MHD_start_daemon(
		flags | (server->certificate ? MHD_USE_TLS : 0), 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR,
		(const struct sockaddr *)address, MHD_OPTION_URI_LOG_CALLBACK, begin, server, MHD_OPTION_UNESCAPE_CALLBACK,
		leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, end, server, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)SERVER_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS_PER_ADDRESS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, server->certificate ? tls : plain, MHD_OPTION_END);
}

static bool open_certificate(struct server *server, const struct server_options *options, struct error *error)
{
	if (!options->certificate_file && !options->key_file)
		return true;
	if (!options->certificate_file || !options->key_file) {
		error_set(error, ERROR_USAGE, "TLS takes both a certificate and its key");
		error_hint(error, "Give tls.certificate and tls.key, files in PEM form");
		return false;
	}
	server->certificate = certificate_open(options->certificate_file, options->key_file, error);
	serving_certificate = server->certificate;
	return server->certificate != NULL;
}

/* Port 0, which no peer has, takes a free one. */
static bool parse_listen(const char *text, struct endpoint *ret)
{
	size_t len = strlen(text);

	if (len < 2 || strcmp(text + len - 2, ":0") != 0)
		return endpoint_parse(slice_of_string(text), 0, ret);
	if (!endpoint_parse(slice_make(text, len - 2), 1, ret) || ret->port != 1)
		return false;
	ret->port = 0;
	return true;
}

static bool start(struct server *server, struct service *service, const struct server_options *options, struct error *error)
{
	struct api_options api_options = {.ask_for_token = true,
					  .open_probes = options->open_probes,
					  .version = options->version,
					  .streams_max = SERVER_STREAMS};
	struct endpoint endpoint;
	struct sockaddr_storage address;
	const union MHD_DaemonInfo *info;
	char text[ENDPOINT_TEXT_MAX];
	bool loopback;

	if (!parse_listen(options->listen, &endpoint) || !endpoint_numeric(&endpoint, &address, &loopback)) {
		error_set(error, ERROR_USAGE, "--listen %s is no address and port", options->listen);
		error_hint(error, "Write it like 127.0.0.1:7280 or [::1]:7280");
		return false;
	}
	if (!open_certificate(server, options, error))
		return false;
	api_options.ask_for_token = options->require_token || !loopback;
	server->api = api_new(service, &api_options);
	server->workers = workers_new(work);
	server->daemon = listen_on(server, &address);
	if (!server->daemon) {
		error_set_errno(error, ERROR_USAGE, errno ? errno : EINVAL, "cannot listen on %s", options->listen);
		error_hint(error, "Choose another address or port with --listen");
		return false;
	}
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info && info->port)
		endpoint.port = info->port;
	snprintf(server->url, sizeof(server->url), "%s://%s", server->certificate ? "https" : "http",
		 endpoint_format(&endpoint, text));
	return true;
}

struct server *server_start(struct service *service, const struct server_options *options, struct error *error)
{
	struct server *server = memory_alloc_zero(1, sizeof(*server));

	if (start(server, service, options, error))
		return server;
	server_stop(server);
	return NULL;
}

bool server_reload(struct server *server, struct error *error)
{
	return !server->certificate || certificate_load(server->certificate, error);
}

void server_stop(struct server *server)
{
	MHD_socket socket = MHD_INVALID_SOCKET;

	if (!server)
		return;
	if (server->daemon)
		socket = MHD_quiesce_daemon(server->daemon);
	/* Every connection that sleeps has to be woken before the daemon is stopped. */
	if (server->api)
		api_end_streams(server->api);
	if (server->workers)
		workers_end(server->workers);
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	/* Not before: the daemon's thread still takes it from its epoll, which might be the next file of that number. */
	if (socket != MHD_INVALID_SOCKET)
		close(socket);
	if (server->workers)
		workers_free(server->workers);
	if (server->api)
		api_free(server->api);
	serving_certificate = NULL;
	certificate_free(server->certificate);
	free(server);
}

const char *server_url(const struct server *server)
{
	return server->url;
}
