#include "source/line.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "peer/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_SIZE (256u << 10)
#define READS_A_TURN 4 /* then the loop's other business gets its turn */
#define ANSWER_MAX CLIENT_REPLY_MAX
#define NODES_MIN 64
#define NODES_MAX (1u << 20)
#define OUT_MAX (1u << 30)
#define STRINGS_MAX 16

struct line {
	struct loop *loop;
	struct stream *stream; /* NULL: lost */
	struct idle *again;
	struct line_events events;
	void *owner;
	const struct credentials *credentials;
	char peer[ENDPOINT_TEXT_MAX];
	char group[24];
	enum error_kind blame;
	bool connected;
	uint32_t hello;    /* answers to AUTH and CLIENT SETNAME that are still to come */
	bool hello_auth;   /* the next of them is that of AUTH */
	struct buffer out; /* requests */
	struct buffer hello_out;
	struct buffer in;
	struct resp_node *nodes;
	uint32_t nodes_cap;
	uint64_t bulk_total, bulk_left; /* of a long bulk under way, with its last CRLF; 0: none is */
	bool paused;
	uint64_t heard_us;
	struct error error; /* why it was lost */
	bool refused;
};

/* Told on the next turn, so that the owner may free the line then. */
static void lose(struct line *line, const struct error *error, bool refused)
{
	stream_free(line->stream);
	line->stream = NULL;
	line->error = *error;
	line->refused = refused;
	idle_start(line->again);
}

/* ---- sending ---- */

static void watch_writing(struct line *line)
{
	bool wanted = line->connected &&
		      (buffer_readable(&line->hello_out).len > 0 || (line->hello == 0 && buffer_readable(&line->out).len > 0));

	if (line->stream)
		stream_want_write(line->stream, wanted);
}

static void on_writable(void *owner)
{
	struct line *line = owner;
	struct buffer *out = buffer_readable(&line->hello_out).len > 0 ? &line->hello_out : &line->out;
	struct slice bytes = buffer_readable(out);
	struct iovec piece = {(void *)(uintptr_t)bytes.data, bytes.len};
	struct error error;
	ssize_t sent;

	if (bytes.len > 0) {
		sent = stream_write(line->stream, &piece, 1, &error);
		if (sent < 0) {
			lose(line, &error, false);
			return;
		}
		buffer_consumed(out, (size_t)sent);
		if (out == &line->hello_out && buffer_readable(out).len == 0) {
			memory_wipe(out->data, out->cap); /* the password was in it */
			buffer_free(out);
		}
	}
	watch_writing(line);
}

void line_send(struct line *line, uint32_t argc, const struct slice *argv)
{
	if (!line->stream)
		return; /* its owner is told already */
	if (!resp_command_write(&line->out, argc, argv))
		assert(!"owners bound what they send ahead");
	watch_writing(line);
}

void line_send_bytes(struct line *line, struct slice requests)
{
	if (!line->stream)
		return;
	if (!buffer_append_slice(&line->out, requests))
		assert(!"owners bound what they send ahead");
	watch_writing(line);
}

void line_send_strings(struct line *line, ...)
{
	struct slice argv[STRINGS_MAX];
	uint32_t argc = 0;
	const char *text;
	va_list args;

	va_start(args, line);
	while ((text = va_arg(args, const char *)) != NULL) {
		assert(argc < STRINGS_MAX);
		argv[argc++] = slice_of_string(text);
	}
	va_end(args);
	line_send(line, argc, argv);
}

/* ---- answers ---- */

/* False: the line is lost. */
static bool take_hello(struct line *line, const struct resp_node *node)
{
	struct refuser refuser = {line->peer, line->group, line->blame};
	struct error error;

	if (line->hello_auth && node->type == RESP_ERROR) {
		refusal_explain_auth(&refuser, line->credentials, node->text, &error);
		/* One that is starting lets nobody in, and will. */
		lose(line, &error, !slice_starts_with(node->text, SLICE("LOADING")));
		return false;
	}
	line->hello_auth = false;
	if (--line->hello == 0) {
		line->events.ready(line->owner);
		watch_writing(line);
	}
	return true;
}

/* A bulk's announced length, when it is a long one whose header is here; 0: not. */
static uint64_t long_bulk(struct slice in, size_t *header)
{
	const uint8_t *end = memchr(in.data, '\n', in.len < 32 ? in.len : 32);
	uint64_t len;

	if (in.data[0] != '$' || !end || end - in.data < 3 ||
	    !slice_to_uint64(slice_make(in.data + 1, (size_t)(end - in.data) - 2), &len) || len <= LINE_WHOLE_MAX ||
	    len > (uint64_t)RESP_BULK_MAX)
		return 0;
	*header = (size_t)(end - in.data) + 1;
	return len;
}

static void take_piece(struct line *line, struct slice in)
{
	uint64_t data_left = line->bulk_left > 2 ? line->bulk_left - 2 : 0;
	size_t data = in.len < data_left ? in.len : (size_t)data_left;
	size_t taken = in.len < line->bulk_left ? in.len : (size_t)line->bulk_left;
	bool last = taken == line->bulk_left;
	uint64_t total = line->bulk_total;

	line->bulk_left -= taken;
	if (data > 0 || last)
		line->events.piece(line->owner, total, slice_make(in.data, data), last ? 0 : line->bulk_left);
	buffer_consumed(&line->in, taken);
}

static bool parse_whole(struct line *line, struct slice in, struct parse_fault *fault)
{
	uint64_t taken;

	for (;;) {
		if (line->nodes_cap > 0 && resp_reply_parse(in, line->nodes, line->nodes_cap, &taken, fault) == PARSE_OK)
			return true;
		/* No value takes less than three bytes: with so many nodes it was not for want of room. */
		if (line->nodes_cap > in.len / 3 || line->nodes_cap >= NODES_MAX)
			return false;
		line->nodes_cap = line->nodes_cap ? line->nodes_cap * 4 : NODES_MIN;
		line->nodes = memory_realloc_array(line->nodes, line->nodes_cap, sizeof(line->nodes[0]));
	}
}

static void fail_parsing(struct line *line, const struct parse_fault *fault)
{
	struct error error;

	error_set(&error, line->blame, "%s: an answer cannot be read: byte %llu: %s", line->peer,
		  (unsigned long long)fault->offset, fault->what);
	lose(line, &error, false);
}

/* One answer, or a piece of one. False: there is none, or the line is lost. */
static bool take_next(struct line *line)
{
	struct slice in = buffer_readable(&line->in);
	struct parse_fault fault = {0, ""};
	struct resp_skim skim;
	size_t header;

	if (in.len == 0)
		return false;
	if (line->bulk_left > 0) {
		take_piece(line, in);
		return line->stream != NULL;
	}
	line->bulk_total = line->hello == 0 && line->events.piece ? long_bulk(in, &header) : 0;
	if (line->bulk_total > 0) {
		line->bulk_left = line->bulk_total + 2;
		buffer_consumed(&line->in, header);
		return true;
	}
	switch (resp_reply_skim(in, &skim, &fault)) {
	case PARSE_MORE: return false;
	case PARSE_BAD: fail_parsing(line, &fault); return false;
	case PARSE_OK: break;
	}
	if (!parse_whole(line, slice_make(in.data, (size_t)skim.taken), &fault)) {
		fail_parsing(line, &fault);
		return false;
	}
	if (line->hello > 0) {
		if (!take_hello(line, line->nodes))
			return false;
	} else {
		line->events.answer(line->owner, line->nodes, line->nodes[0].span);
	}
	if (!line->stream)
		return false;
	buffer_consumed(&line->in, (size_t)skim.taken);
	return true;
}

static void take_all(struct line *line)
{
	while (!line->paused && take_next(line))
		;
	if (line->stream && line->events.idle)
		line->events.idle(line->owner);
}

static void on_readable(void *owner)
{
	struct line *line = owner;
	struct error error;
	ssize_t got = 1;

	for (unsigned reads = 0; got > 0 && reads < READS_A_TURN && !line->paused && line->stream; reads++) {
		size_t room;
		uint8_t *out;

		if (!buffer_reserve(&line->in, READ_SIZE)) {
			error_set(&error, line->blame, "%s: an answer is longer than %u bytes", line->peer, ANSWER_MAX);
			lose(line, &error, false);
			return;
		}
		out = buffer_room(&line->in, &room);
		got = stream_read(line->stream, out, room < READ_SIZE ? room : READ_SIZE, &error);
		if (got > 0) {
			buffer_produced(&line->in, (size_t)got);
			line->heard_us = clock_monotonic_us();
			take_all(line);
		}
	}
	if (got < 0)
		lose(line, &error, false);
}

static void on_again(void *owner)
{
	struct line *line = owner;

	struct error error = line->error; /* its owner will free the line, and goes on with it */

	if (!line->stream) {
		line->events.lost(line->owner, &error, line->refused);
		return;
	}
	take_all(line);
	if (line->stream)
		stream_want_read(line->stream, !line->paused);
}

void line_pause(struct line *line, bool paused)
{
	if (line->paused == paused || !line->stream)
		return;
	line->paused = paused;
	if (paused) {
		stream_want_read(line->stream, false);
	} else {
		line->heard_us = clock_monotonic_us();
		idle_start(line->again);
	}
}

/* ---- the connection ---- */

static void on_connected(void *owner)
{
	struct line *line = owner;

	line->connected = true;
	line->heard_us = clock_monotonic_us();
	if (line->hello == 0)
		line->events.ready(line->owner);
	watch_writing(line);
}

static void on_failed(void *owner, const struct error *error)
{
	lose(owner, error, false);
}

static void make_hello(struct line *line, const char *name)
{
	const struct credentials *credentials = line->credentials;
	char *password = credentials_password(credentials);
	bool fits = true;

	/* Room for all of it at once: a buffer that grows leaves a copy of the password behind. */
	if (password) {
		fits = buffer_reserve(&line->hello_out, 2 * strlen(password) + 4096);
		if (credentials->username)
			fits = fits &&
			       resp_command_write_strings(&line->hello_out, "AUTH", credentials->username, password, NULL);
		else
			fits = fits && resp_command_write_strings(&line->hello_out, "AUTH", password, NULL);
		line->hello_auth = true;
		line->hello++;
	}
	credentials_forget(password);
	if (name) {
		fits = fits && resp_command_write_strings(&line->hello_out, "CLIENT", "SETNAME", name, NULL);
		line->hello++;
	}
	assert(fits);
	(void)fits;
}

struct line *line_new(struct loop *loop, const struct client_options *options, const struct line_events *events, void *owner)
{
	static const struct stream_events stream_events = {on_connected, on_readable, on_writable, on_failed};
	struct line *line = memory_alloc_zero(1, sizeof(*line));
	struct stream_options stream = {
		.endpoint = options->endpoint,
		.tls = options->tls,
		.tls_name = options->tls_name,
		.connect_timeout_ms = options->timeout_ms,
		.blame = options->blame,
	};

	line->loop = loop;
	line->events = *events;
	line->owner = owner;
	line->credentials = options->credentials;
	line->blame = options->blame;
	snprintf(line->group, sizeof(line->group), "%s", options->group ? options->group : "source");
	endpoint_format(&options->endpoint, line->peer);
	buffer_init(&line->out, OUT_MAX);
	buffer_init(&line->hello_out, OUT_MAX);
	buffer_init(&line->in, ANSWER_MAX);
	line->heard_us = clock_monotonic_us();
	line->again = idle_new(loop, on_again, line);
	make_hello(line, options->name);
	line->stream = stream_connect(loop, &stream, &stream_events, line);
	return line;
}

void line_free(struct line *line)
{
	if (!line)
		return;
	stream_free(line->stream);
	idle_free(line->again);
	if (line->hello_out.data)
		memory_wipe(line->hello_out.data, line->hello_out.cap);
	buffer_free(&line->hello_out);
	buffer_free(&line->out);
	buffer_free(&line->in);
	free(line->nodes);
	free(line);
}

bool line_ready(const struct line *line)
{
	return line->stream && line->connected && line->hello == 0;
}

const char *line_peer(const struct line *line)
{
	return line->peer;
}

uint64_t line_heard_us(const struct line *line)
{
	return line->heard_us;
}
