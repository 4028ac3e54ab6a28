#include "source/reader.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "peer/refusal.h"
#include "source/backoff.h"

#include <stdio.h>
#include <stdlib.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 10000
#define FUNCTIONS_MAX (512u << 20)
#define SCAN_RETRY_MS 1000

enum request_kind { REQUEST_KEY, REQUEST_SCAN, REQUEST_INFO, REQUEST_CONFIG, REQUEST_FUNCTIONS };

/* What is asked on the line for one request, in this order; some of it not for each. */
enum stage { STAGE_SELECT, STAGE_ASKING, STAGE_TIME, STAGE_EXPIRY, STAGE_ASKING_AGAIN, STAGE_VALUE, STAGE_DONE };

/* In `requests`, followed by the key. */
struct request {
	uint8_t kind;
	bool scanned; /* the key came from SCAN */
	bool asking;
	bool selects; /* SELECT was sent before it */
	uint32_t db;
	uint32_t len; /* of the key */
	uint64_t cursor;
	const char *section; /* of INFO, name of CONFIG */
};

struct reader {
	struct loop *loop;
	struct reader_options options;
	struct reader_events events;
	void *owner;
	struct line *line; /* NULL: waiting for `retry`, or stopped */
	struct timer *retry;
	struct timer *scan_retry;
	struct idle *broken;
	struct backoff backoff;
	bool running, paused;
	uint32_t greetings;     /* answers on a new connection that say nothing */
	uint32_t line_db;       /* selected on the line behind what was sent */
	struct buffer requests; /* that are not answered, in order; all sent while the line is ready */
	uint32_t keys_out;      /* of them with a key */
	uint64_t asked, answered;
	/* of the first request */
	enum stage stage;
	int64_t server_ms, expire_at_ms;
	bool expiry_failed, piece_begun;
	/* the scan */
	bool scanning, scan_out, scan_ended;
	uint32_t scan_db;
	uint64_t cursor;
	uint32_t scan_keys_out;
	struct buffer names;   /* of SCAN, not asked for yet: length (4 bytes) and bytes of each */
	struct buffer put_off; /* requests without a key that the server could not answer then */
	bool turn;             /* who comes next when both have keys */
	double size;           /* of the values of late, rather large than small */
	struct buffer libraries;
};

static void pump(struct reader *reader);

/* ---- requests ---- */

static struct request front(const struct reader *reader, struct slice *key)
{
	struct slice bytes = buffer_readable(&reader->requests);
	struct request request;

	memcpy(&request, bytes.data, sizeof(request));
	*key = slice_make(bytes.data + sizeof(request), request.len);
	return request;
}

static bool has_stage(const struct reader *reader, const struct request *request, enum stage stage)
{
	bool key = request->kind == REQUEST_KEY;

	switch (stage) {
	case STAGE_SELECT: return request->selects;
	case STAGE_ASKING:
	case STAGE_ASKING_AGAIN: return key && request->asking;
	case STAGE_TIME: return key && !reader->options.pexpiretime;
	case STAGE_EXPIRY: return key;
	case STAGE_VALUE:
	case STAGE_DONE: break;
	}
	return true;
}

static void begin_front(struct reader *reader)
{
	struct request request;
	struct slice key;

	reader->stage = STAGE_SELECT;
	reader->expire_at_ms = -1;
	reader->expiry_failed = reader->piece_begun = false;
	if (buffer_readable(&reader->requests).len == 0)
		return;
	request = front(reader, &key);
	while (!has_stage(reader, &request, reader->stage))
		reader->stage++;
}

static void send_two(struct line *line, const char *command, struct slice key)
{
	line_send(line, 2, (struct slice[]){slice_of_string(command), key});
}

/* Writes what the request consists of; `selects` is set in its record. */
static void send(struct reader *reader, uint8_t *record)
{
	struct request request;
	struct slice key;
	char number[24], count[24];

	memcpy(&request, record, sizeof(request));
	key = slice_make(record + sizeof(request), request.len);
	request.selects = (request.kind == REQUEST_KEY || request.kind == REQUEST_SCAN) && request.db != reader->line_db;
	memcpy(record, &request, sizeof(request));
	if (request.selects) {
		snprintf(number, sizeof(number), "%u", request.db);
		line_send_strings(reader->line, "SELECT", number, NULL);
		reader->line_db = request.db;
	}
	switch ((enum request_kind)request.kind) {
	case REQUEST_KEY:
		if (request.asking)
			line_send_strings(reader->line, "ASKING", NULL);
		if (!reader->options.pexpiretime)
			line_send_strings(reader->line, "TIME", NULL);
		send_two(reader->line, reader->options.pexpiretime ? "PEXPIRETIME" : "PTTL", key);
		if (request.asking)
			line_send_strings(reader->line, "ASKING", NULL);
		send_two(reader->line, "DUMP", key);
		break;
	case REQUEST_SCAN:
		snprintf(number, sizeof(number), "%llu", (unsigned long long)request.cursor);
		snprintf(count, sizeof(count), "%u", reader->options.count);
		line_send_strings(reader->line, "SCAN", number, "COUNT", count, NULL);
		break;
	case REQUEST_INFO: line_send_strings(reader->line, "INFO", request.section, NULL); break;
	case REQUEST_CONFIG: line_send_strings(reader->line, "CONFIG", "GET", request.section, NULL); break;
	case REQUEST_FUNCTIONS: line_send_strings(reader->line, "FUNCTION", "DUMP", NULL); break;
	}
}

static bool line_is_ready(const struct reader *reader)
{
	return reader->line && line_ready(reader->line);
}

static void push(struct reader *reader, const struct request *request, struct slice key)
{
	bool first = buffer_readable(&reader->requests).len == 0;
	size_t at = buffer_readable(&reader->requests).len;
	bool fits = buffer_append(&reader->requests, request, sizeof(*request)) && buffer_append_slice(&reader->requests, key);

	(void)fits; /* it has no bound of its own: few are under way */
	reader->asked++;
	if (request->kind == REQUEST_KEY)
		reader->keys_out++;
	if (request->scanned)
		reader->scan_keys_out++;
	if (line_is_ready(reader))
		send(reader, reader->requests.data + reader->requests.start + at);
	if (first)
		begin_front(reader);
}

static void push_key(struct reader *reader, uint32_t db, struct slice key, bool scanned, bool asking)
{
	struct request request = {.kind = REQUEST_KEY, .scanned = scanned, .asking = asking, .db = db, .len = (uint32_t)key.len};

	push(reader, &request, key);
}

/* Its key's bytes stay where they are until the next push. */
static void pop(struct reader *reader, const struct request *request)
{
	buffer_consumed(&reader->requests, sizeof(*request) + request->len);
	reader->answered++;
	if (request->kind == REQUEST_KEY)
		reader->keys_out--;
	if (request->scanned)
		reader->scan_keys_out--;
	begin_front(reader);
}

/* ---- what is asked for next ---- */

static uint32_t depth(const struct reader *reader)
{
	double fit = READER_PIPELINE_BYTES / (reader->size + 1);

	return fit < 1 ? 1 : fit < reader->options.pipeline ? (uint32_t)fit : reader->options.pipeline;
}

static bool push_scanned(struct reader *reader)
{
	struct slice names = buffer_readable(&reader->names);
	uint32_t len;

	if (names.len == 0)
		return false;
	memcpy(&len, names.data, sizeof(len));
	push_key(reader, reader->scan_db, slice_make(names.data + sizeof(len), len), true, false);
	buffer_consumed(&reader->names, sizeof(len) + len);
	return true;
}

static bool push_wanted(struct reader *reader)
{
	struct slice key;
	uint32_t db;

	if (!reader->events.want(reader->owner, &db, &key))
		return false;
	push_key(reader, db, key, false, false);
	return true;
}

static void push_scan(struct reader *reader)
{
	struct request request = {.kind = REQUEST_SCAN, .db = reader->scan_db, .cursor = reader->cursor};

	if (!reader->scanning || reader->scan_out || reader->scan_ended || buffer_readable(&reader->names).len > 0 ||
	    timer_active(reader->scan_retry))
		return;
	reader->scan_out = true;
	push(reader, &request, (struct slice){0});
}

static void pump(struct reader *reader)
{
	while (line_is_ready(reader) && !reader->paused && reader->keys_out < depth(reader)) {
		reader->turn = !reader->turn;
		if (reader->turn ? !push_wanted(reader) && !push_scanned(reader) : !push_scanned(reader) && !push_wanted(reader))
			break;
	}
	if (line_is_ready(reader) && !reader->paused)
		push_scan(reader);
}

static void check_scanned(struct reader *reader)
{
	if (!reader->scanning || !reader->scan_ended || reader->scan_keys_out > 0 || buffer_readable(&reader->names).len > 0)
		return;
	reader->scanning = false;
	reader->events.scanned(reader->owner);
}

/* ---- answers ---- */

static void fail(struct reader *reader, const char *command, struct slice text, const struct request *request, struct slice key)
{
	struct refuser refuser = {line_peer(reader->line), "source", ERROR_SOURCE};
	struct error error;
	char quoted[120], what[200];

	if (request->kind == REQUEST_KEY)
		snprintf(what, sizeof(what), "%s of key %s (database %u)", command, slice_quote(key, quoted, sizeof(quoted)),
			 request->db);
	else
		snprintf(what, sizeof(what), "%s", command);
	refusal_explain(&refuser, what, text, &error);
	if (slice_starts_with(text, SLICE("NOPERM")))
		error_hint(
			&error,
			"source.mode: scan reads every key of the selected databases: the user needs ~* (or %%R~*) and the rights in docs/least-rights.md");
	reader->events.failed(reader->owner, &error);
}

/* What waiting mends. */
static bool is_passing(struct slice text)
{
	static const char *const words[] = {"LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_starts_with(text, slice_of_string(words[i])))
			return true;
	return false;
}

static void take_refused_key(struct reader *reader, const struct request *request, struct slice key, struct slice text)
{
	if (slice_starts_with(text, SLICE("MOVED")) && !request->asking) {
		struct slice name = slice_make(memcpy(memory_alloc(key.len + 1), key.data, key.len), key.len);

		push_key(reader, request->db, name, request->scanned, true);
		free((void *)(uintptr_t)name.data);
	} else if (slice_starts_with(text, SLICE("MOVED")) || slice_starts_with(text, SLICE("ASK"))) {
		/* Another node has it, and the link of that one. */
	} else if (is_passing(text)) {
		reader->events.later(reader->owner, request->db, key);
	} else {
		fail(reader, "DUMP", text, request, key);
	}
}

static void note_size(struct reader *reader, uint64_t size)
{
	if ((double)size > reader->size)
		reader->size = (double)size;
	else
		reader->size -= (reader->size - (double)size) / 64;
}

static void take_key(struct reader *reader, const struct request *request, struct slice key, const struct resp_node *node)
{
	if (node->type == RESP_ERROR) {
		take_refused_key(reader, request, key, node->text);
	} else if (reader->expiry_failed) {
		reader->events.later(reader->owner, request->db, key);
	} else if (node->type == RESP_BULK) {
		note_size(reader, node->text.len);
		reader->events.value(reader->owner, request->db, key, reader->expire_at_ms, node->text);
	} else {
		reader->events.gone(reader->owner, request->db, key);
	}
}

static void take_scan(struct reader *reader, const struct request *request, const struct resp_node *node)
{
	const struct resp_node *cursor = node->type == RESP_ARRAY ? resp_member(node, 0) : NULL;
	const struct resp_node *keys = cursor ? resp_member(node, 1) : NULL;

	reader->scan_out = false;
	if (node->type == RESP_ERROR && is_passing(node->text)) {
		timer_start(reader->scan_retry, SCAN_RETRY_MS);
		return;
	}
	if (!keys || keys->type != RESP_ARRAY || !slice_to_uint64(cursor->text, &reader->cursor)) {
		fail(reader, "SCAN", node->type == RESP_ERROR ? node->text : SLICE("its answer cannot be read"), request,
		     (struct slice){0});
		return;
	}
	for (uint32_t i = 0; i < keys->count; i++) {
		struct slice name = keys[1 + i].text;
		uint32_t len = (uint32_t)name.len;
		bool fits = buffer_append(&reader->names, &len, sizeof(len)) && buffer_append_slice(&reader->names, name);

		(void)fits;
	}
	reader->scan_ended = reader->cursor == 0;
}

/* Asked again in a while. */
static void put_off(struct reader *reader, const struct request *request)
{
	bool fits = buffer_append(&reader->put_off, request, sizeof(*request));

	(void)fits;
	timer_start(reader->scan_retry, SCAN_RETRY_MS);
}

static void take_value(struct reader *reader, const struct resp_node *node)
{
	struct slice key, none = {0};
	struct request request = front(reader, &key);

	if (node->type == RESP_ERROR && is_passing(node->text) && request.kind != REQUEST_KEY && request.kind != REQUEST_SCAN) {
		put_off(reader, &request);
		pop(reader, &request);
		return;
	}
	/* Out of the queue only after it: the key stands there. */
	switch ((enum request_kind)request.kind) {
	case REQUEST_KEY: take_key(reader, &request, key, node); break;
	case REQUEST_SCAN: take_scan(reader, &request, node); break;
	case REQUEST_INFO:
		if (node->type == RESP_BULK)
			reader->events.info(reader->owner, request.section, node->text);
		else
			fail(reader, "INFO", node->text, &request, none);
		break;
	case REQUEST_CONFIG:
		reader->events.config(reader->owner, request.section, node->count == 2 ? resp_member(node, 1)->text : none,
				      node->count != 2);
		break;
	case REQUEST_FUNCTIONS:
		reader->events.functions(reader->owner, node->type == RESP_BULK ? node->text : none,
					 node->type == RESP_ERROR ? node->text : none);
		break;
	}
	pop(reader, &request);
}

/* Of PTTL or PEXPIRETIME: -1 never, -2 no such key (the value's answer says the same, or it came to be in between). */
static void take_expiry(struct reader *reader, const struct resp_node *node)
{
	int64_t base = reader->options.pexpiretime ? 0 : reader->server_ms, at_ms;

	reader->expiry_failed = node->type != RESP_INTEGER || __builtin_add_overflow(base, node->integer, &at_ms);
	if (!reader->expiry_failed && node->integer >= 0)
		reader->expire_at_ms = at_ms;
}

/* Two texts: seconds and microseconds. */
static void take_time(struct reader *reader, const struct resp_node *node)
{
	uint64_t seconds, micro;

	if (node->type == RESP_ARRAY && node->count == 2 && slice_to_uint64(node[1].text, &seconds) &&
	    slice_to_uint64(node[2].text, &micro))
		reader->server_ms = (int64_t)(seconds * 1000 + micro / 1000);
	else
		reader->server_ms = clock_wall_ms();
}

static void advance(struct reader *reader)
{
	struct slice key;
	struct request request = front(reader, &key);

	do
		reader->stage++;
	while (!has_stage(reader, &request, reader->stage));
}

static void on_answer(void *owner, const struct resp_node *nodes, uint32_t count)
{
	struct reader *reader = owner;
	struct slice key;
	struct request request;

	(void)count;
	if (reader->greetings > 0) {
		reader->greetings--;
		return;
	}
	if (buffer_readable(&reader->requests).len == 0)
		return; /* a message that nothing asked for */
	backoff_reset(&reader->backoff);
	switch (reader->stage) {
	case STAGE_SELECT:
		request = front(reader, &key);
		if (nodes[0].type != RESP_ERROR)
			break;
		if (!is_passing(nodes[0].text))
			fail(reader, "SELECT", nodes[0].text, &request, key);
		/* What follows would be of another database: none of it is heard, all of it asked again. */
		line_pause(reader->line, true);
		idle_start(reader->broken);
		return;
	case STAGE_TIME: take_time(reader, nodes); break;
	case STAGE_EXPIRY: take_expiry(reader, nodes); break;
	case STAGE_VALUE: take_value(reader, nodes); return;
	case STAGE_ASKING:
	case STAGE_ASKING_AGAIN:
	case STAGE_DONE: break;
	}
	advance(reader);
}

static void on_piece(void *owner, uint64_t total, struct slice bytes, uint64_t left)
{
	struct reader *reader = owner;
	bool begins = !reader->piece_begun;
	struct request request;
	struct slice key;

	if (buffer_readable(&reader->requests).len == 0)
		return;
	request = front(reader, &key);
	reader->piece_begun = true;
	if (request.kind == REQUEST_KEY) {
		reader->events.piece(reader->owner, request.db, key, reader->expire_at_ms, bytes, begins, left == 0);
	} else if (request.kind == REQUEST_FUNCTIONS) {
		if (begins)
			buffer_clear(&reader->libraries);
		if (!buffer_append_slice(&reader->libraries, bytes))
			fail(reader, "FUNCTION DUMP", SLICE("its answer is too long"), &request, key);
		if (left == 0)
			reader->events.functions(reader->owner, buffer_readable(&reader->libraries), (struct slice){0});
	} else {
		fail(reader, "INFO", SLICE("its answer is too long"), &request, key);
	}
	if (left > 0)
		return;
	note_size(reader, total);
	buffer_free(&reader->libraries);
	pop(reader, &request);
}

/* ---- the connection ---- */

static void on_ready(void *owner)
{
	struct reader *reader = owner;

	reader->line_db = 0;
	reader->greetings = 0;
	if (reader->options.readonly) {
		line_send_strings(reader->line, "READONLY", NULL);
		reader->greetings++;
	}
	line_send_strings(reader->line, "CLIENT", "NO-TOUCH", "ON", NULL);
	reader->greetings++;
	for (size_t at = reader->requests.start; at < reader->requests.end;) {
		struct request request;

		send(reader, reader->requests.data + at);
		memcpy(&request, reader->requests.data + at, sizeof(request));
		at += sizeof(request) + request.len;
	}
	begin_front(reader);
	reader->events.connected(reader->owner);
	pump(reader);
}

static void on_idle(void *owner)
{
	struct reader *reader = owner;

	reader->events.idle(reader->owner);
	check_scanned(reader);
	pump(reader);
}

static void disconnect(struct reader *reader)
{
	line_free(reader->line);
	reader->line = NULL;
	begin_front(reader);
}

static void on_lost(void *owner, const struct error *error, bool refused)
{
	struct reader *reader = owner;

	disconnect(reader);
	timer_start(reader->retry, backoff_next(&reader->backoff));
	reader->events.lost(reader->owner, error, refused);
}

static void connect_line(void *owner)
{
	static const struct line_events events = {on_ready, on_answer, on_piece, on_idle, on_lost};
	struct reader *reader = owner;

	reader->line = line_new(reader->loop, &reader->options.client, &events, reader);
	if (reader->paused)
		line_pause(reader->line, true);
}

static void on_broken(void *owner)
{
	struct reader *reader = owner;

	if (!reader->running || !reader->line)
		return;
	disconnect(reader);
	timer_start(reader->retry, backoff_next(&reader->backoff));
}

static void on_scan_retry(void *owner)
{
	struct reader *reader = owner;
	struct request request;

	for (size_t left = buffer_readable(&reader->put_off).len / sizeof(request); left > 0; left--) {
		memcpy(&request, buffer_readable(&reader->put_off).data, sizeof(request));
		buffer_consumed(&reader->put_off, sizeof(request));
		push(reader, &request, (struct slice){0});
	}
	pump(reader);
}

struct reader *reader_new(struct loop *loop, const struct reader_options *options, const struct reader_events *events,
			  void *owner)
{
	struct reader *reader = memory_alloc_zero(1, sizeof(*reader));

	reader->loop = loop;
	reader->options = *options;
	reader->events = *events;
	reader->owner = owner;
	buffer_init(&reader->requests, SIZE_MAX / 2);
	buffer_init(&reader->names, SIZE_MAX / 2);
	buffer_init(&reader->libraries, FUNCTIONS_MAX);
	buffer_init(&reader->put_off, SIZE_MAX / 2);
	reader->retry = timer_new(loop, connect_line, reader);
	reader->scan_retry = timer_new(loop, on_scan_retry, reader);
	reader->broken = idle_new(loop, on_broken, reader);
	backoff_init(&reader->backoff, BACKOFF_FIRST_MS, BACKOFF_MOST_MS, clock_monotonic_us() ^ (uintptr_t)reader);
	return reader;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	line_free(reader->line);
	timer_free(reader->retry);
	timer_free(reader->scan_retry);
	idle_free(reader->broken);
	buffer_free(&reader->requests);
	buffer_free(&reader->names);
	buffer_free(&reader->libraries);
	buffer_free(&reader->put_off);
	free(reader);
}

void reader_start(struct reader *reader)
{
	reader->running = true;
	connect_line(reader);
}

void reader_stop(struct reader *reader)
{
	reader->running = false;
	timer_stop(reader->retry);
	timer_stop(reader->scan_retry);
	disconnect(reader);
}

void reader_move(struct reader *reader, const struct endpoint *endpoint, bool readonly)
{
	reader->options.client.endpoint = *endpoint;
	reader->options.readonly = readonly;
	timer_stop(reader->retry);
	backoff_reset(&reader->backoff);
	disconnect(reader);
	connect_line(reader);
}

void reader_pause(struct reader *reader, bool paused)
{
	if (reader->paused == paused)
		return;
	reader->paused = paused;
	if (reader->line)
		line_pause(reader->line, paused);
	if (!paused)
		pump(reader);
}

void reader_break(struct reader *reader)
{
	idle_start(reader->broken);
}

void reader_pump(struct reader *reader)
{
	pump(reader);
}

void reader_tick(struct reader *reader)
{
	struct error error;

	if (!line_is_ready(reader) || reader->paused || buffer_readable(&reader->requests).len == 0 ||
	    clock_monotonic_us() - line_heard_us(reader->line) < reader->options.silence_ms * 1000ULL)
		return;
	error_set(&error, ERROR_SOURCE, "%s: no answer within %g s", line_peer(reader->line),
		  reader->options.silence_ms / 1000.0);
	on_lost(reader, &error, false);
}

void reader_scan(struct reader *reader, uint32_t db)
{
	reader->scanning = true;
	reader->scan_ended = false;
	reader->scan_db = db;
	reader->cursor = 0;
	pump(reader);
}

void reader_info(struct reader *reader, const char *section)
{
	push(reader, &(struct request){.kind = REQUEST_INFO, .section = section}, (struct slice){0});
}

void reader_config(struct reader *reader, const char *name)
{
	push(reader, &(struct request){.kind = REQUEST_CONFIG, .section = name}, (struct slice){0});
}

void reader_functions(struct reader *reader)
{
	push(reader, &(struct request){.kind = REQUEST_FUNCTIONS}, (struct slice){0});
}

uint64_t reader_asked(const struct reader *reader)
{
	return reader->asked;
}

uint64_t reader_answered(const struct reader *reader)
{
	return reader->answered;
}
