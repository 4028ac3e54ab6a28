#include "store/store_state.h"

#include "base/memory.h"
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000 /* a backup may be reading */

/* ---- statements ---- */

bool store_fail(struct store *store, struct error *error)
{
	int code = sqlite3_errcode(store->db);

	error_set(error, ERROR_INTERNAL, "%s: %s", store->path, sqlite3_errmsg(store->db));
	if (code == SQLITE_FULL || code == SQLITE_IOERR)
		error_hint(error, "Make room on its disk; nothing was changed");
	return false;
}

static bool bind(sqlite3_stmt *statement, const char *types, va_list *args)
{
	for (int i = 1; *types; types++, i++) {
		int result = SQLITE_MISUSE;

		if (*types == 'i') {
			result = sqlite3_bind_int64(statement, i, va_arg(*args, int64_t));
		} else if (*types == 'd') {
			result = sqlite3_bind_double(statement, i, va_arg(*args, double));
		} else if (*types == 't') {
			const char *text = va_arg(*args, const char *);

			result = text ? sqlite3_bind_text(statement, i, text, -1, SQLITE_TRANSIENT)
				      : sqlite3_bind_null(statement, i);
		} else if (*types == 'b') {
			const void *data = va_arg(*args, const void *);
			size_t len = va_arg(*args, size_t);

			result = data ? sqlite3_bind_blob64(statement, i, data, len, SQLITE_TRANSIENT)
				      : sqlite3_bind_null(statement, i);
		}
		if (result != SQLITE_OK)
			return false;
	}
	return true;
}

static sqlite3_stmt *prepare(struct store *store, struct error *error, const char *sql, const char *types, va_list *args)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK && bind(statement, types, args))
		return statement;
	store_fail(store, error);
	sqlite3_finalize(statement);
	return NULL;
}

sqlite3_stmt *store_prepare(struct store *store, struct error *error, const char *sql, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list args;

	va_start(args, types);
	statement = prepare(store, error, sql, types, &args);
	va_end(args);
	return statement;
}

bool store_step(struct store *store, sqlite3_stmt *statement, bool *ret_row, struct error *error)
{
	int result = sqlite3_step(statement);

	if (result == SQLITE_ROW || result == SQLITE_DONE) {
		*ret_row = result == SQLITE_ROW;
		if (result == SQLITE_DONE)
			sqlite3_finalize(statement);
		return true;
	}
	store_fail(store, error);
	sqlite3_finalize(statement);
	return false;
}

bool store_run(struct store *store, struct error *error, const char *sql, const char *types, ...)
{
	sqlite3_stmt *statement;
	bool row = true, ok = true;
	va_list args;

	va_start(args, types);
	statement = prepare(store, error, sql, types, &args);
	va_end(args);
	if (!statement)
		return false;
	while (ok && row)
		ok = store_step(store, statement, &row, error);
	return ok;
}

char *store_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text ? memory_strdup(text) : NULL;
}

/* ---- opening ---- */

static int64_t pragma(struct store *store, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

static bool check_owner(struct store *store, struct error *error)
{
	int64_t application = pragma(store, "PRAGMA application_id");

	if (application == STORE_APPLICATION || (application == 0 && pragma(store, "SELECT count(*) FROM sqlite_master") == 0))
		return true;
	if (application < 0)
		error_set(error, ERROR_USAGE, "%s is no database, or is damaged: %s", store->path, sqlite3_errmsg(store->db));
	else
		error_set(error, ERROR_USAGE, "%s is the database of another program", store->path);
	error_hint(error, "Put back a copy, or move the file away; work directories of tasks are not touched by either");
	return false;
}

static bool check_whole(struct store *store, struct error *error)
{
	sqlite3_stmt *statement = NULL;
	bool row, whole = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
			  sqlite3_step(statement) == SQLITE_ROW;
	char *found = whole ? store_text(statement, 0) : NULL;

	row = found && strcmp(found, "ok") == 0;
	sqlite3_finalize(statement);
	if (!row) {
		error_set(error, ERROR_USAGE, "%s is damaged: %s", store->path, found ? found : sqlite3_errmsg(store->db));
		error_hint(error, "Put back a copy, or move the file away; work directories of tasks are not touched by either");
	}
	free(found);
	return row;
}

static bool prepare_file(struct store *store, struct error *error)
{
	char *setup = memory_printf(
		"PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA application_id = %d",
		STORE_APPLICATION);
	bool ok = sqlite3_exec(store->db, setup, NULL, NULL, NULL) == SQLITE_OK;

	free(setup);
	if (ok)
		return true;
	store_fail(store, error);
	error->kind = ERROR_USAGE;
	return false;
}

/* Made here, for SQLite would make it readable for all; its other files get the mode of this one. */
static bool make_file(const char *path, struct error *error)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (file < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be opened", path);
		error_hint(error, "Run the daemon as the user that owns its data directory (--data)");
		return false;
	}
	close(file);
	return true;
}

struct store *store_open(const char *path, struct error *error)
{
	struct store *store;

	if (!make_file(path, error))
		return NULL;
	store = memory_alloc_zero(1, sizeof(*store));
	store->path = memory_strdup(path);
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		store_fail(store, error);
		error->kind = ERROR_USAGE;
		store_close(store);
		return NULL;
	}
	sqlite3_busy_timeout(store->db, BUSY_MS);
	if (check_owner(store, error) && check_whole(store, error) && prepare_file(store, error) &&
	    schema_migrate(store->db, path, schema_migrations, schema_migration_count, error))
		return store;
	store_close(store);
	return NULL;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}

/* ---- several calls as one ---- */

bool store_begin(struct store *store, struct error *error)
{
	return store_run(store, error, "BEGIN IMMEDIATE", "");
}

bool store_commit(struct store *store, struct error *error)
{
	return store_run(store, error, "COMMIT", "");
}

void store_rollback(struct store *store)
{
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- tasks ---- */

#define COLUMNS                                                                                                                  \
	"document, secrets, revision, wanted, state, error, log_level, accept_changes, since_ms, created_ms, updated_ms, event_ms"
#define VALUES(task)                                                                                                             \
	(task)->document, (const void *)(task)->secrets, (task)->secrets_len, (task)->revision, (task)->wanted, (task)->state,   \
		(task)->error, (task)->log_level, (int64_t)(task)->accept_changes, (task)->since_ms, (task)->created_ms,         \
		(task)->updated_ms, (task)->event_ms

void store_task_free(struct store_task *task)
{
	free(task->name);
	free(task->document);
	free(task->secrets);
	free(task->wanted);
	free(task->state);
	free(task->error);
	free(task->log_level);
	*task = (struct store_task){0};
}

bool store_task_add(struct store *store, struct store_task *task, struct error *error)
{
	if (!store_run(store, error, "INSERT INTO task (" COLUMNS ", name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       "tbitttt"
		       "iiiiit",
		       VALUES(task), task->name))
		return false;
	task->id = sqlite3_last_insert_rowid(store->db);
	return true;
}

bool store_task_update(struct store *store, const struct store_task *task, struct error *error)
{
	return store_run(store, error, "UPDATE task SET (" COLUMNS ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?",
			 "tbitttt"
			 "iiiiii",
			 VALUES(task), task->id);
}

bool store_task_remove(struct store *store, int64_t id, struct error *error)
{
	return store_run(store, error, "DELETE FROM task WHERE id = ?", "i", id);
}

static void read_task(sqlite3_stmt *statement, struct store_task *ret)
{
	const void *secrets = sqlite3_column_blob(statement, 3);
	size_t len = (size_t)sqlite3_column_bytes(statement, 3);

	*ret = (struct store_task){
		.id = sqlite3_column_int64(statement, 0),
		.name = store_text(statement, 1),
		.document = store_text(statement, 2),
		.secrets_len = len,
		.revision = sqlite3_column_int64(statement, 4),
		.wanted = store_text(statement, 5),
		.state = store_text(statement, 6),
		.error = store_text(statement, 7),
		.log_level = store_text(statement, 8),
		.accept_changes = sqlite3_column_int64(statement, 9) != 0,
		.since_ms = sqlite3_column_int64(statement, 10),
		.created_ms = sqlite3_column_int64(statement, 11),
		.updated_ms = sqlite3_column_int64(statement, 12),
		.event_ms = sqlite3_column_int64(statement, 13),
	};
	if (secrets) {
		ret->secrets = memory_alloc(len);
		memcpy(ret->secrets, secrets, len);
	}
}

bool store_task_list(struct store *store, struct store_task **ret, size_t *ret_count, struct error *error)
{
	sqlite3_stmt *statement = store_prepare(store, error, "SELECT id, name, " COLUMNS " FROM task ORDER BY id", "");
	struct store_task *tasks = NULL;
	size_t count = 0;
	bool row, ok = statement != NULL;

	while (ok && (ok = store_step(store, statement, &row, error)) && row) {
		tasks = memory_realloc_array(tasks, count + 1, sizeof(*tasks));
		read_task(statement, &tasks[count++]);
	}
	if (ok) {
		*ret = tasks;
		*ret_count = count;
		return true;
	}
	for (size_t i = 0; i < count; i++)
		store_task_free(&tasks[i]);
	free(tasks);
	return false;
}
