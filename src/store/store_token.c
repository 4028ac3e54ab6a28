#include "store/store_state.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void store_token_free(struct store_token *token)
{
	free(token->name);
	free(token->role);
	*token = (struct store_token){0};
}

bool store_token_add(struct store *store, struct store_token *token, struct error *error)
{
	if (!store_run(store, error,
		       "INSERT INTO token (name, role, hash, created_ms, expires_ms, used_ms) VALUES (?, ?, ?, ?, ?, ?)",
		       "ttbiii", token->name, token->role, (const void *)token->hash, sizeof(token->hash), token->created_ms,
		       token->expires_ms, token->used_ms))
		return false;
	token->id = sqlite3_last_insert_rowid(store->db);
	return true;
}

bool store_token_remove(struct store *store, int64_t id, bool *ret_found, struct error *error)
{
	if (!store_run(store, error, "DELETE FROM token WHERE id = ?", "i", id))
		return false;
	*ret_found = sqlite3_changes(store->db) > 0;
	return true;
}

static void read_token(sqlite3_stmt *statement, struct store_token *ret)
{
	*ret = (struct store_token){
		.id = sqlite3_column_int64(statement, 0),
		.name = store_text(statement, 1),
		.role = store_text(statement, 2),
		.created_ms = sqlite3_column_int64(statement, 4),
		.expires_ms = sqlite3_column_int64(statement, 5),
		.used_ms = sqlite3_column_int64(statement, 6),
	};
	/* A hash of another length is nobody's: it stays zero, which no token has. */
	if (sqlite3_column_bytes(statement, 3) == STORE_HASH_LEN)
		memcpy(ret->hash, sqlite3_column_blob(statement, 3), STORE_HASH_LEN);
}

bool store_token_list(struct store *store, struct store_token **ret, size_t *ret_count, struct error *error)
{
	sqlite3_stmt *statement = store_prepare(
		store, error, "SELECT id, name, role, hash, created_ms, expires_ms, used_ms FROM token ORDER BY id", "");
	struct store_token *tokens = NULL;
	size_t count = 0;
	bool row, ok = statement != NULL;

	while (ok && (ok = store_step(store, statement, &row, error)) && row) {
		tokens = memory_realloc_array(tokens, count + 1, sizeof(*tokens));
		read_token(statement, &tokens[count++]);
	}
	if (ok) {
		*ret = tokens;
		*ret_count = count;
		return true;
	}
	for (size_t i = 0; i < count; i++)
		store_token_free(&tokens[i]);
	free(tokens);
	return false;
}

bool store_token_used(struct store *store, int64_t id, int64_t at_ms, struct error *error)
{
	return store_run(store, error, "UPDATE token SET used_ms = ? WHERE id = ?", "ii", at_ms, id);
}
