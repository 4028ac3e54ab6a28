/* The store: migrations, crashes in the middle, files that are refused, bounds of logs. */
#include "base/memory.h"
#include "store/schema.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/keyferry-store-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/keyferry.db", folder);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
	char name[192];

	(void)state;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct store *open_store(void)
{
	struct error error;
	struct store *store = store_open(path, &error);

	if (!store)
		fail_msg("%s", error.text);
	return store;
}

static void refuse_store(enum error_kind kind, const char *part)
{
	struct error error;

	assert_null(store_open(path, &error));
	assert_int_equal(error.kind, kind);
	if (!strstr(error.text, part))
		fail_msg("'%s' is not in '%s'", part, error.text);
	assert_true(error.hint[0] != '\0');
}

static struct store_task make_task(const char *name)
{
	return (struct store_task){.name = memory_strdup(name),
				   .document = memory_strdup("{}"),
				   .revision = 1,
				   .wanted = memory_strdup("running"),
				   .state = memory_strdup("streaming"),
				   .since_ms = 5,
				   .created_ms = 6,
				   .updated_ms = 7};
}

static int64_t add_task(struct store *store, const char *name)
{
	struct store_task task = make_task(name);
	struct error error;
	int64_t id;

	assert_true(store_task_add(store, &task, &error));
	id = task.id;
	store_task_free(&task);
	return id;
}

static size_t count_tasks(struct store *store)
{
	struct store_task *tasks;
	struct error error;
	size_t count;

	assert_true(store_task_list(store, &tasks, &count, &error));
	for (size_t i = 0; i < count; i++)
		store_task_free(&tasks[i]);
	free(tasks);
	return count;
}

/* ---- tasks ---- */

static void test_task_is_kept(void **state)
{
	struct store *store = open_store();
	struct store_task task = make_task("orders"), *tasks;
	struct error error;
	struct stat info;
	size_t count;

	(void)state;
	task.secrets = memory_strdup("box");
	task.secrets_len = 3;
	assert_true(store_task_add(store, &task, &error));
	free(task.state);
	task.state = memory_strdup("failed");
	task.error = memory_strdup("{\"kind\":\"target\"}");
	task.log_level = memory_strdup("debug");
	task.accept_changes = true;
	task.revision = 2;
	assert_true(store_task_update(store, &task, &error));
	store_close(store);

	store = open_store();
	assert_true(store_task_list(store, &tasks, &count, &error));
	assert_int_equal(count, 1);
	assert_int_equal(tasks[0].id, task.id);
	assert_string_equal(tasks[0].name, "orders");
	assert_string_equal(tasks[0].document, "{}");
	assert_string_equal(tasks[0].state, "failed");
	assert_string_equal(tasks[0].error, "{\"kind\":\"target\"}");
	assert_string_equal(tasks[0].log_level, "debug");
	assert_true(tasks[0].accept_changes);
	assert_int_equal(tasks[0].revision, 2);
	assert_int_equal(tasks[0].secrets_len, 3);
	assert_memory_equal(tasks[0].secrets, "box", 3);
	assert_int_equal(tasks[0].since_ms, 5);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	store_task_free(&tasks[0]);
	free(tasks);
	store_task_free(&task);
	store_close(store);
}

static void test_name_is_unique_and_id_is_not_given_again(void **state)
{
	struct store *store = open_store();
	int64_t first = add_task(store, "a"), second;
	struct store_task twin = make_task("a");
	struct error error;

	(void)state;
	assert_false(store_task_add(store, &twin, &error));
	store_task_free(&twin);
	assert_true(store_task_remove(store, first, &error));
	second = add_task(store, "a");
	assert_true(second > first);
	store_close(store);
}

/* ---- crashes ---- */

static void in_child(void (*work)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void begin_and_die(void)
{
	struct error error;
	struct store *store = store_open(path, &error);
	struct store_task task = make_task("half");

	if (!store || !store_begin(store, &error) || !store_task_add(store, &task, &error))
		_exit(1);
	_exit(0);
}

static void add_and_die(void)
{
	struct error error;
	struct store *store = store_open(path, &error);
	struct store_task task = make_task("whole");

	if (!store || !store_task_add(store, &task, &error))
		_exit(1);
	_exit(0);
}

static void test_crash_keeps_what_was_answered(void **state)
{
	struct store *store;

	(void)state;
	in_child(add_and_die);
	in_child(begin_and_die);
	store = open_store();
	assert_int_equal(count_tasks(store), 1);
	store_close(store);
}

static void test_rollback(void **state)
{
	struct store *store = open_store();
	struct error error;

	(void)state;
	assert_true(store_begin(store, &error));
	add_task(store, "a");
	store_rollback(store);
	assert_int_equal(count_tasks(store), 0);
	assert_true(store_begin(store, &error));
	add_task(store, "a");
	assert_true(store_commit(store, &error));
	assert_int_equal(count_tasks(store), 1);
	store_close(store);
}

/* ---- migrations ---- */

static void execute(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void make_older(size_t schema)
{
	struct error error;
	char mark[64];
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_true(schema_migrate(db, path, schema_migrations, schema, &error));
	sqlite3_close(db);
	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d", STORE_APPLICATION);
	execute(mark);
}

static void test_older_schema_is_migrated(void **state)
{
	struct store *store;
	struct store_token *tokens;
	struct error error;
	size_t count;

	(void)state;
	for (size_t schema = 1; schema < schema_migration_count; schema++) {
		make_older(schema);
		execute("INSERT INTO task (name, document, revision, wanted, state, accept_changes, since_ms, created_ms, updated_ms, event_ms)"
			" VALUES ('old', '{}', 1, 'running', 'streaming', 0, 1, 1, 1, 0)");
		store = open_store();
		assert_int_equal(count_tasks(store), 1);
		assert_true(store_token_list(store, &tokens, &count, &error));
		assert_int_equal(count, 0);
		free(tokens);
		store_close(store);
		unlink(path);
	}
	store_close(open_store());
}

static void test_trend(void **state)
{
	struct store_task task = {.name = memory_strdup("orders"),
				  .document = memory_strdup("{}"),
				  .wanted = memory_strdup("idle"),
				  .state = memory_strdup("created")};
	struct store *store = open_store();
	struct store_trend *minutes;
	struct error error;
	size_t count;

	(void)state;
	assert_true(store_task_add(store, &task, &error));
	for (int i = 0; i < 100; i++) {
		struct store_trend minute = {60 * i, {i, 0.5, i % 2 ? (double)NAN : 1, 4, 5}};

		assert_true(store_trend_add(store, task.id, &minute, &error));
	}
	assert_true(store_trend_add(store, task.id, &(struct store_trend){60, {7, 7, 7, 7, (double)NAN}}, &error));
	assert_true(store_trend_list(store, task.id, &minutes, &count, &error));
	assert_int_equal(count, 100);
	assert_true(minutes[99].at_s == 99 * 60 && minutes[99].values[0] == 99 && minutes[99].values[1] == 0.5 &&
		    isnan(minutes[99].values[2]));
	assert_true(minutes[1].values[0] == 7 && isnan(minutes[1].values[4]));
	free(minutes);
	assert_true(store_trend_prune(store, task.id + 1, 6000, &error) && store_trend_prune(store, task.id, 60 * 40, &error));
	assert_true(store_trend_list(store, task.id, &minutes, &count, &error));
	assert_int_equal(count, 60);
	assert_int_equal(minutes[0].at_s, 60 * 40);
	free(minutes);
	assert_true(store_trend_prune(store, 0, 60 * 99, &error));
	/* It goes with its task. */
	assert_true(store_task_remove(store, task.id, &error));
	assert_true(store_trend_list(store, task.id, &minutes, &count, &error));
	assert_int_equal(count, 0);
	free(minutes);
	store_task_free(&task);
	store_close(store);
}

static const char *const broken_migrations[] = {
	"CREATE TABLE first (a INTEGER) STRICT;",
	"CREATE TABLE second (a INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
};

static void test_failed_migration_leaves_the_one_before(void **state)
{
	struct error error;
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_false(schema_migrate(db, path, broken_migrations, 2, &error));
	assert_non_null(strstr(error.text, "from schema 1 to 2"));
	/* `second` is not there, and the number is that of the first. */
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE second (b INTEGER)", NULL, NULL, NULL), SQLITE_OK);
	assert_false(schema_migrate(db, path, broken_migrations, 0, &error));
	assert_non_null(strstr(error.text, "schema 1, made by a newer keyferry"));
	sqlite3_close(db);
}

static void migrate_and_die(void)
{
	char sql[4096];
	sqlite3 *db;

	snprintf(sql, sizeof(sql), "BEGIN IMMEDIATE; %s PRAGMA user_version = 2;", schema_migrations[1]);
	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		_exit(1);
	_exit(0);
}

static void test_crash_in_a_migration(void **state)
{
	struct store *store;
	struct store_token *tokens;
	struct error error;
	size_t count;

	(void)state;
	make_older(1);
	in_child(migrate_and_die);
	store = open_store();
	assert_true(store_token_list(store, &tokens, &count, &error));
	assert_int_equal(count, 0);
	free(tokens);
	store_close(store);
}

static void test_newer_schema_is_refused(void **state)
{
	char part[64];

	(void)state;
	store_close(open_store());
	execute("PRAGMA user_version = 99");
	snprintf(part, sizeof(part), "schema 99, made by a newer keyferry; this one knows %zu", schema_migration_count);
	refuse_store(ERROR_USAGE, part);
}

static void test_other_database_is_refused(void **state)
{
	(void)state;
	execute("CREATE TABLE a (b)");
	refuse_store(ERROR_USAGE, "another program");
	execute("PRAGMA application_id = 7");
	refuse_store(ERROR_USAGE, "another program");
}

static void test_damaged_file_is_refused(void **state)
{
	FILE *file;

	(void)state;
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"this is no database, and it is long enough to be seen as none by whoever reads its first hundred bytes of header");
	fclose(file);
	refuse_store(ERROR_USAGE, "no database, or is damaged");
	unlink(path);

	store_close(open_store());
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
	for (int i = 0; i < 4000; i++)
		fputc(0xa5, file);
	fclose(file);
	refuse_store(ERROR_USAGE, "damaged");
}

/* ---- logs ---- */

static void test_logs_are_bounded(void **state)
{
	struct store *store = open_store();
	int64_t task = add_task(store, "a"), other = add_task(store, "b"), id = 0;
	struct store_entry *entries;
	struct error error;
	size_t count;

	(void)state;
	assert_true(store_begin(store, &error));
	for (int i = 0; i < 3 * STORE_RESULTS_KEPT; i++)
		assert_true(store_log_add(store, STORE_RESULTS, i == 0 ? other : task, i, i % 2 ? "verify" : "precheck", "{}",
					  &id, &error));
	assert_true(store_commit(store, &error));
	assert_true(store_log_list(store, STORE_RESULTS, task, NULL, 0, 1000, &entries, &count, &error));
	assert_in_range(count, STORE_RESULTS_KEPT, STORE_RESULTS_KEPT + 32);
	assert_int_equal(entries[0].id, id);
	assert_int_equal(entries[0].at_ms, 3 * STORE_RESULTS_KEPT - 1);
	store_entries_free(entries, count);
	/* The other task's only row is older than all of these, and stays. */
	assert_true(store_log_list(store, STORE_RESULTS, other, NULL, 0, 1000, &entries, &count, &error));
	assert_int_equal(count, 1);
	store_entries_free(entries, count);
	/* Pages, and one kind. */
	assert_true(store_log_list(store, STORE_RESULTS, 0, "verify", id, 2, &entries, &count, &error));
	assert_int_equal(count, 2);
	assert_string_equal(entries[0].kind, "verify");
	assert_true(entries[0].id < id && entries[1].id < entries[0].id);
	store_entries_free(entries, count);
	assert_true(store_task_remove(store, task, &error));
	assert_true(store_log_list(store, STORE_RESULTS, 0, NULL, 0, 1000, &entries, &count, &error));
	assert_int_equal(count, 1);
	store_entries_free(entries, count);
	store_close(store);
}

static void test_audit_outlives_the_task(void **state)
{
	struct store *store = open_store();
	int64_t task = add_task(store, "a");
	struct store_entry *entries;
	struct error error;
	size_t count;

	(void)state;
	assert_true(store_log_add(store, STORE_AUDIT, task, 1, "delete", NULL, NULL, &error));
	assert_true(store_task_remove(store, task, &error));
	assert_true(store_log_list(store, STORE_AUDIT, task, NULL, 0, 10, &entries, &count, &error));
	assert_int_equal(count, 1);
	assert_null(entries[0].text);
	store_entries_free(entries, count);
	store_close(store);
}

/* ---- tokens and settings ---- */

static void test_tokens(void **state)
{
	struct store *store = open_store();
	struct store_token token = {.name = memory_strdup("ci"),
				    .role = memory_strdup("operator"),
				    .hash = {1, 2, 3},
				    .created_ms = 9},
			   *tokens;
	struct error error;
	bool found;
	size_t count;

	(void)state;
	assert_true(store_token_add(store, &token, &error));
	assert_true(store_token_used(store, token.id, 77, &error));
	assert_true(store_token_list(store, &tokens, &count, &error));
	assert_int_equal(count, 1);
	assert_memory_equal(tokens[0].hash, token.hash, STORE_HASH_LEN);
	assert_int_equal(tokens[0].used_ms, 77);
	store_token_free(&tokens[0]);
	free(tokens);
	assert_true(store_token_remove(store, token.id, &found, &error));
	assert_true(found);
	assert_true(store_token_remove(store, token.id, &found, &error));
	assert_false(found);
	store_token_free(&token);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_task_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_name_is_unique_and_id_is_not_given_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash_keeps_what_was_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rollback, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_schema_is_migrated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_trend, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_migration_leaves_the_one_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash_in_a_migration, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_schema_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_database_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_logs_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_audit_outlives_the_task, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
