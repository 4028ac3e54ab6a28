/* The schema of the store: numbered migrations, each with what it changes and with its number in one transaction.
 *
 * The number is SQLite's user_version. A crash in the middle leaves the number before, and nothing of what was begun. Migrations that have been published are never changed.
 * Thread: that of the store. */
#ifndef KEYFERRY_STORE_SCHEMA_H
#define KEYFERRY_STORE_SCHEMA_H

#include "base/error.h"

#include <sqlite3.h>

#include <stddef.h>

/* migrations[i] leads from number i to i + 1. */
extern const char *const schema_migrations[];
extern const size_t schema_migration_count;

/* From where the database stands up to `count`. ERROR_USAGE: it is newer than that; ERROR_INTERNAL: it does not take one (a full disk). `path` is for the error. */
bool schema_migrate(sqlite3 *db, const char *path, const char *const *migrations, size_t count, struct error *error) WARN_UNUSED;

#endif
