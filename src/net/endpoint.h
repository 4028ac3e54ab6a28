/* Where a peer listens: host and port, or the path of a unix socket.
 * Thread: a value type. */
#ifndef KEYFERRY_NET_ENDPOINT_H
#define KEYFERRY_NET_ENDPOINT_H

#include "base/slice.h"

#define ENDPOINT_TEXT_MAX 320

struct sockaddr_storage;

struct endpoint {
	char host[256]; /* name or address, IPv6 without brackets; or the absolute path of a unix socket */
	uint16_t port;  /* 0 for a unix socket */
};

static inline bool endpoint_is_unix(const struct endpoint *endpoint)
{
	return endpoint->host[0] == '/';
}

/* Parses "host:port", "[::1]:6379", "::1" with a default port, "/run/redis.sock". False: not an endpoint. */
bool endpoint_parse(struct slice text, uint16_t default_port, struct endpoint *ret);
/* "10.0.0.1:6379", "[::1]:6379", "/run/redis.sock". Returns out. */
const char *endpoint_format(const struct endpoint *endpoint, char out[ENDPOINT_TEXT_MAX]);
/* As an address to listen on. Numbers alone: a name could mean something else tomorrow. *ret_loopback: reachable from this machine alone. False: it is none. */
bool endpoint_numeric(const struct endpoint *endpoint, struct sockaddr_storage *ret, bool *ret_loopback);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

#endif
