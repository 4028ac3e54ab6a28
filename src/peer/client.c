#include "peer/client.h"

#include "peer/refusal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define REQUESTS_BYTES_MAX (1u << 30) /* waiting to be sent */
#define NODES_MAX (1u << 20)          /* values in one reply */
#define READ_SIZE (16 * 1024)
#define NAME_MAX_LEN 40
#define STOP_LOOK_US 100000

/* A command whose reply is still to come. */
struct request {
	client_callback *callback;
	void *owner;
	char name[NAME_MAX_LEN]; /* "CLUSTER SHARDS": for errors */
};

/* What a reply was parsed into, with the memory behind it. */
struct reply_room {
	struct buffer in;
	struct resp_node *nodes;
	uint32_t nodes_cap;
};

struct client {
	struct loop *loop;
	struct stream *stream;
	struct timer *timer; /* silence while requests wait */
	struct idle *idle;   /* answers requests that were sent when it was dead already */
	char peer[ENDPOINT_TEXT_MAX];
	const struct credentials *credentials;
	enum error_kind blame;
	char group[24]; /* "source": where hints point */
	uint32_t timeout_ms;
	const atomic_bool *stop; /* of client_call() */

	bool tls;
	bool connected;
	bool dead;
	bool too_long;      /* the requests outgrew their buffer: dies on the next turn */
	bool answered;      /* at least one reply was understood */
	int busy;           /* depth of callbacks under way */
	bool freed;         /* by client_free() in a callback */
	struct error error; /* why dead */
	void (*on_dead)(void *owner, const struct error *error);
	void *on_dead_owner;

	struct buffer hello;    /* AUTH and CLIENT SETNAME: nothing else is sent before they are answered */
	uint32_t hello_replies; /* still to come */
	struct buffer out;

	struct request *requests; /* ring */
	uint32_t requests_cap;    /* a power of two, or 0 */
	uint32_t requests_head;
	uint32_t requests_count;

	struct reply_room room;
	struct reply_room kept; /* of the last client_call() */
	bool keep;              /* the reply at hand is to stay */
};

/* ---- requests ---- */

static void request_push(struct client *client, const char *name, client_callback *callback, void *owner)
{
	struct request *request;

	if (client->requests_count == client->requests_cap) {
		uint32_t cap = client->requests_cap ? client->requests_cap * 2 : 16;
		struct request *ring = memory_alloc_zero(cap, sizeof(*ring));

		for (uint32_t i = 0; i < client->requests_count; i++)
			ring[i] = client->requests[(client->requests_head + i) & (client->requests_cap - 1)];
		free(client->requests);
		client->requests = ring;
		client->requests_cap = cap;
		client->requests_head = 0;
	}
	request = &client->requests[(client->requests_head + client->requests_count++) & (client->requests_cap - 1)];
	request->callback = callback;
	request->owner = owner;
	snprintf(request->name, sizeof(request->name), "%s", name);
}

static struct request request_pop(struct client *client)
{
	struct request request = client->requests[client->requests_head];

	client->requests_head = (client->requests_head + 1) & (client->requests_cap - 1);
	client->requests_count--;
	return request;
}

static const char *first_name(const struct client *client)
{
	return client->requests_count > 0 ? client->requests[client->requests_head].name : "a command";
}

static size_t word_upper(struct slice word, char *out, size_t cap)
{
	size_t len = word.len < cap ? word.len : cap - 1;

	for (size_t i = 0; i < len; i++)
		out[i] = isprint(word.data[i]) ? (char)toupper(word.data[i]) : '?';
	out[len] = '\0';
	return len;
}

/* "GET", "CLUSTER SHARDS": the command and, where it is one word of several, the sub-command; never another argument. */
static void command_name(uint32_t argc, const struct slice *argv, char out[NAME_MAX_LEN])
{
	static const char *const containers[] = {"ACL",    "CLIENT", "CLUSTER", "COMMAND", "CONFIG",   "FUNCTION", "LATENCY",
						 "MEMORY", "MODULE", "OBJECT",  "SCRIPT",  "SENTINEL", "XGROUP",   "XINFO"};
	size_t used = word_upper(argv[0], out, NAME_MAX_LEN);
	bool container = false;

	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++)
		container = container || strcmp(out, containers[i]) == 0;
	if (!container || argc < 2 || used + 2 > NAME_MAX_LEN)
		return;
	out[used++] = ' ';
	word_upper(argv[1], out + used, NAME_MAX_LEN - used);
}

/* ---- ends ---- */

static void room_free(struct reply_room *room)
{
	buffer_free(&room->in);
	free(room->nodes);
}

static void client_release(struct client *client)
{
	room_free(&client->room);
	room_free(&client->kept);
	buffer_free(&client->out);
	free(client->requests);
	free(client);
}

/* Forgets the password in the buffer, too. */
static void hello_wipe(struct client *client)
{
	if (client->hello.data)
		memory_wipe(client->hello.data, client->hello.cap);
	buffer_free(&client->hello);
}

/* Calls back; false: the client was freed meanwhile and must not be touched. */
static bool client_tell(struct client *client, const struct request *request, const struct client_reply *reply,
			const struct error *error)
{
	client->busy++;
	if (request->callback)
		request->callback(request->owner, reply, error);
	client->busy--;
	if (!client->freed)
		return true;
	if (client->busy == 0)
		client_release(client);
	return false;
}

/* Answers what waits now with the error; requests made by the callbacks wait for the idle turn. */
static bool client_refuse_all(struct client *client)
{
	for (uint32_t left = client->requests_count; left > 0; left--) {
		struct request request = request_pop(client);

		if (!client_tell(client, &request, NULL, &client->error))
			return false;
	}
	return true;
}

/* The client may be gone afterwards. */
static void client_die(struct client *client, const struct error *error)
{
	client->dead = true;
	client->error = *error;
	stream_free(client->stream);
	client->stream = NULL;
	timer_stop(client->timer);
	buffer_clear(&client->out);
	hello_wipe(client);
	if (!client_refuse_all(client))
		return;
	if (client->on_dead) {
		client->busy++;
		client->on_dead(client->on_dead_owner, &client->error);
		client->busy--;
		if (client->freed && client->busy == 0)
			client_release(client);
	}
}

static void client_idle(void *owner)
{
	struct client *client = owner;
	struct error error;

	if (client->dead) {
		client_refuse_all(client);
	} else if (client->too_long) {
		error_set(&error, client->blame, "%s: more than %u bytes of requests wait to be sent", client->peer,
			  REQUESTS_BYTES_MAX);
		client_die(client, &error);
	}
}

static void client_timeout(void *owner)
{
	struct client *client = owner;
	struct error error;

	error_set(&error, client->blame, "%s: no answer to %s within %g s", client->peer, first_name(client),
		  client->timeout_ms / 1000.0);
	client_die(client, &error);
}

/* ---- errors ---- */

static struct refuser refuser_of(const struct client *client)
{
	return (struct refuser){client->peer, client->group, client->blame};
}

static void explain_garbage(const struct client *client, const struct parse_fault *fault, struct error *error)
{
	struct slice in = buffer_readable(&client->room.in);
	char quoted[80];

	if (in.len >= 2 && in.data[0] == 0x15 && in.data[1] == 0x03) {
		/* A TLS record of type alert: the answer of a TLS server to plain text. */
		error_set(error, client->blame, "%s: the server speaks TLS on this port", client->peer);
		error_hint(error, "turn on %s.tls", client->group);
	} else if (!client->answered) {
		error_set(error, client->blame, "%s: not a Redis or Valkey server: it answers %s", client->peer,
			  slice_quote(slice_make(in.data, in.len < 32 ? in.len : 32), quoted, sizeof(quoted)));
		error_hint(error, "check host and port");
	} else {
		error_set(error, client->blame, "%s: the answer to %s cannot be read: byte %llu: %s", client->peer,
			  first_name(client), (unsigned long long)fault->offset, fault->what);
	}
}

/* The connection ended while a command waited: its name says more than the mere end. */
static void explain_end(const struct client *client, struct error *error)
{
	size_t used = strlen(error->text);

	if (client->requests_count == 0 || error->hint[0] != '\0')
		return;
	snprintf(error->text + used, sizeof(error->text) - used, " instead of answering %s", first_name(client));
	if (!client->answered && !client->tls)
		error_hint(error, "if the server speaks TLS on this port, turn on %s.tls", client->group);
}

/* ---- replies ---- */

static void client_watch_silence(struct client *client)
{
	if (client->requests_count > 0 && client->connected)
		timer_start(client->timer, client->timeout_ms);
	else
		timer_stop(client->timer);
}

/* Parses the reply that is whole; the array of nodes grows to what it needs. */
static bool reply_parse(struct client *client, struct slice in, struct client_reply *ret, struct parse_fault *fault)
{
	struct reply_room *room = &client->room;
	uint64_t taken;

	for (;;) {
		if (room->nodes_cap > 0 && resp_reply_parse(in, room->nodes, room->nodes_cap, &taken, fault) == PARSE_OK) {
			*ret = (struct client_reply){room->nodes, room->nodes[0].span};
			return true;
		}
		/* No value takes less than three bytes: with so many nodes it was not for want of room. */
		if (room->nodes_cap > in.len / 3 || room->nodes_cap >= NODES_MAX)
			return false;
		room->nodes_cap = room->nodes_cap ? room->nodes_cap * 4 : 64;
		room->nodes = memory_realloc_array(room->nodes, room->nodes_cap, sizeof(*room->nodes));
	}
}

/* After the reply of client_call(): its bytes stay where they are, what follows them moves on. */
static void room_keep(struct client *client, size_t taken)
{
	struct reply_room spare = client->kept;
	struct slice rest = buffer_readable(&client->room.in);

	buffer_clear(&spare.in);
	if (!buffer_append(&spare.in, rest.data + taken, rest.len - taken))
		assert(!"both buffers have the same limit");
	client->kept = client->room;
	client->room = spare;
	client->keep = false;
}

/* Hands out the replies that are in. False: the client is dead or gone. */
static bool client_take_replies(struct client *client)
{
	struct refuser refuser = refuser_of(client);

	for (;;) {
		struct slice in = buffer_readable(&client->room.in);
		struct parse_fault fault = {0, ""};
		struct client_reply reply;
		struct resp_skim skim;
		struct request request;
		struct error error;
		enum parse result;

		if (in.len == 0)
			return true;
		result = resp_reply_skim(in, &skim, &fault);
		if (result == PARSE_MORE)
			return true;
		if (result == PARSE_OK && client->requests_count == 0) {
			if (skim.type == RESP_ERROR)
				refusal_explain(&refuser, "connecting", skim.text, &error);
			else
				error_set(&error, client->blame, "%s: sent an answer that nothing was asked for", client->peer);
			client_die(client, &error);
			return false;
		}
		if (result == PARSE_BAD || !reply_parse(client, slice_make(in.data, skim.taken), &reply, &fault)) {
			explain_garbage(client, &fault, &error);
			client_die(client, &error);
			return false;
		}
		client->answered = true;
		request = request_pop(client);
		if (!client_tell(client, &request, &reply, NULL))
			return false;
		if (client->dead)
			return false;
		if (client->keep)
			room_keep(client, skim.taken);
		else
			buffer_consumed(&client->room.in, skim.taken);
	}
}

static void client_readable(void *owner)
{
	struct client *client = owner;
	struct buffer *in = &client->room.in;
	struct error error;
	ssize_t n;

	/* Everything that is there first: a long reply is then looked at seldom. */
	do {
		size_t room;
		uint8_t *out;

		if (!buffer_reserve(in, READ_SIZE)) {
			error_set(&error, client->blame, "%s: the answer to %s is longer than %u bytes", client->peer,
				  first_name(client), CLIENT_REPLY_MAX);
			client_die(client, &error);
			return;
		}
		out = buffer_room(in, &room);
		n = stream_read(client->stream, out, room, &error);
		if (n > 0)
			buffer_produced(in, (size_t)n);
	} while (n > 0);
	if (!client_take_replies(client))
		return;
	if (n < 0) {
		explain_end(client, &error);
		client_die(client, &error);
		return;
	}
	client_watch_silence(client);
}

/* ---- sending ---- */

static void client_writable(void *owner)
{
	struct client *client = owner;
	bool ready = client->hello_replies == 0;
	struct buffer *out = ready ? &client->out : &client->hello;
	struct slice bytes = buffer_readable(out);
	struct error error;

	if (bytes.len > 0) {
		struct iovec piece = {(void *)bytes.data, bytes.len};
		ssize_t n = stream_write(client->stream, &piece, 1, &error);

		if (n < 0) {
			client_die(client, &error);
			return;
		}
		buffer_consumed(out, (size_t)n);
	}
	if (buffer_readable(out).len == 0) {
		stream_want_write(client->stream, false);
		if (!ready)
			hello_wipe(client);
	}
}

static void client_connected(void *owner)
{
	struct client *client = owner;

	client->connected = true;
	client_watch_silence(client);
	stream_want_write(client->stream, client->requests_count > 0);
}

static void client_failed(void *owner, const struct error *error)
{
	client_die(owner, error);
}

static void hello_answered(struct client *client)
{
	if (--client->hello_replies == 0 && buffer_readable(&client->out).len > 0)
		stream_want_write(client->stream, true);
}

static void auth_answered(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct client *client = owner;
	struct refuser refuser = refuser_of(client);
	struct error refusal;

	if (error)
		return;
	if (reply->nodes[0].type == RESP_ERROR) {
		refusal_explain_auth(&refuser, client->credentials, reply->nodes[0].text, &refusal);
		client_die(client, &refusal);
		return;
	}
	hello_answered(client);
}

static void setname_answered(void *owner, const struct client_reply *reply, const struct error *error)
{
	(void)reply;
	if (!error)
		hello_answered(owner);
}

static void hello_make(struct client *client, const char *name)
{
	const struct credentials *credentials = client->credentials;
	char *password = credentials_password(credentials);
	bool ok = true;

	/* Room for all of it at once: a buffer that grows leaves a copy of the password behind. */
	if (password || name)
		ok = buffer_reserve(&client->hello, 2 * (password ? strlen(password) : 0) + 4096);
	if (password) {
		if (credentials->username)
			ok = ok && resp_command_write_strings(&client->hello, "AUTH", credentials->username, password, NULL);
		else
			ok = ok && resp_command_write_strings(&client->hello, "AUTH", password, NULL);
		request_push(client, "AUTH", auth_answered, client);
		client->hello_replies++;
	}
	credentials_forget(password);
	if (name) {
		ok = ok && resp_command_write_strings(&client->hello, "CLIENT", "SETNAME", name, NULL);
		request_push(client, "CLIENT SETNAME", setname_answered, client);
		client->hello_replies++;
	}
	client->too_long = !ok;
	if (!ok)
		idle_start(client->idle);
}

struct client *client_new(struct loop *loop, const struct client_options *options)
{
	static const struct stream_events events = {client_connected, client_readable, client_writable, client_failed};
	struct client *client = memory_alloc_zero(1, sizeof(*client));
	struct stream_options stream_options = {
		.endpoint = options->endpoint,
		.tls = options->tls,
		.tls_name = options->tls_name,
		.blame = options->blame,
	};

	client->loop = loop;
	client->credentials = options->credentials;
	client->tls = options->tls != NULL;
	client->blame = options->blame;
	snprintf(client->group, sizeof(client->group), "%s",
		 options->group                   ? options->group
		 : options->blame == ERROR_TARGET ? "target"
						  : "source");
	client->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	client->stop = options->stop;
	stream_options.connect_timeout_ms = client->timeout_ms;
	endpoint_format(&options->endpoint, client->peer);
	buffer_init(&client->hello, 1u << 20);
	buffer_init(&client->out, REQUESTS_BYTES_MAX);
	buffer_init(&client->room.in, CLIENT_REPLY_MAX);
	buffer_init(&client->kept.in, CLIENT_REPLY_MAX);
	client->timer = timer_new(loop, client_timeout, client);
	client->idle = idle_new(loop, client_idle, client);
	client->stream = stream_connect(loop, &stream_options, &events, client);
	hello_make(client, options->name);
	return client;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	assert(!client->freed);
	stream_free(client->stream);
	client->stream = NULL;
	timer_free(client->timer);
	idle_free(client->idle);
	hello_wipe(client);
	client->freed = true;
	if (client->busy == 0)
		client_release(client);
}

void client_on_dead(struct client *client, void (*callback)(void *owner, const struct error *error), void *owner)
{
	client->on_dead = callback;
	client->on_dead_owner = owner;
}

bool client_is_dead(const struct client *client)
{
	return client->dead;
}

const char *client_peer(const struct client *client)
{
	return client->peer;
}

struct loop *client_loop(const struct client *client)
{
	return client->loop;
}

uint32_t client_timeout_ms(const struct client *client)
{
	return client->timeout_ms;
}

enum error_kind client_blame(const struct client *client)
{
	return client->blame;
}

void client_send(struct client *client, uint32_t argc, const struct slice *argv, client_callback *callback, void *owner)
{
	char name[NAME_MAX_LEN];
	bool first = client->requests_count == 0;

	command_name(argc, argv, name);
	request_push(client, name, callback, owner);
	if (client->dead || client->too_long) {
		idle_start(client->idle);
		return;
	}
	if (!resp_command_write(&client->out, argc, argv)) {
		client->too_long = true;
		idle_start(client->idle);
		return;
	}
	if (first)
		client_watch_silence(client);
	if (client->connected && client->hello_replies == 0)
		stream_want_write(client->stream, true);
}

#define STRINGS_MAX 64

static uint32_t strings_collect(va_list args, struct slice *argv)
{
	uint32_t argc = 0;
	const char *text;

	while ((text = va_arg(args, const char *)) != NULL) {
		assert(argc < STRINGS_MAX);
		argv[argc++] = slice_of_string(text);
	}
	return argc;
}

void client_send_strings(struct client *client, client_callback *callback, void *owner, ...)
{
	struct slice argv[STRINGS_MAX];
	uint32_t argc;
	va_list args;

	va_start(args, owner);
	argc = strings_collect(args, argv);
	va_end(args);
	client_send(client, argc, argv, callback, owner);
}

/* ---- straight line ---- */

struct call {
	struct client *client;
	struct client_reply reply;
	struct error error;
	bool failed;
	bool done;
};

static void call_answered(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct call *call = owner;

	call->done = true;
	if (error) {
		call->failed = true;
		call->error = *error;
	} else {
		call->reply = *reply;
		call->client->keep = true;
	}
}

void client_wait(struct client *client, const bool *done)
{
	struct error stopped;

	/* The client's own timer sets the limit. */
	while (!loop_run_until(client->loop, done, client->stop ? clock_monotonic_us() + STOP_LOOK_US : UINT64_MAX)) {
		if (client->dead || !atomic_load(client->stop))
			continue;
		error_set(&stopped, client->blame, "%s: given up, for keyferry is stopping", client->peer);
		/* All that waits is answered with it, so nothing is left to wait for; and the client may be gone. */
		client_die(client, &stopped);
		return;
	}
}

bool client_call(struct client *client, struct client_reply *ret, bool accept_error, struct error *error, ...)
{
	struct call call = {.client = client};
	struct refuser refuser = refuser_of(client);
	struct slice argv[STRINGS_MAX];
	char name[NAME_MAX_LEN];
	uint32_t argc;
	va_list args;

	va_start(args, error);
	argc = strings_collect(args, argv);
	va_end(args);
	client_send(client, argc, argv, call_answered, &call);
	client_wait(client, &call.done);
	if (call.failed) {
		*error = call.error;
		return false;
	}
	if (call.reply.nodes[0].type == RESP_ERROR && !accept_error) {
		command_name(argc, argv, name);
		refusal_explain(&refuser, name, call.reply.nodes[0].text, error);
		return false;
	}
	*ret = call.reply;
	return true;
}
