/* The listener: a subscription to a server's keyspace notifications. It says which key of which database something was done to, and when it has heard of
 * everything up to a moment.
 *
 *   connecting -> subscribing -> listening        any loss: `lost`, and a new listener has to be made, by its owner
 *
 * A server publishes a change when it makes it, and to each connection in order. So whatever was done before the answer to a request that was sent on this
 * connection (a barrier) has been told once that answer is here. What happens while nobody listens is never told.
 * Format facts: "Redis keyspace notifications" of the documentation:
 *   __keyevent@<db>__:<event>  message: the key            notify-keyspace-events with E
 *   __keyspace@<db>__:<key>    message: the event          with K
 * Within the callbacks the listener must not be freed, but for `lost`.
 * Thread: its loop's. */
#ifndef KEYFERRY_SOURCE_LISTENER_H
#define KEYFERRY_SOURCE_LISTENER_H

#include "source/line.h"

struct listener;

struct listener_events {
	void (*listening)(void *owner);
	void (*told)(void *owner, uint32_t db, struct slice key);
	void (*passed)(void *owner, bool held); /* the barrier was answered; not held: by a server that cannot say now */
	/* `denied`: the server refuses the user or the subscription. */
	void (*lost)(void *owner, const struct error *error, bool denied);
};

enum listener_channels {
	LISTENER_KEYEVENT = 1,
	LISTENER_KEYSPACE = 2, /* both: each change may be told twice, where it is not known which of them the server sends */
};

struct listener *listener_new(struct loop *loop, const struct client_options *options, unsigned channels,
			      const struct listener_events *events, void *owner);
void listener_free(struct listener *listener); /* NULL is fine */
bool listener_listening(const struct listener *listener);
/* Listening, and none under way: sends one. False: not now. */
bool listener_barrier(struct listener *listener);
/* For how long a barrier has been under way without a word from the server. */
uint64_t listener_silence_us(const struct listener *listener);

/* Whether the setting notify-keyspace-events has a server tell of every change; then *channels is what to subscribe to. Otherwise *wanted (32 bytes) is a
 * setting that does, with all that is set now. `streams`: the server has them (5.0). Pure. */
bool listener_setting(struct slice setting, bool streams, unsigned *channels, char wanted[32]);

/* Database and key of a notification; false: it is none. Pure. */
bool listener_parse(struct slice channel, struct slice message, uint32_t *db, struct slice *key);

#endif
