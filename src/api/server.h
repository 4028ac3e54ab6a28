/* The server of the API: HTTP/1.1, plain or over TLS, on libmicrohttpd.
 *
 * One thread reads and writes all connections; what a call asks for is done by a few workers (api/workers.h), while its connection sleeps. Bounds: SERVER_* below, api/uri.h, and
 * API_BODY_MAX. What is not HTTP is answered by libmicrohttpd with 400 or by closing. It keeps head and answer's head of a connection in one piece of memory, and closes the connection without an answer where
 * the one leaves no room for the other. So it gets more than a head may have (SERVER_MEMORY), and a head that is too large is answered by us. What still goes without an answer, at the latest when it has idled:
 * a request line of thousands of arguments, thousands of cookies, a head of nearly SERVER_MEMORY.
 * On a loopback address nobody is asked for a token unless `require_token`; on any other one always.
 * Thread: functions main; it has threads of its own. */
#ifndef KEYFERRY_API_SERVER_H
#define KEYFERRY_API_SERVER_H

#include "base/error.h"

#define SERVER_CONNECTIONS 512
#define SERVER_CONNECTIONS_PER_ADDRESS 128
/* Bytes of a connection: a head of API_HEAD_MAX, 64 for each argument that URI_BYTES_MAX may have, and the answer's head. */
#define SERVER_MEMORY (192u << 10)
#define SERVER_IDLE_S 30   /* a connection that neither reads nor writes is closed */
#define SERVER_BODY_S 120  /* in which a body has to be there */
#define SERVER_STREAMS 128 /* server-sent events at the same time */

struct service;
struct server;

struct server_options {
	const char *listen; /* "127.0.0.1:7280", "[::1]:7280"; port 0 takes a free one */
	bool require_token;
	bool open_probes;             /* but for /healthz and /readyz */
	const char *certificate_file; /* PEM; both or none: plain HTTP */
	const char *key_file;
	const char *version; /* of keyferry; lives as long as the server */
};

/* ERROR_USAGE when it cannot listen there, or the certificate cannot be read. */
struct server *server_start(struct service *service, const struct server_options *options, struct error *error) WARN_UNUSED;
/* Reads certificate and key again. False: it goes on with those it has. */
bool server_reload(struct server *server, struct error *error) WARN_UNUSED;
/* Takes no more connections, does what it was asked for, and ends. NULL is fine. */
void server_stop(struct server *server);
/* "http://127.0.0.1:7280" as it is listening. */
const char *server_url(const struct server *server);

#endif
