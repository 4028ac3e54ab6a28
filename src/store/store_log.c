#include "store/store_state.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define PRUNE_EVERY 32 /* appends: looking for what is too old costs more than a few rows do */
#define SQL_MAX 320

static const struct table {
	const char *name;
	int64_t kept;
} tables[STORE_LOGS] = {
	[STORE_HISTORY] = {"history", STORE_HISTORY_KEPT},
	[STORE_EVENTS] = {"event", STORE_EVENTS_KEPT},
	[STORE_RESULTS] = {"result", STORE_RESULTS_KEPT},
	[STORE_AUDIT] = {"audit", STORE_AUDIT_KEPT},
};

/* Of the task's rows, or, in the audit log, of all. */
static bool prune(struct store *store, enum store_log log, int64_t task, struct error *error)
{
	char sql[SQL_MAX];

	if (log == STORE_AUDIT) {
		snprintf(sql, sizeof(sql), "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?");
		return store_run(store, error, sql, "i", tables[log].kept);
	}
	snprintf(sql, sizeof(sql),
		 "DELETE FROM %s WHERE task = ? AND id <= (SELECT id FROM %s WHERE task = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
		 tables[log].name, tables[log].name);
	return store_run(store, error, sql, "iii", task, task, tables[log].kept);
}

bool store_log_add(struct store *store, enum store_log log, int64_t task, int64_t at_ms, const char *kind, const char *text,
		   int64_t *ret_id, struct error *error)
{
	char sql[SQL_MAX];
	int64_t id;

	snprintf(sql, sizeof(sql), "INSERT INTO %s (task, at_ms, kind, text) VALUES (nullif(?, 0), ?, ?, ?)", tables[log].name);
	if (!store_run(store, error, sql, "iitt", task, at_ms, kind, text))
		return false;
	id = sqlite3_last_insert_rowid(store->db);
	if (ret_id)
		*ret_id = id;
	return id % PRUNE_EVERY != 0 || prune(store, log, task, error);
}

bool store_log_list(struct store *store, enum store_log log, int64_t task, const char *kind, int64_t before, uint32_t most,
		    struct store_entry **ret, size_t *ret_count, struct error *error)
{
	struct store_entry *entries = NULL;
	sqlite3_stmt *statement;
	char sql[SQL_MAX];
	size_t count = 0;
	bool row, ok;

	/* Written so that the index by task is used where one is named. */
	snprintf(
		sql, sizeof(sql),
		"SELECT id, ifnull(task, 0), at_ms, kind, text FROM %s WHERE %s AND id < ? AND (?3 IS NULL OR kind = ?3) ORDER BY id DESC LIMIT ?",
		tables[log].name, task ? "task = ?" : "? = 0");
	statement = store_prepare(store, error, sql, "iiti", task, before > 0 ? before : INT64_MAX, kind, (int64_t)most);
	ok = statement != NULL;
	while (ok && (ok = store_step(store, statement, &row, error)) && row) {
		entries = memory_realloc_array(entries, count + 1, sizeof(*entries));
		entries[count++] = (struct store_entry){
			.id = sqlite3_column_int64(statement, 0),
			.task = sqlite3_column_int64(statement, 1),
			.at_ms = sqlite3_column_int64(statement, 2),
			.kind = store_text(statement, 3),
			.text = store_text(statement, 4),
		};
	}
	if (ok) {
		*ret = entries;
		*ret_count = count;
		return true;
	}
	store_entries_free(entries, count);
	return false;
}

void store_entries_free(struct store_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(entries[i].kind);
		free(entries[i].text);
	}
	free(entries);
}
