#include "link/transaction.h"

#include "base/memory.h"
#include "wire/resp.h"

#include <stdlib.h>

void transaction_free(struct transaction *transaction)
{
	free(transaction->runs);
	arena_free(&transaction->made);
	*transaction = (struct transaction){0};
}

void transaction_begin(struct transaction *transaction, const struct event *multi)
{
	arena_reset(&transaction->made);
	*transaction = (struct transaction){
		.open = true,
		.start = multi->start,
		.db = multi->db,
		.db_after = multi->db,
		.runs = transaction->runs,
		.run_room = transaction->run_room,
		.made = transaction->made,
	};
	transaction_add(transaction, SLICE(SINK_MULTI));
}

static void add_piece(struct transaction *transaction, struct slice bytes, bool made)
{
	struct sink_piece *last = transaction->run_count ? &transaction->runs[transaction->run_count - 1] : NULL;

	transaction->replies++;
	if (last && last->made == made && last->bytes.data + last->bytes.len == bytes.data) {
		last->bytes.len += bytes.len;
		return;
	}
	if (transaction->run_count == transaction->run_room) {
		transaction->run_room = transaction->run_room ? transaction->run_room * 2 : 8;
		transaction->runs = memory_realloc_array(transaction->runs, transaction->run_room, sizeof(transaction->runs[0]));
	}
	transaction->runs[transaction->run_count++] = (struct sink_piece){bytes, made};
}

void transaction_add(struct transaction *transaction, struct slice bytes)
{
	add_piece(transaction, bytes, false);
}

void transaction_end(struct transaction *transaction)
{
	transaction_add(transaction, SLICE(SINK_EXEC));
}

#define HEADER_MAX 32

static void add_made(struct transaction *transaction, uint32_t argc, const struct slice *argv)
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
	add_piece(transaction, slice_make(begin, (size_t)(at - begin)), true);
}

/* The command's database: by the SELECT before the whole for the first one, by one of our own inside for later ones. */
static void set_database(struct transaction *transaction, uint32_t db)
{
	if (transaction->commands == 0)
		transaction->db = db;
	else if (db != transaction->db_after)
		add_made(transaction, 2, (const struct slice[]){SLICE("SELECT"), arena_number(&transaction->made, db)});
	transaction->db_after = db;
}

bool transaction_command(struct transaction *transaction, const struct event *event, bool cluster, struct error *error)
{
	if (cluster) {
		struct route route = route_command(event, error);

		if (route.kind == ROUTE_REFUSED)
			return false;
		if (route.kind == ROUTE_SPLIT || route.kind == ROUTE_ALL ||
		    (route.kind == ROUTE_SLOT && transaction->has_slot && route.slot != transaction->slot)) {
			char key[160], place[EVENT_PLACE_MAX];

			error_set(
				error, ERROR_CONFLICT,
				"a transaction of the source (database %u, %s) has keys in different slots (%.*s of key %s among "
				"them): a cluster cannot execute it",
				transaction->db, event_place(event, place),
				(int)(event->argv[0].len > 64 ? 64 : event->argv[0].len), (const char *)event->argv[0].data,
				slice_quote(event->key, key, sizeof(key)));
			error_hint(error, "This version of keyferry does not carry transactions across slots: use hash tags, or "
					  "a standalone target");
			return false;
		}
		if (route.kind == ROUTE_SLOT) {
			transaction->has_slot = true;
			transaction->slot = route.slot;
		}
	}
	set_database(transaction, event->db);
	transaction->commands++;
	if (event->info && (event->info->flags & COMMAND_SCRIPT))
		transaction->script = true;
	if (!event->info || !command_is_replay_safe(event->info, event->argc, event->argv))
		transaction->unsafe = true;
	if (event->raw.data)
		transaction_add(transaction, event->raw);
	else
		add_made(transaction, event->argc, event->argv);
	return true;
}
