#include "source/listener.h"

#include "base/clock.h"
#include "base/memory.h"
#include "peer/refusal.h"

#include <stdlib.h>

static const char keyevent[] = "__keyevent@*__:*";
static const char keyspace[] = "__keyspace@*__:*";

struct listener {
	struct line *line;
	struct listener_events events;
	void *owner;
	unsigned channels;
	uint32_t awaited; /* answers to PSUBSCRIBE */
	bool listening, barrier;
	bool put_off;        /* an answer to the barrier said: not now */
	uint64_t barrier_us; /* when it was sent */
	bool dead;           /* the subscription was refused: the error is told when the line has ended */
	bool denied;
	struct idle *refused;
	struct error error;
};

bool listener_parse(struct slice channel, struct slice message, uint32_t *db, struct slice *key)
{
	bool is_event = slice_starts_with(channel, SLICE("__keyevent@"));
	const size_t prefix = sizeof("__keyevent@") - 1;
	const uint8_t *end;
	uint64_t number;

	if (!is_event && !slice_starts_with(channel, SLICE("__keyspace@")))
		return false;
	end = memmem(channel.data + prefix, channel.len - prefix, "__:", 3);
	if (!end || !slice_to_uint64(slice_make(channel.data + prefix, (size_t)(end - channel.data) - prefix), &number) ||
	    number > INT32_MAX)
		return false;
	*db = (uint32_t)number;
	*key = is_event ? message : slice_make(end + 3, channel.len - (size_t)(end + 3 - channel.data));
	return true;
}

static bool has(struct slice setting, char flag)
{
	return setting.len > 0 && memchr(setting.data, flag, setting.len) != NULL;
}

bool listener_setting(struct slice setting, bool streams, unsigned *channels, char wanted[32])
{
	static const char classes[] = "g$lshzxet",
			  others[] = "mndoc"; /* of no concern here, or for modules; the operator may have set them */
	bool all = has(setting, 'A');
	size_t len = 0;

	for (const char *class = classes; *class && !all; class ++) {
		if (!has(setting, *class) && (*class != 't' || streams))
			break;
		all = class[1] == '\0';
	}
	/* One message for each change is enough. */
	*channels = has(setting, 'E') ? LISTENER_KEYEVENT : LISTENER_KEYSPACE;
	if (has(setting, 'K'))
		wanted[len++] = 'K';
	if (has(setting, 'E') || len == 0)
		wanted[len++] = 'E';
	wanted[len++] = 'A';
	for (const char *other = others; *other; other++)
		if (has(setting, *other) && *other != 'd')
			wanted[len++] = *other;
	wanted[len] = '\0';
	return all && (has(setting, 'E') || has(setting, 'K'));
}

static void subscribe(struct listener *listener)
{
	if (listener->channels & LISTENER_KEYEVENT)
		line_send_strings(listener->line, "PSUBSCRIBE", keyevent, NULL);
	if (listener->channels & LISTENER_KEYSPACE)
		line_send_strings(listener->line, "PSUBSCRIBE", keyspace, NULL);
	listener->awaited = (listener->channels & LISTENER_KEYEVENT ? 1 : 0) + (listener->channels & LISTENER_KEYSPACE ? 1 : 0);
}

static void on_ready(void *owner)
{
	subscribe(owner);
}

static void on_subscribed(struct listener *listener)
{
	if (listener->awaited == 0 || --listener->awaited > 0)
		return;
	if (!listener->listening) {
		listener->listening = true;
		listener->events.listening(listener->owner);
	} else if (listener->barrier) {
		listener->barrier = false;
		listener->events.passed(listener->owner, !listener->put_off);
	}
}

static void on_refused(void *owner)
{
	struct listener *listener = owner;

	struct error error = listener->error; /* its owner will free the listener, and goes on with it */

	listener->events.lost(listener->owner, &error, listener->denied);
}

static void on_answer(void *owner, const struct resp_node *nodes, uint32_t count)
{
	struct listener *listener = owner;
	struct refuser refuser = {line_peer(listener->line), "source", ERROR_SOURCE};
	uint32_t db;
	struct slice key;

	(void)count;
	if (listener->dead)
		return;
	if (nodes[0].type == RESP_ERROR && listener->listening && slice_starts_with(nodes[0].text, SLICE("BUSY"))) {
		/* A script keeps the server busy; the subscription stays. */
		listener->put_off = true;
		on_subscribed(listener);
		return;
	}
	if (nodes[0].type == RESP_ERROR) {
		refusal_explain(&refuser, "PSUBSCRIBE", nodes[0].text, &listener->error);
		if (slice_starts_with(nodes[0].text, SLICE("NOPERM")))
			error_hint(
				&listener->error,
				"source.mode: scan follows changes by keyspace notifications: the user needs +psubscribe allchannels");
		listener->dead = true;
		listener->denied = slice_starts_with(nodes[0].text, SLICE("NOPERM"));
		idle_start(listener->refused);
		return;
	}
	if (nodes[0].type != RESP_ARRAY || nodes[0].count < 3)
		return;
	if (slice_equal_nocase(nodes[1].text, SLICE("psubscribe")))
		on_subscribed(listener);
	else if (nodes[0].count == 4 && nodes[0].span == 5 && slice_equal_nocase(nodes[1].text, SLICE("pmessage")) &&
		 listener_parse(nodes[3].text, nodes[4].text, &db, &key))
		listener->events.told(listener->owner, db, key);
}

static void on_lost(void *owner, const struct error *error, bool refused)
{
	struct listener *listener = owner;

	if (!listener->dead)
		listener->events.lost(listener->owner, error, refused);
}

struct listener *listener_new(struct loop *loop, const struct client_options *options, unsigned channels,
			      const struct listener_events *events, void *owner)
{
	static const struct line_events line_events = {on_ready, on_answer, NULL, NULL, on_lost};
	struct listener *listener = memory_alloc_zero(1, sizeof(*listener));

	listener->events = *events;
	listener->owner = owner;
	listener->channels = channels;
	listener->refused = idle_new(loop, on_refused, listener);
	listener->line = line_new(loop, options, &line_events, listener);
	return listener;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	line_free(listener->line);
	idle_free(listener->refused);
	free(listener);
}

bool listener_listening(const struct listener *listener)
{
	return listener && listener->listening && !listener->dead;
}

/* Subscribing again to what one is subscribed to changes nothing and is answered; PING is no command of subscribers before Redis 3.0. */
bool listener_barrier(struct listener *listener)
{
	if (!listener_listening(listener) || listener->barrier)
		return false;
	listener->barrier = true;
	listener->put_off = false;
	listener->barrier_us = clock_monotonic_us();
	subscribe(listener);
	return true;
}

uint64_t listener_silence_us(const struct listener *listener)
{
	uint64_t heard = line_heard_us(listener->line);

	return listener->barrier ? clock_monotonic_us() - (heard > listener->barrier_us ? heard : listener->barrier_us) : 0;
}
