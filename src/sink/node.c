#include "sink/node.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "sink/question.h"
#include "sink/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_PER_WRITE 256
#define WRITE_MAX (1u << 20) /* bytes in one system call: keeps replies and other nodes served */
#define READ_MAX (64u << 10)
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 2000
#define DATABASE_UNKNOWN UINT32_MAX
/* Values from this size on leave the process's memory as soon as they are written. */
#define UNLOAD_FROM (256u << 10)

enum handshake_step { STEP_AUTH, STEP_NAME, STEP_IMPORT, STEP_ID, STEP_KILL, STEP_DONE };

struct node {
	struct endpoint endpoint;
	struct node_options options;
	const struct node_events *events;
	void *owner;
	struct stream *stream;
	struct timer *retry;
	uint32_t backoff_ms;
	bool ready, open, was_ready, stopped;
	struct floor floor;
	char *connection_name; /* guarded */
	uint32_t connections;  /* made so far */
	/* handshake */
	struct buffer hello;
	enum handshake_step steps[STEP_DONE];
	uint32_t step, step_count;
	int64_t connection_id; /* CLIENT ID of the present or last connection; 0: unknown */
	/* writing */
	struct unit_list queue;
	uint64_t queue_written; /* bytes of queue.head, prefix included, that are written */
	uint32_t db_written;    /* database selected behind everything written */
	char prefix[96];        /* of queue.head, fixed once its first byte is written */
	size_t prefix_len;
	uint64_t selected[DATABASES_MAX / 64]; /* databases that this connection has selected with success once */
	bool trying;                           /* a SELECT of its own is on its way; nothing is written behind it */
	uint32_t tried_db;
	char trial[96];
	size_t trial_len, trial_written;
	/* reading */
	struct unit_list sent;
	struct reply_reader reader;
	struct unit_answer answer; /* of the oldest unit, being put together */
	char error_text[REPLY_TEXT_MAX];
	uint8_t *in;
	size_t in_len;
	uint64_t progress_us; /* when the oldest unit, or the greeting, last came a step further */
	struct error failure; /* waits for the retry timer to be told */
	char peer[ENDPOINT_TEXT_MAX];
};

static void start_connection(struct node *node);

/* ---- connection ---- */

static struct unit *oldest(struct node *node);

static void on_member_error(void *owner, uint32_t member, const char *text)
{
	struct node *node = owner;
	struct unit *unit = node->ready ? oldest(node) : NULL;

	if (unit && (unit->flags & UNIT_FLIGHT) && unit->answered + 1 == unit->replies + unit->prefix_replies &&
	    node->events->member_error)
		node->events->member_error(node->owner, node, unit, member, text);
}

/* Forgets the password in it, too. */
static void hello_wipe(struct node *node)
{
	if (node->hello.data)
		memory_wipe(node->hello.data, node->hello.cap);
	buffer_free(&node->hello);
}

static void close_stream(struct node *node)
{
	stream_free(node->stream);
	node->stream = NULL;
	node->ready = node->open = false;
	node->in_len = 0;
	node->reader = (struct reply_reader){.member_error = on_member_error, .owner = node};
	node->db_written = DATABASE_UNKNOWN;
	node->trying = false;
	memset(node->selected, 0, sizeof(node->selected));
	hello_wipe(node);
}

/* Not told at once: the caller may be in the middle of its own lists. */
static void fail(struct node *node, const struct error *error)
{
	if (!node->stream)
		return;
	node->was_ready = node_ready(node);
	close_stream(node);
	node->failure = *error;
	timer_start(node->retry, 0);
}

static void on_retry(void *owner)
{
	struct node *node = owner;

	if (node->failure.kind != ERROR_NONE) {
		struct error error = node->failure;

		error_clear(&node->failure);
		node->backoff_ms = node->backoff_ms ? node->backoff_ms * 2 : BACKOFF_FIRST_MS;
		if (node->backoff_ms > BACKOFF_MAX_MS)
			node->backoff_ms = BACKOFF_MAX_MS;
		timer_start(node->retry, node->backoff_ms);
		node->events->lost(node->owner, node, &error);
		return;
	}
	start_connection(node);
}

static void add_step(struct node *node, enum handshake_step step, const char *a, const char *b, const char *c, const char *d)
{
	struct slice argv[4];
	uint32_t argc = 0;

	argv[argc++] = slice_of_string(a);
	argv[argc++] = slice_of_string(b);
	if (c)
		argv[argc++] = slice_of_string(c);
	if (d)
		argv[argc++] = slice_of_string(d);
	if (resp_command_write(&node->hello, argc, argv))
		node->steps[node->step_count++] = step;
}

/* What the connection before this one had sent may still wait in the server's socket and run after what we send now: it is killed first. */
static void end_predecessor(struct node *node)
{
	if (node->connection_id > 0) {
		char id[24];

		snprintf(id, sizeof(id), "%lld", (long long)node->connection_id);
		add_step(node, STEP_KILL, "CLIENT", "KILL", "ID", id);
	}
	add_step(node, STEP_ID, "CLIENT", "ID", NULL, NULL);
}

static void on_connected(void *owner)
{
	struct node *node = owner;
	const struct credentials *credentials = node->options.credentials;
	char *password = credentials_password(credentials);
	struct error error;

	node->step = node->step_count = 0;
	/* Room for all of it at once: a buffer that grows leaves a copy of the password behind. */
	if (password && !buffer_reserve(&node->hello, 2 * strlen(password) + 4096)) {
		credentials_forget(password);
		error_set(&error, ERROR_TARGET, "target %s: the password is too long to be sent", node->peer);
		fail(node, &error);
		return;
	}
	if (password && credentials->username)
		add_step(node, STEP_AUTH, "AUTH", credentials->username, password, NULL);
	else if (password)
		add_step(node, STEP_AUTH, "AUTH", password, NULL, NULL);
	credentials_forget(password);
	if (node->options.guarded) {
		free(node->connection_name);
		node->connection_name = memory_printf("%s.%u", node->options.name, ++node->connections);
	}
	add_step(node, STEP_NAME, "CLIENT", "SETNAME", node->options.guarded ? node->connection_name : node->options.name, NULL);
	if (node->options.import_source)
		add_step(node, STEP_IMPORT, "CLIENT", "IMPORT-SOURCE", "ON", NULL);
	if (!node->options.guarded)
		end_predecessor(node);
	node->progress_us = clock_monotonic_us();
	stream_want_write(node->stream, true);
}

static void on_failed(void *owner, const struct error *error)
{
	fail(owner, error);
}

/* Loading, busy with a script, too many clients, protected mode, a password that we have not: the server answers so whatever it is asked. */
static bool refuses_everybody(const struct reply *reply)
{
	return reply->has_error && (verdict_of(reply->text) == VERDICT_WAIT || strncmp(reply->text, "NOAUTH", 6) == 0 ||
				    strncmp(reply->text, "DENIED", 6) == 0);
}

/* Answers false when the connection is of no use. */
static bool take_hello_reply(struct node *node, const struct reply *reply)
{
	struct error error;

	if (refuses_everybody(reply)) {
		error_set(&error, ERROR_TARGET, "target %s: %s", node->peer, reply->text);
		fail(node, &error);
		return false;
	}
	switch (node->steps[node->step]) {
	case STEP_AUTH:
		if (!reply->has_error)
			break;
		error_set(&error, ERROR_TARGET, "target %s refuses the login: %s", node->peer, reply->text);
		error_hint(&error, "Check target.username and target.password");
		fail(node, &error);
		return false;
	case STEP_ID:
		/* Before 5.0 there is none; then the kill is left out. */
		node->connection_id = reply->type == RESP_INTEGER ? strtoll(reply->text, NULL, 10) : 0;
		break;
	case STEP_NAME:
	case STEP_IMPORT: /* refused where import mode has ended: the task looks after that */
	case STEP_KILL:   /* "No such client": it is gone already */
	case STEP_DONE: break;
	}
	if (++node->step == node->step_count) {
		node->ready = true;
		node->backoff_ms = 0;
		node->events->ready(node->owner, node);
	}
	return node->stream != NULL;
}

/* ---- replies ---- */

static struct unit *oldest(struct node *node)
{
	if (node->sent.head)
		return node->sent.head;
	return node->queue_written > 0 ? node->queue.head : NULL;
}

static void note_error(struct node *node, const struct reply *reply, uint32_t at)
{
	memcpy(node->error_text, reply->text, reply->text_len + 1);
	node->answer.error = node->error_text;
	node->answer.error_at = at;
	node->answer.error_member = reply->error_index;
	node->answer.inside_exec = reply->type == RESP_ARRAY;
}

static void write_queue(struct node *node);

/* The reply to a SELECT of its own. */
static bool take_trial_reply(struct node *node, const struct reply *reply)
{
	struct unit *unit = node->queue.head;
	struct error error;

	node->trying = false;
	if (!reply->has_error) {
		if (node->tried_db < DATABASES_MAX)
			node->selected[node->tried_db / 64] |= 1ULL << (node->tried_db % 64);
		node->db_written = node->tried_db;
	} else if (verdict_of(reply->text) == VERDICT_WAIT) {
		error_set(&error, ERROR_TARGET, "target %s: %s", node->peer, reply->text);
		fail(node, &error);
		return false;
	} else if (unit && unit->db == node->tried_db) {
		node->answer = (struct unit_answer){0};
		note_error(node, reply, UNIT_PREFIX);
		unit_list_take(&node->queue);
		node->events->answered(node->owner, node, unit, &node->answer);
	}
	if (node->stream)
		write_queue(node);
	return node->stream != NULL;
}

static bool take_reply(struct node *node, struct reply *reply)
{
	struct unit *unit = oldest(node);
	struct error error;

	if (!unit && node->trying)
		return take_trial_reply(node, reply);
	if (!unit) {
		error_set(&error, ERROR_TARGET, "target %s sent a reply that nothing was asked for: %.64s", node->peer,
			  reply->text);
		fail(node, &error);
		return false;
	}
	if (unit->answered == 0)
		node->answer = (struct unit_answer){0};
	if (reply->has_error && !node->answer.error) {
		bool prefix = unit->answered < unit->prefix_replies;

		/* Behind a SELECT that has to wait, everything would run in the wrong database. */
		if (prefix && verdict_of(reply->text) == VERDICT_WAIT) {
			error_set(&error, ERROR_TARGET, "target %s: %s", node->peer, reply->text);
			fail(node, &error);
			return false;
		}
		note_error(node, reply, prefix ? UNIT_PREFIX : unit->answered - unit->prefix_replies);
	}
	if (++unit->answered < unit->replies + unit->prefix_replies || (unit->flags & UNIT_OPEN))
		return true;
	if (unit != node->sent.head) {
		error_set(&error, ERROR_TARGET, "target %s answered a command that it has not got whole: %.64s", node->peer,
			  reply->text);
		fail(node, &error);
		return false;
	}
	node->answer.null = reply->type == RESP_NULL;
	node->answer.last = reply->text;
	node->answer.last_error = reply->type == RESP_ERROR;
	unit_list_take(&node->sent);
	node->events->answered(node->owner, node, unit, &node->answer);
	return node->stream != NULL;
}

/* Bytes of a reply to the oldest unit, for a question. */
static void keep_reply(struct node *node, const uint8_t *bytes, size_t len)
{
	struct unit *unit = oldest(node);

	if (unit && unit->question && unit->answered >= unit->prefix_replies)
		question_take(unit->question, slice_make(bytes, len));
}

static void on_readable(void *owner)
{
	struct node *node = owner;
	struct error error;
	ssize_t got = stream_read(node->stream, node->in + node->in_len, READ_MAX - node->in_len, &error);
	size_t at = 0;

	if (got < 0) {
		fail(node, &error);
		return;
	}
	if (got == 0)
		return;
	node->progress_us = clock_monotonic_us();
	node->in_len += (size_t)got;
	while (at < node->in_len) {
		bool complete;
		ssize_t taken = reply_reader_feed(&node->reader, slice_make(node->in + at, node->in_len - at), &complete);

		if (taken < 0 || (taken == 0 && !complete && at == 0 && node->in_len == READ_MAX)) {
			error_set(&error, ERROR_TARGET, "target %s sent what is no reply of the Redis protocol", node->peer);
			fail(node, &error);
			return;
		}
		if (node->ready)
			keep_reply(node, node->in + at, (size_t)taken);
		at += (size_t)taken;
		if (!complete)
			break;
		if (!(node->ready ? take_reply(node, &node->reader.reply) : take_hello_reply(node, &node->reader.reply)))
			return;
	}
	if (at > 0 && at < node->in_len)
		memmove(node->in, node->in + at, node->in_len - at);
	node->in_len -= at;
}

/* ---- writing ---- */

/* The database that is selected on the connection behind the unit. A transaction that changes it may be turned away and change nothing. */
static uint32_t database_behind(const struct unit *unit)
{
	return unit->db_after == unit->db ? unit->db : DATABASE_UNKNOWN;
}

static size_t make_select(uint32_t db, char out[96])
{
	char digits[16];
	int digit_count = snprintf(digits, sizeof(digits), "%u", db);

	return (size_t)snprintf(out, 96, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", digit_count, digits);
}

/* SELECT and ASKING, as this unit needs them behind database `db`. Returns the length, and in *replies their number. */
static size_t make_prefix(const struct unit *unit, uint32_t db, char out[96], uint32_t *replies)
{
	size_t len = 0;

	*replies = 0;
	if (unit->db != db) {
		len += make_select(unit->db, out);
		++*replies;
	}
	if (unit->flags & UNIT_ASKING) {
		len += (size_t)snprintf(out + len, 96 - len, "*1\r\n$6\r\nASKING\r\n");
		++*replies;
	}
	return len;
}

/* A target may have fewer databases than the source, or deny SELECT: what is written behind a SELECT that is refused runs in the database
 * before. So the first one of each database goes alone. Every connection begins in database 0. */
static bool needs_trial(const struct node *node, const struct unit *unit, uint32_t db)
{
	return unit->db != db && !node_knows_database(node, unit->db);
}

/* False: the connection is gone, or takes no more for now. */
static bool write_trial(struct node *node)
{
	struct iovec piece = {node->trial + node->trial_written, node->trial_len - node->trial_written};
	struct error error;
	ssize_t taken;

	if (piece.iov_len == 0)
		return true;
	taken = stream_write(node->stream, &piece, 1, &error);
	if (taken < 0) {
		fail(node, &error);
		return false;
	}
	node->trial_written += (size_t)taken;
	return (size_t)taken == piece.iov_len;
}

static void begin_trial(struct node *node, uint32_t db)
{
	node->trying = true;
	node->tried_db = db;
	node->trial_len = make_select(db, node->trial);
	node->trial_written = 0;
	if (!node->sent.head)
		node->progress_us = clock_monotonic_us();
}

struct gathering {
	struct iovec pieces[PIECES_PER_WRITE];
	int count;
	size_t bytes;
	uint64_t skip; /* bytes of the first unit that are written already */
	char prefixes[32][96];
	uint32_t prefix_count;
};

/* False: no room for another piece. Neighbours in memory become one piece. */
static bool gather(struct gathering *g, const void *data, size_t len)
{
	struct iovec *last = g->count > 0 ? &g->pieces[g->count - 1] : NULL;

	if (g->skip >= len) {
		g->skip -= len;
		return true;
	}
	data = (const uint8_t *)data + g->skip;
	len -= g->skip;
	g->skip = 0;
	if (len > WRITE_MAX)
		len = WRITE_MAX; /* what follows in this unit is not contiguous any more: the caller stops */
	if (last && (uint8_t *)last->iov_base + last->iov_len == data) {
		last->iov_len += len;
	} else {
		if (g->count == PIECES_PER_WRITE)
			return false;
		g->pieces[g->count++] = (struct iovec){(void *)data, len};
	}
	g->bytes += len;
	return g->bytes < WRITE_MAX;
}

static void gather_queue(struct node *node, struct gathering *g)
{
	uint32_t db = node->db_written;

	g->count = 0;
	g->bytes = 0;
	g->prefix_count = 0;
	g->skip = node->queue_written;
	for (struct unit *unit = node->queue.head; unit; unit = unit->next) {
		const char *prefix = node->prefix;

		if (unit != node->queue.head || node->queue_written == 0) {
			char *room = g->prefixes[g->prefix_count];
			size_t len;

			if (g->prefix_count == sizeof(g->prefixes) / sizeof(g->prefixes[0]) || needs_trial(node, unit, db))
				return;
			len = make_prefix(unit, db, room, &unit->prefix_replies);
			if (len > 0) {
				g->prefix_count++;
				prefix = room;
				if (!gather(g, prefix, len))
					return;
			}
		} else if (node->prefix_len > 0 && !gather(g, prefix, node->prefix_len)) {
			return;
		}
		db = database_behind(unit);
		for (uint32_t i = 0; i < unit->piece_count; i++)
			if (!gather(g, unit->pieces[i].data, unit->pieces[i].len))
				return;
		if (unit->flags & UNIT_OPEN)
			return;
	}
}

static void unload_written(const struct node *node, const struct unit *unit)
{
	if (node->options.spool && unit->end - unit->start >= UNLOAD_FROM)
		spool_unload(node->options.spool, unit->start, unit->end);
}

/* `taken` bytes of the queue have left. */
static void advance(struct node *node, size_t taken)
{
	while (taken > 0) {
		struct unit *unit = node->queue.head;
		size_t len;

		if (node->queue_written == 0) {
			uint32_t replies;

			node->prefix_len = make_prefix(unit, node->db_written, node->prefix, &replies);
			unit->prefix_replies = replies;
			unit->answered = 0;
			node->db_written = database_behind(unit);
		}
		len = (size_t)(node->prefix_len + unit->size - node->queue_written);
		if (taken < len || (unit->flags & UNIT_OPEN)) {
			node->queue_written += taken;
			unload_written(node, unit);
			return;
		}
		taken -= len;
		unload_written(node, unit);
		node->queue_written = 0;
		unit_list_take(&node->queue);
		unit_list_append(&node->sent, unit);
	}
}

static void write_queue(struct node *node)
{
	struct gathering g;

	while (node->stream && (node->queue.head || node->trying)) {
		struct error error;
		ssize_t taken;

		if (node->trying) {
			bool written = write_trial(node);

			if (node->stream)
				stream_want_write(node->stream, !written);
			return;
		}
		gather_queue(node, &g);
		if (g.count == 0 && node->queue_written > 0)
			break; /* open */
		if (g.count == 0) {
			begin_trial(node, node->queue.head->db);
			continue;
		}
		taken = stream_write(node->stream, g.pieces, g.count, &error);
		if (taken < 0) {
			fail(node, &error);
			return;
		}
		if (taken > 0) {
			/* Silence begins with the first request; what is written behind one that is not answered does not end it. */
			if (!node->sent.head)
				node->progress_us = clock_monotonic_us();
			advance(node, (size_t)taken);
		}
		if ((size_t)taken < g.bytes) {
			stream_want_write(node->stream, true);
			return;
		}
	}
	if (node->stream)
		stream_want_write(node->stream, false);
}

static void on_writable(void *owner)
{
	struct node *node = owner;

	if (!node->ready) {
		struct slice rest = buffer_readable(&node->hello);
		struct iovec piece = {(void *)rest.data, rest.len};
		struct error error;
		ssize_t taken = rest.len ? stream_write(node->stream, &piece, 1, &error) : 0;

		if (taken < 0) {
			fail(node, &error);
			return;
		}
		buffer_consumed(&node->hello, (size_t)taken);
		if ((size_t)taken == rest.len) {
			stream_want_write(node->stream, false);
			hello_wipe(node);
		}
		return;
	}
	write_queue(node);
}

static const struct stream_events stream_callbacks = {on_connected, on_readable, on_writable, on_failed};

static void start_connection(struct node *node)
{
	struct stream_options options = {
		.endpoint = node->endpoint,
		.tls = node->options.tls,
		.tls_name = node->options.tls_name,
		.connect_timeout_ms = node->options.connect_timeout_ms,
		.blame = ERROR_TARGET,
	};

	if (node->stream || node->stopped)
		return;
	node->step = node->step_count = 0;
	node->stream = stream_connect(node->options.loop, &options, &stream_callbacks, node);
}

/* ---- public ---- */

struct node *node_new(const struct endpoint *endpoint, const struct node_options *options, const struct node_events *events,
		      void *owner)
{
	struct node *node = memory_alloc_zero(1, sizeof(*node));

	node->endpoint = *endpoint;
	node->options = *options;
	node->options.name = memory_strdup(options->name);
	node->events = events;
	node->owner = owner;
	node->db_written = DATABASE_UNKNOWN;
	node->reader = (struct reply_reader){.member_error = on_member_error, .owner = node};
	node->in = memory_alloc(READ_MAX);
	node->retry = timer_new(options->loop, on_retry, node);
	buffer_init(&node->hello, 1u << 20);
	endpoint_format(endpoint, node->peer);
	return node;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	close_stream(node);
	timer_free(node->retry);
	free(node->connection_name);
	free((char *)node->options.name);
	free(node->in);
	free(node);
}

void node_connect(struct node *node)
{
	if (!node->stream && !timer_active(node->retry))
		start_connection(node);
}

void node_stop(struct node *node)
{
	node->stopped = true;
	close_stream(node);
	timer_stop(node->retry);
}

bool node_ready(const struct node *node)
{
	return node->ready && (node->open || !node->options.guarded);
}

void node_open(struct node *node)
{
	if (node->ready)
		node->open = true;
}

const char *node_connection_name(const struct node *node)
{
	return node->connection_name;
}

bool node_knows_database(const struct node *node, uint32_t db)
{
	return db == 0 || (db < DATABASES_MAX && (node->selected[db / 64] >> (db % 64) & 1));
}

const struct endpoint *node_endpoint(const struct node *node)
{
	return &node->endpoint;
}

const char *node_peer(const struct node *node)
{
	return node->peer;
}

void node_drop(struct node *node, const struct error *error)
{
	fail(node, error);
}

bool node_has_units(const struct node *node)
{
	return node->queue.head || node->sent.head;
}

struct floor *node_floor(struct node *node)
{
	return &node->floor;
}

void node_enqueue(struct node *node, struct unit *unit)
{
	unit->answered = 0;
	unit->prefix_replies = 0;
	if (unit->question)
		question_begin(unit->question);
	unit_list_append(&node->queue, unit);
}

void node_flush(struct node *node)
{
	if (node->ready)
		write_queue(node);
}

bool node_was_ready(const struct node *node)
{
	return node->was_ready;
}

struct unit_list node_take_units(struct node *node, uint32_t *ret_sent)
{
	struct unit_list all = node->sent;

	*ret_sent = 0;
	for (struct unit *unit = all.head; unit; unit = unit->next) {
		unit->flags |= UNIT_RESENT;
		++*ret_sent;
	}
	if (node->queue.head && node->queue_written > 0) {
		node->queue.head->flags |= UNIT_RESENT;
		++*ret_sent;
	}
	if (all.tail)
		all.tail->next = node->queue.head;
	else
		all.head = node->queue.head;
	if (node->queue.tail)
		all.tail = node->queue.tail;
	node->sent = node->queue = (struct unit_list){0};
	node->queue_written = 0;
	return all;
}

void node_divert(struct node *node, bool (*leave)(void *owner, const struct unit *unit), void *owner, struct unit_list *out)
{
	struct unit_list keep = {0};
	struct unit *unit;
	bool first = true;

	while ((unit = unit_list_take(&node->queue))) {
		/* The head that is half written cannot be called back. */
		if (!(first && node->queue_written > 0) && leave(owner, unit))
			unit_list_append(out, unit);
		else
			unit_list_append(&keep, unit);
		first = false;
	}
	node->queue = keep;
}

void node_check_silence(struct node *node, uint32_t timeout_ms)
{
	bool greeting = node->stream && !node->ready && node->step < node->step_count;
	uint64_t silent_us = clock_monotonic_us() - node->progress_us;
	struct error error;

	if (greeting && silent_us >= (uint64_t)node->options.connect_timeout_ms * 1000)
		error_set(&error, ERROR_TARGET, "target %s takes the connection and does not answer for %.1f s", node->peer,
			  (double)silent_us / 1e6);
	else if (node->ready && (oldest(node) || node->trying) && silent_us >= (uint64_t)timeout_ms * 1000)
		error_set(&error, ERROR_TARGET, "target %s has been silent for %.1f s", node->peer, (double)silent_us / 1e6);
	else
		return;
	fail(node, &error);
}
