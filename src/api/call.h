/* A call: one HTTP request as the API sees it, whatever has read it from the network.
 *
 * The server fills the first part. api_admit() looks at it before the body is read, and fills the second; api_handle() has the body.
 * Texts of the first part live as long as the call. Thread: one at a time, the server's and then a worker's. */
#ifndef KEYFERRY_API_CALL_H
#define KEYFERRY_API_CALL_H

#include "api/uri.h"
#include "base/slice.h"
#include "service/service.h"

#include <jansson.h>
#include <sys/socket.h>

#define CALL_ARGUMENTS_MAX 2
#define CALL_NAME_MAX 192

struct route;

/* Of headers that must not be given twice the server takes none and sets `malformed`. NULL: not given. */
struct call_headers {
	const char *host, *origin, *fetch_site, *authorization, *cookie, *csrf;
	const char *content_type, *content_length, *accept, *accept_language, *accept_encoding, *if_match, *if_none_match,
		*last_event_id;
};

enum principal_kind {
	PRINCIPAL_NOBODY,
	PRINCIPAL_LOCAL,   /* nobody is asked: somebody on this machine */
	PRINCIPAL_TOKEN,   /* Authorization: Bearer */
	PRINCIPAL_SESSION, /* the console's cookie */
};

/* Who calls. */
struct principal {
	enum principal_kind kind;
	enum service_role role;
	char who[CALL_NAME_MAX]; /* for the audit log: "token:ci", "local" */
};

struct call {
	const char *method;
	const char *target; /* of the request line */
	size_t head_len;    /* bytes of request line and headers */
	struct call_headers headers;
	bool malformed; /* a header twice that may be there once */
	bool secure;    /* over TLS */
	const struct sockaddr *peer;
	char from[64]; /* its address as text, without port */
	struct slice body;

	struct uri uri;
	enum uri_answer uri_answer;
	const struct route *route;
	const char *arguments[CALL_ARGUMENTS_MAX]; /* what stands for {...} in the route's path */
	struct principal principal;
	const char *type; /* of the answer, of those that the route has: what Accept prefers */
	json_t *json;     /* the body, as its schema says; NULL: there is none, or the route takes a task document */
};

/* Does the method say that something is to change? */
static inline bool call_changes(const struct call *call)
{
	return strcmp(call->method, "GET") != 0 && strcmp(call->method, "HEAD") != 0 && strcmp(call->method, "OPTIONS") != 0;
}

/* For the audit log of the service; points into the call. */
static inline struct service_caller call_caller(const struct call *call)
{
	return (struct service_caller){call->principal.who, call->from};
}

#endif
