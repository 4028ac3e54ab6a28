#include "link/transaction.h"

#include "base/memory.h"

#include <stdlib.h>

void transaction_free(struct transaction *transaction)
{
	free(transaction->runs);
	*transaction = (struct transaction){0};
}

void transaction_begin(struct transaction *transaction, const struct event *multi)
{
	*transaction = (struct transaction){
		.open = true,
		.start = multi->start,
		.db = multi->db,
		.db_after = multi->db,
		.runs = transaction->runs,
		.run_room = transaction->run_room,
	};
	transaction_add(transaction, multi->raw);
}

void transaction_add(struct transaction *transaction, struct slice bytes)
{
	struct slice *last = transaction->run_count ? &transaction->runs[transaction->run_count - 1] : NULL;

	transaction->replies++;
	if (last && last->data + last->len == bytes.data) {
		last->len += bytes.len;
		return;
	}
	if (transaction->run_count == transaction->run_room) {
		transaction->run_room = transaction->run_room ? transaction->run_room * 2 : 8;
		transaction->runs = memory_realloc_array(transaction->runs, transaction->run_room, sizeof(transaction->runs[0]));
	}
	transaction->runs[transaction->run_count++] = bytes;
}

void transaction_select(struct transaction *transaction, struct slice bytes)
{
	transaction->select = bytes;
}

/* The command's database: by the SELECT before the whole for the first one, by its own inside for later ones. */
static void set_database(struct transaction *transaction, uint32_t db)
{
	if (transaction->commands == 0)
		transaction->db = db;
	else if (db != transaction->db_after)
		transaction_add(transaction, transaction->select);
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

			error_set(error, ERROR_CONFLICT,
				  "a transaction of the source (database %u, %s) has keys in different slots (%.*s of key %s among "
				  "them): a cluster cannot execute it",
				  transaction->db, event_place(event, place), (int)(event->argv[0].len > 64 ? 64 : event->argv[0].len),
				  (const char *)event->argv[0].data, slice_quote(event->key, key, sizeof(key)));
			error_hint(error, "This version of keyferry does not carry transactions across slots: use hash tags, or a standalone target");
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
	transaction_add(transaction, event->raw);
	return true;
}
