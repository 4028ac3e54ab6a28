#include "link/selection.h"

#include "source/heartbeat.h"
#include "wire/command.h"

bool selection_is_own_key(struct slice key)
{
	return slice_starts_with(key, SLICE("keyferry:")) &&
	       (slice_starts_with(key, SLICE("keyferry:mark:")) || slice_starts_with(key, SLICE("keyferry:task:")) ||
		slice_starts_with(key, SLICE("keyferry:tmp:")));
}

static bool database_of(struct slice text, uint32_t *ret)
{
	uint64_t number;

	if (!slice_to_uint64(text, &number) || number > UINT32_MAX)
		return false;
	*ret = (uint32_t)number;
	return true;
}

/* The databases that MOVE, COPY or SWAPDB touch. Returns their number, 0 when the command stays in its own. */
static uint32_t databases_of(const struct event *event, uint32_t out[2])
{
	out[0] = event->db;
	if (slice_equal_nocase(event->argv[0], SLICE("MOVE")))
		return event->argc > 2 && database_of(event->argv[2], &out[1]) ? 2 : 0;
	if (slice_equal_nocase(event->argv[0], SLICE("SWAPDB")))
		return event->argc > 2 && database_of(event->argv[1], &out[0]) && database_of(event->argv[2], &out[1]) ? 2 : 0;
	for (uint32_t i = 3; i + 1 < event->argc; i++)
		if (slice_equal_nocase(event->argv[i], SLICE("DB")))
			return database_of(event->argv[i + 1], &out[1]) ? 2 : 0;
	return 0;
}

static enum selection mixed(const struct event *event, struct error *error)
{
	char place[EVENT_PLACE_MAX];

	error_set(error, ERROR_CONFLICT, "%.*s (database %u, %s) touches databases of which only some are chosen by source.databases",
		  (int)(event->argv[0].len > 64 ? 64 : event->argv[0].len), (const char *)event->argv[0].data, event->db,
		  event_place(event, place));
	error_hint(error, "Choose all of these databases, or none");
	return SELECTION_REFUSED;
}

enum selection selection_of(const struct task_options *options, const struct event *event, struct error *error)
{
	uint32_t databases[2];

	if (event->key.data) {
		if (heartbeat_is_key(event->key))
			return SELECTION_HEARTBEAT;
		if (selection_is_own_key(event->key))
			return SELECTION_LEAVE;
	}
	if (options->all_databases)
		return SELECTION_COPY;
	if (event->kind == EVENT_COMMAND && event->info) {
		if ((event->info->flags & COMMAND_OTHER_DATABASE) && databases_of(event, databases) == 2) {
			bool first = task_options_database_selected(options, databases[0]);
			bool second = task_options_database_selected(options, databases[1]);

			if (first != second)
				return mixed(event, error);
			return first ? SELECTION_COPY : SELECTION_LEAVE;
		}
		if (slice_equal_nocase(event->argv[0], SLICE("FLUSHALL")))
			return mixed(event, error);
		if (event->info->flags & COMMAND_ALL_NODES && !slice_equal_nocase(event->argv[0], SLICE("FLUSHDB")))
			return SELECTION_COPY; /* functions and scripts belong to no database */
	}
	return task_options_database_selected(options, event->db) ? SELECTION_COPY : SELECTION_LEAVE;
}
