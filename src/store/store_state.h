/* What the files of the store share: the database, and statements as one sees them from C.
 * Thread: that of the store. */
#ifndef KEYFERRY_STORE_STORE_STATE_H
#define KEYFERRY_STORE_STORE_STATE_H

#include "store/store.h"

#include <sqlite3.h>

struct store {
	sqlite3 *db;
	char *path;
};

/* Bound by the letters of `types`, one per parameter: i int64_t, d double (NAN: null), t const char * (NULL: null), b const void *, size_t. NULL: the error is filled. */
sqlite3_stmt *store_prepare(struct store *store, struct error *error, const char *sql, const char *types, ...) WARN_UNUSED;
/* Prepares, runs to its end and closes. */
bool store_run(struct store *store, struct error *error, const char *sql, const char *types, ...) WARN_UNUSED;
/* *ret_row: there is one. False: failed; the statement is closed then, and when there are no more rows. */
bool store_step(struct store *store, sqlite3_stmt *statement, bool *ret_row, struct error *error) WARN_UNUSED;
/* NULL for null; free(). */
char *store_text(sqlite3_stmt *statement, int column);
bool store_fail(struct store *store, struct error *error);

#endif
