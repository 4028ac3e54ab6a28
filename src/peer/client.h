/* A request-and-reply connection to a Redis or Valkey server: connects, authenticates, names itself, sends commands, hands out replies
 * in order. For everything beside the data path: discovery, prechecks, heartbeat, topology, sampling.
 *
 * Two styles over one object: client_send() with a callback on a running loop, and client_call(), a straight line on a loop that
 * nobody else runs (the control thread).
 * Errors name the node and the command (never its arguments after AUTH).
 * Thread: its loop's. */
#ifndef KEYFERRY_PEER_CLIENT_H
#define KEYFERRY_PEER_CLIENT_H

#include "net/stream.h"
#include "task/options.h"
#include "wire/resp.h"

#include <stdatomic.h>

struct client;

#define CLIENT_REPLY_MAX (64u << 20) /* a longer reply is an error */

struct client_options {
	struct endpoint endpoint;
	const struct credentials *credentials; /* NULL: no AUTH; outlives the client */
	struct tls_context *tls;
	const char *tls_name;
	const char *name;    /* CLIENT SETNAME; NULL: none. An error to it is ignored (old servers, narrow ACLs). */
	uint32_t timeout_ms; /* for connecting, and for each reply; 0: 10,000 */
	enum error_kind blame;
	const atomic_bool *
		stop; /* client_call() and client_wait() end early, and the connection with them, once that is true; NULL: never */
	const char *group; /* the options' group that hints name; NULL: "source" or "target", by blame */
};

/* A reply, valid during the callback (or until the next call on this client). Node 0 is the outermost value. */
struct client_reply {
	const struct resp_node *nodes;
	uint32_t count;
};

/* error is NULL on success; an error REPLY of the server is a success with a RESP_ERROR node. On a dead connection every
 * outstanding request gets its callback once, with the reason, and then on_dead is called. */
typedef void client_callback(void *owner, const struct client_reply *reply, const struct error *error);

/* Starts connecting at once; requests sent before it is ready wait. */
struct client *client_new(struct loop *loop, const struct client_options *options);
void client_free(struct client *client); /* outstanding callbacks are not called; NULL is fine */
/* Called once when the connection failed for good: free it and make another. May be NULL. */
void client_on_dead(struct client *client, void (*callback)(void *owner, const struct error *error), void *owner);
bool client_is_dead(const struct client *client);
const char *client_peer(const struct client *client);
/* As given to client_new(). */
struct loop *client_loop(const struct client *client);
uint32_t client_timeout_ms(const struct client *client);
enum error_kind client_blame(const struct client *client);

void client_send(struct client *client, uint32_t argc, const struct slice *argv, client_callback *callback, void *owner);
/* NUL-terminated arguments, ended by NULL. */
void client_send_strings(struct client *client, client_callback *callback, void *owner, ...) __attribute__((sentinel));

/* Runs the loop until the reply is there. False: no reply (connection, timeout), or, an error REPLY: then also false, with the
 * server's text in error, unless accept_error. *ret stays valid until the next call on this client. */
bool client_call(struct client *client, struct client_reply *ret, bool accept_error, struct error *error, ...)
	__attribute__((sentinel)) WARN_UNUSED;
/* Runs the loop until *done, which a callback of one of the client's requests sets. */
void client_wait(struct client *client, const bool *done);

#endif
