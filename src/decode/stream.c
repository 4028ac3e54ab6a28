#include "decode/stream.h"

#include "base/memory.h"
#include "wire/resp.h"

#include <inttypes.h>
#include <stdlib.h>

/* Servers write "#TS:" and a number, and read at most 128 bytes at once; a line that goes on and on is none. */
#define ANNOTATION_MAX 1024

struct stream_decoder {
	struct resp_command_parser parser;
	const struct command_table *table;
	uint32_t db;
	bool in_transaction;
	/* The rows of the commands that mean something to us: a command is one of them when its row is. */
	const struct command_info *discard;
	const struct command_info *exec;
	const struct command_info *multi;
	const struct command_info *ping;
	const struct command_info *publish;
	const struct command_info *replconf;
	const struct command_info *select;
};

static const struct command_info *built_in(struct slice name)
{
	return command_lookup(1, &name);
}

struct stream_decoder *stream_decoder_new(const struct command_table *table)
{
	struct stream_decoder *decoder = memory_alloc_zero(1, sizeof(*decoder));

	resp_command_parser_init(&decoder->parser);
	decoder->table = table;
	decoder->discard = built_in(SLICE("discard"));
	decoder->exec = built_in(SLICE("exec"));
	decoder->multi = built_in(SLICE("multi"));
	decoder->ping = built_in(SLICE("ping"));
	decoder->publish = built_in(SLICE("publish"));
	decoder->replconf = built_in(SLICE("replconf"));
	decoder->select = built_in(SLICE("select"));
	return decoder;
}

void stream_decoder_free(struct stream_decoder *decoder)
{
	if (!decoder)
		return;
	resp_command_parser_free(&decoder->parser);
	free(decoder);
}

uint32_t stream_decoder_database(const struct stream_decoder *decoder)
{
	return decoder->db;
}

bool stream_decoder_in_transaction(const struct stream_decoder *decoder)
{
	return decoder->in_transaction;
}

void stream_decoder_resume(struct stream_decoder *decoder, uint32_t db)
{
	resp_command_parser_reset(&decoder->parser);
	decoder->db = db;
	decoder->in_transaction = false;
}

static enum parse bad(struct error *error, uint64_t position, const char *what)
{
	error_set(error, ERROR_SOURCE, "command stream at position %" PRIu64 ": %s", position, what);
	return PARSE_BAD;
}

/* Answers BAD when the command cannot stand here; the decoder is unchanged then. */
static enum parse select_decode(struct stream_decoder *decoder, struct event *event, struct error *error)
{
	uint64_t db;

	if (event->argc != 2 || !slice_to_uint64(event->argv[1], &db) || db > INT32_MAX) {
		char quoted[64];

		slice_quote(event->argc > 1 ? event->argv[1] : SLICE(""), quoted, sizeof(quoted));
		error_set(error, ERROR_SOURCE,
			  "command stream at position %" PRIu64 ": SELECT of %s, which is no database number", event->start,
			  quoted);
		return PARSE_BAD;
	}
	decoder->db = (uint32_t)db;
	event->db = decoder->db;
	return PARSE_OK;
}

static enum parse edge_decode(struct stream_decoder *decoder, struct event *event, struct error *error)
{
	if (event->info == decoder->discard)
		return bad(error, event->start, "DISCARD, which no master sends");
	if (event->info == decoder->multi) {
		if (decoder->in_transaction)
			return bad(error, event->start, "MULTI inside a transaction");
		event->edge = TRANSACTION_BEGIN;
	} else {
		if (!decoder->in_transaction)
			return bad(error, event->start, "EXEC without MULTI");
		event->edge = TRANSACTION_END;
	}
	event->kind = EVENT_COMMAND;
	decoder->in_transaction = event->edge == TRANSACTION_BEGIN;
	return PARSE_OK;
}

/* A line of an append-only file that is for its readers alone. */
static enum parse annotation_decode(const struct stream_decoder *decoder, struct slice in, uint64_t position, struct event *ret,
				    uint64_t *need, struct error *error)
{
	size_t len = in.len < ANNOTATION_MAX ? in.len : ANNOTATION_MAX;
	const uint8_t *newline = memchr(in.data, '\n', len);

	if (!newline && len == ANNOTATION_MAX)
		return bad(error, position, "a line that begins with # does not end");
	if (!newline) {
		*need = in.len + 1;
		return PARSE_MORE;
	}
	len = (size_t)(newline + 1 - in.data);
	*ret = (struct event){
		.kind = EVENT_PROGRESS,
		.edge = decoder->in_transaction ? TRANSACTION_INSIDE : TRANSACTION_NONE,
		.db = decoder->db,
		.start = position,
		.end = position + len,
		.raw = slice_make(in.data, len),
		.expire_at_ms = EXPIRE_NEVER,
		.idle_seconds = -1,
		.frequency = -1,
	};
	return PARSE_OK;
}

/* Of the source's Sentinels, for each other. */
static bool is_for_sentinels(const struct stream_decoder *decoder, const struct event *event)
{
	return event->info == decoder->publish && event->argc == 3 && slice_equal(event->argv[1], SLICE("__sentinel__:hello"));
}

enum parse stream_decode(struct stream_decoder *decoder, struct slice in, uint64_t position, struct event *ret, uint64_t *need,
			 struct error *error)
{
	struct event event = {.kind = EVENT_PROGRESS, .expire_at_ms = EXPIRE_NEVER, .idle_seconds = -1, .frequency = -1};
	struct parse_fault fault;
	enum parse result;
	uint64_t taken;
	uint32_t key;

	if (in.len > 0 && in.data[0] == '#')
		return annotation_decode(decoder, in, position, ret, need, error);
	result = resp_command_parse(&decoder->parser, in, &event.argc, &event.argv, &taken, need, &fault);
	if (result == PARSE_BAD)
		return bad(error, position + fault.offset, fault.what);
	if (result == PARSE_MORE)
		return PARSE_MORE;

	event.edge = decoder->in_transaction ? TRANSACTION_INSIDE : TRANSACTION_NONE;
	event.db = decoder->db;
	event.start = position;
	event.end = position + taken;
	event.raw = slice_make(in.data, taken);
	if (event.argc > 0) {
		event.info = command_table_lookup(decoder->table, event.argc, event.argv);
		if (event.info == NULL) {
			event.kind = EVENT_COMMAND;
		} else if (event.info == decoder->select) {
			result = select_decode(decoder, &event, error);
		} else if (event.info == decoder->replconf) {
			event.ask_getack = event.argc > 1 && slice_equal_nocase(event.argv[1], SLICE("getack"));
		} else if (event.info == decoder->multi || event.info == decoder->exec || event.info == decoder->discard) {
			result = edge_decode(decoder, &event, error);
		} else if (event.info != decoder->ping && !is_for_sentinels(decoder, &event)) {
			event.kind = EVENT_COMMAND;
			key = command_first_key(event.info, event.argc, event.argv);
			if (key != 0)
				event.key = event.argv[key];
		}
	}
	/* Who sends or changes a command in its raw form looks for the marks of RESP in it, which the inline form has not. */
	if (event.kind == EVENT_COMMAND && in.data[0] != '*')
		event.raw = (struct slice){0};
	if (result == PARSE_OK)
		*ret = event;
	return result;
}
