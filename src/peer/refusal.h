/* A server's error replies, put into words that say what to do.
 * Secrets: of an answer to AUTH nothing is repeated that may hold the password.
 * Thread: none. */
#ifndef KEYFERRY_PEER_REFUSAL_H
#define KEYFERRY_PEER_REFUSAL_H

#include "base/slice.h"
#include "task/options.h"

/* Who refused, and where hints point. */
struct refuser {
	const char *peer;  /* "10.0.0.1:6379" */
	const char *group; /* group of options: "source", "target.sentinel" */
	enum error_kind blame;
};

/* `text` is the error reply to `command` ("CLUSTER SHARDS"), without its '-'. */
void refusal_explain(const struct refuser *refuser, const char *command, struct slice text, struct error *error);
/* The same for AUTH with these credentials. */
void refusal_explain_auth(const struct refuser *refuser, const struct credentials *credentials, struct slice text,
			  struct error *error);

#endif
