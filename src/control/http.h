/* The status server of a foreground task, over libmicrohttpd: GET /status (JSON), /metrics (Prometheus text, or OpenMetrics for who accepts that), and for probes /healthz
 * and /readyz, which answer 200 or 503 with a line that says why.
 *
 * On a loopback address it answers everybody; on any other only requests that carry "Authorization: Bearer <token>", the token being taken
 * from the environment variable KEYFERRY_TOKEN (at least 16 characters), without which it does not start. With open_probes the probes answer others too, but say no more than "ok" or "not ready".
 * Thread: answers on a thread of its own. */
#ifndef KEYFERRY_CONTROL_HTTP_H
#define KEYFERRY_CONTROL_HTTP_H

#include "base/error.h"
#include "control/health.h"

struct http;

struct http_routes {
	/* NUL-terminated text to be freed; called on the server's thread. */
	char *(*status)(void *owner);
	char *(*metrics)(void *owner, bool open_metrics); /* NULL: too many */
	char *(*health)(void *owner, enum health_probe probe, bool *ret_ok);
};

/* "127.0.0.1:9121", "[::1]:9121"; port 0 takes a free one. ERROR_USAGE when it cannot listen there. */
struct http *http_start(const char *listen, bool open_probes, const struct http_routes *routes, void *owner,
			struct error *error) WARN_UNUSED;
void http_stop(struct http *http);
/* "127.0.0.1:9121" as it is listening. */
const char *http_address(const struct http *http);

#endif
