#include "verify/asker.h"

#include "base/clock.h"
#include "base/memory.h"
#include "source/line.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* All that PORTIONS portions of keys ask: a server that is far away answers them in one round trip. */
#define UNDER_WAY_MAX 16384
#define QUEUE_MAX (1u << 30)
#define TICK_MS 500
#define FIRST_WAIT_MS 100
#define LONGEST_WAIT_MS 3000

struct question {
	asker_callback *callback;
	void *owner;
	uint32_t tag;
	uint32_t len; /* encoded */
};

struct asker {
	struct loop *loop;
	struct client_options options;
	char *name;
	const struct asker_events *events;
	void *owner;
	struct line *line; /* NULL: waiting for the next attempt */
	struct timer *tick, *retry;
	uint64_t wait_ms;
	uint64_t served_us; /* when it last answered, or was made */
	bool failed;
	uint32_t db;           /* selected behind all that is queued */
	struct question *ring; /* under way, then queued */
	uint32_t room, head, under_way, count;
	struct buffer queue;   /* of those not sent yet, encoded */
	uint64_t answer_bytes; /* of one answer, as far as the last ones tell */
	bool in_pieces;
};

static void connect_line(struct asker *asker);

/* ---- sending ---- */

static struct question *question_at(struct asker *asker, uint32_t index)
{
	return &asker->ring[(asker->head + index) & (asker->room - 1)];
}

static void push(struct asker *asker, const struct question *question)
{
	if (asker->count == asker->room) {
		uint32_t room = asker->room ? 2 * asker->room : 64;
		struct question *ring = memory_alloc_zero(room, sizeof(*ring));

		for (uint32_t i = 0; i < asker->count; i++)
			ring[i] = *question_at(asker, i);
		free(asker->ring);
		asker->ring = ring;
		asker->room = room;
		asker->head = 0;
	}
	asker->count++;
	*question_at(asker, asker->count - 1) = *question;
}

static void pump(struct asker *asker)
{
	uint64_t most = ASKER_ANSWERS_BYTES / (asker->answer_bytes + 1);
	size_t bytes = 0;

	most = most > UNDER_WAY_MAX ? UNDER_WAY_MAX : most < 1 ? 1 : most;
	if (!asker->line || !line_ready(asker->line))
		return;
	while (asker->under_way < asker->count && asker->under_way < most)
		bytes += question_at(asker, asker->under_way++)->len;
	if (bytes == 0)
		return;
	line_send_bytes(asker->line, slice_make(buffer_readable(&asker->queue).data, bytes));
	buffer_consumed(&asker->queue, bytes);
}

static void put(struct asker *asker, uint32_t argc, const struct slice *argv, asker_callback *callback, void *owner, uint32_t tag)
{
	size_t before = buffer_readable(&asker->queue).len;
	struct question question = {callback, owner, tag, 0};
	bool fits = resp_command_write(&asker->queue, argc, argv);

	assert(fits); /* portions bound what is asked ahead */
	(void)fits;
	question.len = (uint32_t)(buffer_readable(&asker->queue).len - before);
	push(asker, &question);
}

void asker_ask(struct asker *asker, uint32_t db, uint32_t argc, const struct slice *argv, asker_callback *callback, void *owner,
	       uint32_t tag)
{
	if (db != asker->db) {
		uint8_t digits[24];
		const struct slice select[] = {SLICE("SELECT"), slice_make(digits, resp_put_uint64(digits, db))};

		put(asker, 2, select, NULL, NULL, 0);
		asker->db = db;
	}
	put(asker, argc, argv, callback, owner, tag);
	pump(asker);
}

/* ---- answers ---- */

static void note_size(struct asker *asker, uint64_t bytes)
{
	/* At once when they grow, slowly when they shrink. */
	asker->answer_bytes = bytes > asker->answer_bytes ? bytes : asker->answer_bytes - (asker->answer_bytes - bytes) / 16;
}

static struct question pop(struct asker *asker)
{
	struct question question = *question_at(asker, 0);

	asker->head = (asker->head + 1) & (asker->room - 1);
	asker->count--;
	if (asker->under_way > 0)
		asker->under_way--;
	return question;
}

static void tell(const struct question *question, const struct asker_answer *answer)
{
	if (question->callback)
		question->callback(question->owner, question->tag, answer);
}

static void fail(struct asker *asker, const struct error *error)
{
	if (!asker->failed)
		asker->events->failed(asker->owner, error);
	asker->failed = true;
}

/* What is asked behind it would be answered from another database. */
static void fail_selecting(struct asker *asker, struct slice text)
{
	struct error error;

	error_set(&error, asker->options.blame, "%s: a database cannot be selected: %.*s", line_peer(asker->line),
		  (int)(text.len > 200 ? 200 : text.len), (const char *)text.data);
	fail(asker, &error);
}

static void on_answer(void *owner, const struct resp_node *nodes, uint32_t count)
{
	struct asker *asker = owner;
	struct asker_answer answer = {.nodes = nodes, .count = count};
	struct question question;

	if (asker->under_way == 0)
		return; /* nothing was asked; a server that says goodbye, perhaps */
	note_size(asker, nodes[0].type == RESP_BULK ? nodes[0].text.len : 0);
	question = pop(asker);
	if (!question.callback && nodes[0].type == RESP_ERROR)
		fail_selecting(asker, nodes[0].text);
	tell(&question, &answer);
}

static void on_piece(void *owner, uint64_t total, struct slice bytes, uint64_t left)
{
	struct asker *asker = owner;
	struct asker_answer answer = {.total = total, .piece = bytes, .begins = !asker->in_pieces, .ends = left == 0};
	struct question question;

	if (asker->under_way == 0)
		return;
	note_size(asker, total);
	asker->in_pieces = left > 0;
	question = left == 0 ? pop(asker) : *question_at(asker, 0);
	tell(&question, &answer);
}

static void on_idle(void *owner)
{
	struct asker *asker = owner;

	asker->served_us = clock_monotonic_us();
	pump(asker);
	if (asker->events->idle)
		asker->events->idle(asker->owner);
}

/* ---- the connection ---- */

static void on_ready(void *owner)
{
	struct asker *asker = owner;

	asker->wait_ms = FIRST_WAIT_MS;
	pump(asker);
}

/* What was asked is told that nobody will answer; what they ask now, is asked on the next connection. */
static void on_lost(void *owner, const struct error *error, bool refused)
{
	struct asker *asker = owner;
	uint32_t left = asker->count;

	line_free(asker->line);
	asker->line = NULL;
	buffer_clear(&asker->queue);
	asker->under_way = 0;
	asker->in_pieces = false;
	asker->db = 0;
	if (refused || clock_monotonic_us() - asker->served_us > ASKER_PATIENCE_MS * 1000ULL)
		fail(asker, error);
	for (; left > 0; left--) {
		struct question question = pop(asker);

		tell(&question, NULL);
	}
	timer_start(asker->retry, asker->wait_ms);
	asker->wait_ms = asker->wait_ms * 2 > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : asker->wait_ms * 2;
	if (asker->events->idle)
		asker->events->idle(asker->owner);
}

static void on_retry(void *owner)
{
	connect_line(owner);
}

/* A server that is silent though it was asked. */
static void on_tick(void *owner)
{
	struct asker *asker = owner;
	struct error error;

	if (!asker->line || asker->under_way == 0 ||
	    clock_monotonic_us() - line_heard_us(asker->line) < ASKER_PATIENCE_MS * 1000ULL)
		return;
	error_set(&error, asker->options.blame, "%s: no answer within %d s", line_peer(asker->line), ASKER_PATIENCE_MS / 1000);
	asker->served_us = 0;
	on_lost(asker, &error, false);
}

static void connect_line(struct asker *asker)
{
	static const struct line_events events = {on_ready, on_answer, on_piece, on_idle, on_lost};

	asker->line = line_new(asker->loop, &asker->options, &events, asker);
}

struct asker *asker_new(struct loop *loop, const struct client_options *options, const struct asker_events *events, void *owner)
{
	struct asker *asker = memory_alloc_zero(1, sizeof(*asker));

	asker->loop = loop;
	asker->options = *options;
	asker->name = options->name ? memory_strdup(options->name) : NULL;
	asker->options.name = asker->name;
	asker->events = events;
	asker->owner = owner;
	asker->wait_ms = FIRST_WAIT_MS;
	asker->served_us = clock_monotonic_us();
	buffer_init(&asker->queue, QUEUE_MAX);
	asker->tick = timer_new(loop, on_tick, asker);
	asker->retry = timer_new(loop, on_retry, asker);
	timer_repeat(asker->tick, TICK_MS, TICK_MS);
	connect_line(asker);
	return asker;
}

void asker_free(struct asker *asker)
{
	if (!asker)
		return;
	line_free(asker->line);
	timer_free(asker->tick);
	timer_free(asker->retry);
	buffer_free(&asker->queue);
	free(asker->ring);
	free(asker->name);
	free(asker);
}

const char *asker_peer(const struct asker *asker)
{
	return asker->line ? line_peer(asker->line) : "";
}
