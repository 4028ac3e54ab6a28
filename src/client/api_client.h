/* A client of a daemon's HTTP API (docs/api.md), one call at a time.
 *
 * It speaks to the one server that it was made for and follows no redirection and no proxy, so that a token goes nowhere else. Over TLS the server's certificate is always verified.
 * Answers, events and waiting are bounded. Nothing is retried but a stream.
 * Errors: ERROR_INTERNAL: the daemon cannot be reached, or does not answer in time; of what it refuses, those of client/refusal.h; kind ERROR_NONE: the caller was stopped meanwhile.
 * libcurl is known here only. Thread: belongs to one caller. */
#ifndef KEYFERRY_CLIENT_API_CLIENT_H
#define KEYFERRY_CLIENT_API_CLIENT_H

#include "client/event_stream.h"

#define API_CLIENT_ANSWER_MAX (64u << 20) /* bytes of an answer */
#define API_CLIENT_TOKEN_MAX 4096
#define API_CLIENT_CALL_MS 60000

struct api_client;

struct api_client_options {
	const char *server;  /* "https://host:7280", also with a path before /api: of a proxy */
	const char *token;   /* NULL: none is sent */
	const char *ca_file; /* PEM; NULL: the system's authorities */
	const char *agent;   /* "keyferry/0.1.0" */
	int stop_fd;         /* a call ends at once when it becomes readable; -1: none does */
	uint32_t connect_ms; /* 0: ten seconds */
};

/* "host:7280", "http://host:7280/", ... as api_client_new() takes it: scheme, host and port, without a slash at the end; free(). NULL: it is no such address (ERROR_USAGE). */
char *api_client_server(const char *text, struct error *error);
/* A server on this machine by its loopback address, or one over TLS: a token does not cross a network in clear. `server` is of api_client_server(). */
bool api_client_is_private(const char *server);

/* NULL: ERROR_USAGE or ERROR_INTERNAL. Texts are copied. */
struct api_client *api_client_new(const struct api_client_options *options, struct error *error);
void api_client_free(struct api_client *client);
const char *api_client_name(const struct api_client *client);
/* What the last call was refused for: the last word of its problem's type ("exists"); "": it was not refused, or by a stranger. */
const char *api_client_refusal(const struct api_client *client);

struct api_request {
	const char *method;       /* NULL: GET, or POST with a body */
	const char *path;         /* "/api/v1/tasks?limit=3", escaped */
	const char *accept;       /* NULL: application/json */
	const char *type;         /* of the body; NULL: application/json */
	const char *if_match;     /* NULL: none */
	const char *language;     /* "zh"; NULL: none is asked for */
	const struct slice *body; /* NULL: none */
	uint32_t timeout_ms;      /* 0: API_CLIENT_CALL_MS */
};

struct api_answer {
	unsigned status;
	char type[64];      /* without parameters, "" for none */
	char etag[64];      /* "" for none */
	struct buffer body; /* freed by api_answer_free() */
};

/* False: nothing is in *ret; refusals are errors. */
bool api_client_call(struct api_client *client, const struct api_request *request, struct api_answer *ret,
		     struct error *error) WARN_UNUSED;
void api_answer_free(struct api_answer *answer);

struct api_stream_events {
	event_stream_take *take;
	/* The connection was lost and the stream is asked for again; `error` says why. NULL: nobody is told. False: leave it. */
	bool (*lost)(void *owner, const struct error *error);
	/* At least four times a second, and after each piece of the stream. NULL: none. False: leave it. */
	bool (*turn)(void *owner);
};

/* Server-sent events of the path until `take` or `turn` wants no more (true), the caller is stopped, or the daemon refuses. `last_id` (NULL: none) is the Last-Event-ID to begin with. A connection
 * that is lost or silent for too long is made again, with pauses that grow to 15 s, and the stream goes on behind the last id; the very first one is not tried again.
 * `turn` and `lost` may make calls of the same client; `take` may not. */
bool api_client_stream(struct api_client *client, const char *path, const char *last_id, const struct api_stream_events *events,
		       void *owner, struct error *error) WARN_UNUSED;
/* Waits, up to that. False: stopped. */
bool api_client_pause(struct api_client *client, uint32_t ms);

#endif
