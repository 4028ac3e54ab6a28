#include "link/transaction.h"

#include "base/memory.h"
#include "wire/resp.h"

#include <stdlib.h>

void transaction_free(struct transaction *transaction)
{
	free(transaction->runs);
	free(transaction->order);
	free(transaction->pieces);
	arena_free(&transaction->made);
	route_splitter_free(&transaction->splitter);
	*transaction = (struct transaction){0};
}

void transaction_forget(struct transaction *transaction)
{
	transaction->open = transaction->handing_out = false;
}

void transaction_begin(struct transaction *transaction, const struct event *multi)
{
	arena_reset(&transaction->made);
	transaction->open = true;
	transaction->handing_out = false;
	transaction->start = multi->start;
	transaction->db = multi->db;
	transaction->run_count = 0;
	transaction->commands = 0;
	transaction->slot = 0;
}

static struct transaction_run *new_run(struct transaction *transaction)
{
	if (transaction->run_count == transaction->run_room) {
		transaction->run_room = transaction->run_room ? transaction->run_room * 2 : 8;
		transaction->runs = memory_realloc_array(transaction->runs, transaction->run_room, sizeof(transaction->runs[0]));
	}
	return &transaction->runs[transaction->run_count++];
}

static void add_run(struct transaction *transaction, const struct transaction_run *run)
{
	struct transaction_run *last = transaction->run_count ? &transaction->runs[transaction->run_count - 1] : NULL;

	if (last && !last->whole && last->made == run->made && last->slot == run->slot && last->db == run->db &&
	    last->bytes.data + last->bytes.len == run->bytes.data) {
		last->bytes.len += run->bytes.len;
		last->commands++;
		last->script |= run->script;
		last->unsafe |= run->unsafe;
		return;
	}
	*new_run(transaction) = *run;
}

#define HEADER_MAX 32

static struct slice make_bytes(struct transaction *transaction, uint32_t argc, const struct slice *argv)
{
	size_t room = HEADER_MAX;
	uint8_t *begin, *at;

	for (uint32_t i = 0; i < argc; i++)
		room += HEADER_MAX + argv[i].len + 2;
	begin = at = arena_take(&transaction->made, room);
	at += resp_put_array_header(at, argc);
	for (uint32_t i = 0; i < argc; i++) {
		at += resp_put_bulk_header(at, argv[i].len);
		if (argv[i].len)
			memcpy(at, argv[i].data, argv[i].len);
		at += argv[i].len;
		*at++ = '\r';
		*at++ = '\n';
	}
	return slice_make(begin, (size_t)(at - begin));
}

/* The event as a part of its own. What it points to is the source's bytes, but for the array of arguments; or it was made, and is copied. */
static void add_whole(struct transaction *transaction, const struct event *event)
{
	struct event *whole = arena_take(&transaction->made, sizeof(*whole));

	*whole = *event;
	whole->edge = TRANSACTION_NONE;
	whole->start = whole->end = transaction->start;
	whole->argv = arena_take(&transaction->made, event->argc * sizeof(whole->argv[0]));
	for (uint32_t i = 0; i < event->argc; i++)
		whole->argv[i] = event->raw.data ? event->argv[i] : arena_copy(&transaction->made, event->argv[i]);
	if (event->key.data && !event->raw.data)
		whole->key = arena_copy(&transaction->made, event->key);
	*new_run(transaction) = (struct transaction_run){.whole = whole};
}

static void add_split(struct transaction *transaction, const struct event *event)
{
	struct route_part *parts;
	uint32_t count = route_split(&transaction->splitter, event, &parts);

	for (uint32_t i = 0; i < count; i++)
		add_run(transaction, &(struct transaction_run){
					     .bytes = make_bytes(transaction, parts[i].argc, parts[i].argv),
					     .made = true,
					     .commands = 1,
					     .slot = parts[i].slot,
					     .db = event->db,
				     });
}

bool transaction_command(struct transaction *transaction, const struct event *event, bool cluster, struct error *error)
{
	struct transaction_run run = {
		.bytes = event->raw,
		.commands = 1,
		.db = event->db,
		.script = event->info && (event->info->flags & COMMAND_SCRIPT),
		.unsafe = !event->info || !command_is_replay_safe(event->info, event->argc, event->argv),
	};
	struct route route = {.kind = ROUTE_SLOT};

	if (cluster)
		route = route_command(event, error);
	if (route.kind == ROUTE_REFUSED)
		return false;
	if (transaction->commands++ == 0)
		transaction->db = event->db;
	switch (route.kind) {
	case ROUTE_SPLIT: add_split(transaction, event); return true;
	case ROUTE_CROSSING:
	case ROUTE_ALL: add_whole(transaction, event); return true;
	case ROUTE_SLOT: transaction->slot = route.slot; break;
	case ROUTE_ANY: /* with its neighbour */
	case ROUTE_REFUSED: break;
	}
	run.slot = transaction->slot;
	run.made = !event->raw.data;
	if (run.made)
		run.bytes = make_bytes(transaction, event->argc, event->argv);
	add_run(transaction, &run);
	return true;
}

/* ---- parts ---- */

void transaction_close(struct transaction *transaction)
{
	transaction->open = false;
	transaction->handing_out = true;
	transaction->parts_given = 0;
	transaction->next_run = transaction->order_count = transaction->order_at = 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The runs up to the next whole command, by slot. */
static void order_runs(struct transaction *transaction)
{
	transaction->order_count = transaction->order_at = 0;
	if (transaction->order_room < transaction->run_count) {
		transaction->order_room = transaction->run_room;
		transaction->order =
			memory_realloc_array(transaction->order, transaction->order_room, sizeof(transaction->order[0]));
	}
	while (transaction->next_run < transaction->run_count && !transaction->runs[transaction->next_run].whole) {
		uint32_t index = transaction->next_run++;

		transaction->order[transaction->order_count++] = (uint64_t)transaction->runs[index].slot << 32 | index;
	}
	qsort(transaction->order, transaction->order_count, sizeof(transaction->order[0]), compare);
}

static void add_piece(struct transaction *transaction, struct transaction_part *part, struct slice bytes, bool made,
		      uint32_t commands)
{
	struct sink_piece *last = part->piece_count ? &transaction->pieces[part->piece_count - 1] : NULL;

	part->replies += commands;
	if (last && last->made == made && last->bytes.data + last->bytes.len == bytes.data) {
		last->bytes.len += bytes.len;
		return;
	}
	if (part->piece_count == transaction->piece_room) {
		transaction->piece_room = transaction->piece_room ? transaction->piece_room * 2 : 8;
		transaction->pieces =
			memory_realloc_array(transaction->pieces, transaction->piece_room, sizeof(transaction->pieces[0]));
	}
	transaction->pieces[part->piece_count++] = (struct sink_piece){bytes, made};
}

static void make_part(struct transaction *transaction, struct transaction_part *part)
{
	const struct transaction_run *run = &transaction->runs[(uint32_t)transaction->order[transaction->order_at]];
	bool unsafe = false, script = false;

	part->slot = run->slot;
	part->db = part->db_after = run->db;
	add_piece(transaction, part, SLICE(SINK_MULTI), false, 1);
	for (; transaction->order_at < transaction->order_count; transaction->order_at++) {
		run = &transaction->runs[(uint32_t)transaction->order[transaction->order_at]];
		if (run->slot != part->slot)
			break;
		if (run->db != part->db_after) {
			struct slice argv[2] = {SLICE("SELECT"), arena_number(&transaction->made, run->db)};

			add_piece(transaction, part, make_bytes(transaction, 2, argv), true, 1);
			part->db_after = run->db;
		}
		add_piece(transaction, part, run->bytes, run->made, run->commands);
		unsafe |= run->unsafe;
		script |= run->script;
	}
	add_piece(transaction, part, SLICE(SINK_EXEC), false, 1);
	part->pieces = transaction->pieces;
	part->flags = (uint16_t)((script ? UNIT_SCRIPT : 0) | (unsafe ? 0 : UNIT_REPLAY_SAFE));
}

bool transaction_next(struct transaction *transaction, struct transaction_part *ret)
{
	struct transaction_part part = {0};

	if (transaction->order_at == transaction->order_count) {
		if (transaction->next_run == transaction->run_count) {
			transaction->handing_out = false;
			return false;
		}
		part.whole = transaction->runs[transaction->next_run].whole;
		if (part.whole)
			transaction->next_run++;
		else
			order_runs(transaction);
	}
	if (!part.whole)
		make_part(transaction, &part);
	part.last = transaction->order_at == transaction->order_count && transaction->next_run == transaction->run_count;
	transaction->parts_given++;
	*ret = part;
	return true;
}
