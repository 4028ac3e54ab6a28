#include "store/schema.h"

#include "base/memory.h"

#include <stdlib.h>

const char *const schema_migrations[] = {
	/* 1: tasks, and what became of them */
	"CREATE TABLE task ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT," /* AUTOINCREMENT: an id, and with it a work directory, is never given to another task */
	" name TEXT NOT NULL UNIQUE, document TEXT NOT NULL, secrets BLOB, revision INTEGER NOT NULL, wanted TEXT NOT NULL, state TEXT NOT NULL, error TEXT,"
	" log_level TEXT, accept_changes INTEGER NOT NULL, since_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, event_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER NOT NULL REFERENCES task ON DELETE CASCADE,"
	" at_ms INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT) STRICT;"
	"CREATE INDEX history_task ON history (task, id);"
	"CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER NOT NULL REFERENCES task ON DELETE CASCADE,"
	" at_ms INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT) STRICT;"
	"CREATE INDEX event_task ON event (task, id);"
	"CREATE TABLE result (id INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER NOT NULL REFERENCES task ON DELETE CASCADE,"
	" at_ms INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT) STRICT;"
	"CREATE INDEX result_task ON result (task, id);",

	/* 2: who may do what, and who did; tasks of audit rows may be gone */
	"CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT) STRICT;"
	"CREATE TABLE token (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,"
	" created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) STRICT;"
	/* Nobody uses it any more; taking it away would be a migration that brings nothing. */
	"CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;",

	/* 3: how tasks went, minute by minute; what was not known is NULL */
	"CREATE TABLE trend (task INTEGER NOT NULL REFERENCES task ON DELETE CASCADE, at_s INTEGER NOT NULL,"
	" lag REAL, commands REAL, bytes REAL, spool REAL, progress REAL,"
	" PRIMARY KEY (task, at_s)) STRICT, WITHOUT ROWID;",
};

const size_t schema_migration_count = sizeof(schema_migrations) / sizeof(schema_migrations[0]);

static int version_of(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return version;
}

static bool apply(sqlite3 *db, const char *migration, size_t number)
{
	char *sql = memory_printf("BEGIN IMMEDIATE; %s PRAGMA user_version = %zu; COMMIT;", migration, number);
	bool ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;

	free(sql);
	return ok;
}

bool schema_migrate(sqlite3 *db, const char *path, const char *const *migrations, size_t count, struct error *error)
{
	int version = version_of(db);

	if (version < 0) {
		error_set(error, ERROR_INTERNAL, "%s cannot be read: %s", path, sqlite3_errmsg(db));
		return false;
	}
	if ((size_t)version > count) {
		error_set(error, ERROR_USAGE, "%s has schema %d, made by a newer keyferry; this one knows %zu", path, version,
			  count);
		error_hint(error, "Install that version again, or put back the copy of %s that was made before it", path);
		return false;
	}
	for (size_t i = (size_t)version; i < count; i++) {
		if (apply(db, migrations[i], i + 1))
			continue;
		error_set(error, ERROR_INTERNAL, "%s cannot be brought from schema %zu to %zu: %s", path, i, i + 1,
			  sqlite3_errmsg(db));
		error_hint(error, "It stands at schema %zu, unharmed. Make room on its disk and start again", i);
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return false;
	}
	return true;
}
