#include "store/store_state.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

bool store_trend_add(struct store *store, int64_t task, const struct store_trend *minute, struct error *error)
{
	const double *values = minute->values;

	return store_run(
		store, error,
		"INSERT OR REPLACE INTO trend (task, at_s, lag, commands, bytes, spool, progress) VALUES (?, ?, ?, ?, ?, ?, ?)",
		"iiddddd", task, minute->at_s, values[0], values[1], values[2], values[3], values[4]);
}

static double value_of(sqlite3_stmt *statement, int column)
{
	return sqlite3_column_type(statement, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(statement, column);
}

bool store_trend_list(struct store *store, int64_t task, struct store_trend **ret, size_t *ret_count, struct error *error)
{
	sqlite3_stmt *statement = store_prepare(
		store, error, "SELECT at_s, lag, commands, bytes, spool, progress FROM trend WHERE task = ? ORDER BY at_s", "i",
		task);
	struct store_trend *minutes = NULL;
	size_t count = 0, room = 0;
	bool row, ok = statement != NULL;

	while (ok && (ok = store_step(store, statement, &row, error)) && row) {
		if (count == room) {
			room = room ? 2 * room : 64;
			minutes = memory_realloc_array(minutes, room, sizeof(*minutes));
		}
		minutes[count].at_s = sqlite3_column_int64(statement, 0);
		for (int i = 0; i < STORE_TREND_VALUES; i++)
			minutes[count].values[i] = value_of(statement, i + 1);
		count++;
	}
	if (ok) {
		*ret = minutes;
		*ret_count = count;
		return true;
	}
	free(minutes);
	return false;
}

bool store_trend_prune(struct store *store, int64_t task, int64_t before_s, struct error *error)
{
	if (task)
		return store_run(store, error, "DELETE FROM trend WHERE task = ? AND at_s < ?", "ii", task, before_s);
	return store_run(store, error, "DELETE FROM trend WHERE at_s < ?", "i", before_s);
}
