/* The store of the daemon: one SQLite database in its data directory, DATA/keyferry.db.
 *
 * It knows tasks, what became of them, tokens and the audit log, as rows; what they mean knows service/. Written with WAL and synchronous=FULL: what a call has
 * answered with true is on the disk. All tables are STRICT; the schema is made by numbered migrations (store/schema.c), each in a transaction of its own with its number, so
 * that a crash leaves the one before or the one after. The file bears an application_id; a file of another program, a damaged one (PRAGMA quick_check at the start), or
 * one whose schema is newer than this keyferry is refused with what to do.
 * Logs are bounded: each append prunes what is over STORE_*_KEPT (by some rows: not each one looks), the oldest first.
 * Secrets: columns named `secrets` hold boxes of store/vault.h only.
 * Errors: ERROR_USAGE when it cannot be opened (place, rights, damage, newer schema), ERROR_INTERNAL later (a full disk). Texts name the file.
 * Thread: one at a time; service/ has a lock around it. Text that is returned is the caller's, free(). */
#ifndef KEYFERRY_STORE_STORE_H
#define KEYFERRY_STORE_STORE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define STORE_APPLICATION 0x6b667279 /* "kfry" */

#define STORE_HISTORY_KEPT 500 /* changes of state, per task */
#define STORE_EVENTS_KEPT 2000 /* per task */
#define STORE_RESULTS_KEPT 50  /* results of jobs (precheck, verify, finish, cutover), per task */
#define STORE_AUDIT_KEPT 100000
#define STORE_TASKS_MAX 10000
#define STORE_TOKENS_MAX 1000

struct store;

/* Makes it where it is missing (mode 0600) and brings its schema up to date. */
struct store *store_open(const char *path, struct error *error) WARN_UNUSED;
void store_close(struct store *store); /* NULL is fine */

/* Several calls as one: all of them are there after a crash, or none. Not nested. store_rollback() after a failure within. */
bool store_begin(struct store *store, struct error *error) WARN_UNUSED;
bool store_commit(struct store *store, struct error *error) WARN_UNUSED;
void store_rollback(struct store *store);

/* ---- tasks ---- */

struct store_task {
	int64_t id; /* never given twice, also after a deletion */
	char *name;
	char *document; /* JSON, without secrets (task/document_text.h) */
	void *secrets;  /* a sealed box (store/vault.h); NULL: the document has none */
	size_t secrets_len;
	int64_t revision;    /* of the document; from 1 */
	char *wanted;        /* a word of service/: what the operator wants it to do */
	char *state;         /* as last told: "streaming" */
	char *error;         /* its cause, JSON; NULL: none */
	char *log_level;     /* of its worker; NULL: the daemon's */
	bool accept_changes; /* its next start takes options that decide what is copied as they are now */
	int64_t since_ms, created_ms, updated_ms;
	int64_t event_ms; /* time of the newest event that was taken over from its worker; 0: none */
};

void store_task_free(struct store_task *task); /* its fields */

/* Fills task->id. */
bool store_task_add(struct store *store, struct store_task *task, struct error *error) WARN_UNUSED;
/* All columns but id and name. */
bool store_task_update(struct store *store, const struct store_task *task, struct error *error) WARN_UNUSED;
/* With everything that belongs to it. */
bool store_task_remove(struct store *store, int64_t id, struct error *error) WARN_UNUSED;
/* All, by id; *ret: free each, and the array. */
bool store_task_list(struct store *store, struct store_task **ret, size_t *ret_count, struct error *error) WARN_UNUSED;

/* ---- logs of a task, of its doings, and of who did what ---- */

enum store_log {
	STORE_HISTORY, /* of states: `kind` the state, `text` JSON of the cause or NULL */
	STORE_EVENTS,  /* incidents: `kind` as in docs/events.md, `text` JSON as status has it */
	STORE_RESULTS, /* of jobs: `kind` the job, `text` JSON */
	STORE_AUDIT,   /* `kind` the action, `text` JSON {who, from, ...} without secrets */
	STORE_LOGS,
};

struct store_entry {
	int64_t id;   /* rises within a log */
	int64_t task; /* 0: none (audit) */
	int64_t at_ms;
	char *kind;
	char *text; /* may be NULL */
};

/* `text` may be NULL. *ret_id, unless ret_id is NULL, is the new entry's. */
bool store_log_add(struct store *store, enum store_log log, int64_t task, int64_t at_ms, const char *kind, const char *text,
		   int64_t *ret_id, struct error *error) WARN_UNUSED;
/* Newest first: of one task (0: of all), older than `before` (0: from the newest), of one kind (NULL: of all), at most `most`. */
bool store_log_list(struct store *store, enum store_log log, int64_t task, const char *kind, int64_t before, uint32_t most,
		    struct store_entry **ret, size_t *ret_count, struct error *error) WARN_UNUSED;
void store_entries_free(struct store_entry *entries, size_t count);

/* ---- how a task went (service/trend.h) ---- */

#define STORE_TREND_VALUES 5

/* A minute of a task: lag in seconds, commands and bytes per second, bytes of the spool, share of the snapshot. NAN: not known. */
struct store_trend {
	int64_t at_s; /* its beginning */
	double values[STORE_TREND_VALUES];
};

/* In the place of one of the same minute. */
bool store_trend_add(struct store *store, int64_t task, const struct store_trend *minute, struct error *error) WARN_UNUSED;
/* Of a task, the oldest first; *ret: free(). */
bool store_trend_list(struct store *store, int64_t task, struct store_trend **ret, size_t *ret_count,
		      struct error *error) WARN_UNUSED;
/* What began before goes; `task` 0: of all. */
bool store_trend_prune(struct store *store, int64_t task, int64_t before_s, struct error *error) WARN_UNUSED;

/* ---- tokens ---- */

#define STORE_HASH_LEN 32

struct store_token {
	int64_t id;
	char *name;
	char *role;                     /* "viewer", "operator", "admin" */
	uint8_t hash[STORE_HASH_LEN];   /* of the token (store/vault.h); the token itself is nowhere */
	int64_t created_ms, expires_ms; /* 0: never */
	int64_t used_ms;                /* about; 0: never */
};

void store_token_free(struct store_token *token); /* its fields */
bool store_token_add(struct store *store, struct store_token *token, struct error *error) WARN_UNUSED;
/* *ret_found false: there is none. */
bool store_token_remove(struct store *store, int64_t id, bool *ret_found, struct error *error) WARN_UNUSED;
bool store_token_list(struct store *store, struct store_token **ret, size_t *ret_count, struct error *error) WARN_UNUSED;
bool store_token_used(struct store *store, int64_t id, int64_t at_ms, struct error *error) WARN_UNUSED;

#endif
