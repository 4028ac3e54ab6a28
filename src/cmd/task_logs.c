/* What was: events, history, results, the audit log, and the task's log; and what comes, of events and the log. */
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/job_report.h"
#include "cmd/task_calls.h"

#include <stdlib.h>

#define LINES 200
#define LINES_MAX 10000

/* ---- pages of a list ---- */

/* "?kind=...&limit=...&before=..."; free(). NULL: ERROR_USAGE. */
static char *page_query(const struct task_session *session, struct error *error)
{
	const char *kind = arguments_value(&session->arguments, "kind");
	uint64_t limit = 100, before = 0;
	char *escaped, *query, text[32] = "";

	if (!task_take_number(session, "limit", 1, 1000, &limit, error) ||
	    !task_take_number(session, "before", 1, INT64_MAX, &before, error))
		return NULL;
	if (before)
		snprintf(text, sizeof(text), "&before=%llu", (unsigned long long)before);
	escaped = kind ? task_escape(kind) : NULL;
	query = memory_printf("?limit=%llu%s%s%s", (unsigned long long)limit, text, escaped ? "&kind=" : "",
			      escaped ? escaped : "");
	free(escaped);
	return query;
}

/* Takes what of the path stands before the query. */
static json_t *get_page(struct task_session *session, char *path, struct error *error)
{
	char *query = path ? page_query(session, error) : NULL;
	json_t *page = query ? task_get(session, memory_printf("%s%s", path, query), error) : NULL;

	free(query);
	free(path);
	return page;
}

typedef void add_row(struct table *table, const json_t *entry);

static bool print_page(struct task_session *session, char *path, const char *const *headings, add_row *add, struct error *error)
{
	json_t *page = get_page(session, path, error), *items = json_object_get(page, "items");
	struct table *table;

	if (page && session->json) {
		task_print_answer(session);
	} else if (page) {
		table = table_new(headings);
		for (size_t i = json_array_size(items); i-- > 0;)
			add(table, json_array_get(items, i));
		task_print_table(session, table);
		if (json_is_integer(json_object_get(page, "next")))
			fprintf(stderr, "There are older ones: --before %lld\n",
				(long long)json_integer_value(json_object_get(page, "next")));
	}
	json_decref(page);
	return page != NULL;
}

static void add_result(struct table *table, const json_t *result)
{
	const json_t *code = json_object_get(result, "exit_code");
	char *outline = job_report_outline(result);

	table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(result, "id")));
	table_cell(table, TABLE_PLAIN, "%s", task_text(result, "time"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(result, "kind"));
	table_cell(table, json_integer_value(code) ? TABLE_BAD : TABLE_GOOD, json_is_integer(code) ? "%lld" : "-",
		   (long long)json_integer_value(code));
	table_cell(table, TABLE_PLAIN, "%s", outline);
	free(outline);
}

bool cmd_task_results(struct task_session *session, struct error *error)
{
	static const char *const headings[] = {">ID", "TIME", "KIND", ">CODE", "RESULT", NULL};

	return print_page(session, task_path(task_word(session, 0), "/results"), headings, add_result, error);
}

static void add_state(struct table *table, const json_t *entry)
{
	const json_t *fault = json_object_get(entry, "error");

	table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(entry, "id")));
	table_cell(table, TABLE_PLAIN, "%s", task_text(entry, "time"));
	table_cell(table, table_state_colour(task_text(entry, "state")), "%s", task_text(entry, "state"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(fault, "text"));
}

bool cmd_task_history(struct task_session *session, struct error *error)
{
	static const char *const headings[] = {">ID", "TIME", "STATE", "CAUSE", NULL};

	return print_page(session, task_path(task_word(session, 0), "/history"), headings, add_state, error);
}

static void add_audit(struct table *table, const json_t *entry)
{
	const json_t *detail = json_object_get(entry, "detail");
	char *text = detail && !json_is_null(detail) ? json_dumps(detail, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(entry, "id")));
	table_cell(table, TABLE_PLAIN, "%s", task_text(entry, "time"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(entry, "who"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(entry, "from"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(entry, "action"));
	table_cell(table, strcmp(task_text(entry, "result"), "ok") == 0 ? TABLE_PLAIN : TABLE_BAD, "%s",
		   task_text(entry, "result"));
	table_cell(table, TABLE_PLAIN, "%s", text ? text : "");
	free(text);
}

bool cmd_task_audit(struct task_session *session, struct error *error)
{
	static const char *const headings[] = {">ID", "TIME", "WHO", "FROM", "ACTION", "RESULT", "DETAIL", NULL};

	return print_page(session, memory_strdup("/api/v1/audit"), headings, add_audit, error);
}

/* ---- events ---- */

static void add_event(struct table *table, const json_t *event)
{
	table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(event, "id")));
	table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(event, "task")));
	table_cell(table, TABLE_PLAIN, "%s", task_text(event, "time"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(event, "kind"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(event, "link"));
	table_cell(table, TABLE_PLAIN, "%s", task_text(event, "text"));
}

struct follower {
	struct task_session *session;
	const char *kind; /* NULL: any */
	int64_t newest;   /* that was printed */
	bool removed;     /* the task is */
};

/* It goes on as soon as it can. */
static bool on_lost(void *owner, const struct error *error)
{
	struct follower *follower = owner;

	fprintf(stderr, "keyferry %s: %s; trying again\n", follower->session->command->name, error->text);
	return true;
}

static bool print_event(struct follower *follower, const json_t *event)
{
	char *text = task_clean(task_text(event, "text")), *line;

	if (follower->session->json) {
		line = json_dumps(event, JSON_COMPACT);
		puts(line);
		free(line);
	} else {
		printf("%s  %lld  %-18s %s  %s\n", task_text(event, "time"),
		       (long long)json_integer_value(json_object_get(event, "task")), task_text(event, "kind"),
		       task_text(event, "link"), text);
	}
	free(text);
	return task_flush();
}

static bool take_event(void *owner, const char *name, struct slice data)
{
	struct follower *follower = owner;
	json_t *event = strcmp(name, "incident") == 0 ? json_loadb((const char *)data.data, data.len, 0, NULL) : NULL;
	int64_t id = json_integer_value(json_object_get(event, "id"));
	bool ok = true;

	if (id > follower->newest && (!follower->kind || strcmp(task_text(event, "kind"), follower->kind) == 0))
		ok = print_event(follower, event);
	follower->newest = id > follower->newest ? id : follower->newest;
	json_decref(event);
	return ok;
}

/* The list first, and the stream from its newest entry on. Takes the path. */
static bool follow_events(struct task_session *session, char *path, struct error *error)
{
	static const struct api_stream_events callbacks = {.take = take_event, .lost = on_lost};
	struct follower follower = {.session = session, .kind = arguments_value(&session->arguments, "kind")};
	json_t *page = get_page(session, memory_strdup(path), error), *items = json_object_get(page, "items");
	char last[48];
	bool ok = page != NULL;

	follower.newest = json_integer_value(json_object_get(json_array_get(items, 0), "id"));
	for (size_t i = json_array_size(items); i-- > 0 && ok;)
		ok = print_event(&follower, json_array_get(items, i));
	/* The other half of the id is of changes of state, which are passed over. */
	snprintf(last, sizeof(last), "%lld-0", (long long)follower.newest);
	if (page && ok)
		ok = api_client_stream(session->client, path, last, &callbacks, &follower, error);
	json_decref(page);
	free(path);
	return page ? ok || error->kind == ERROR_NONE : false;
}

bool cmd_task_events(struct task_session *session, struct error *error)
{
	static const char *const headings[] = {">ID", ">TASK", "TIME", "KIND", "LINK", "WHAT", NULL};
	const char *task = task_word(session, 0);
	char *path = task ? task_path(task, "/events") : memory_strdup("/api/v1/events");

	if (arguments_given(&session->arguments, "follow"))
		return follow_events(session, path, error);
	return print_page(session, path, headings, add_event, error);
}

/* ---- the log ---- */

static void print_lines(const json_t *lines)
{
	for (size_t i = 0; i < json_array_size(lines); i++) {
		char *text = task_clean(json_string_value(json_array_get(lines, i)));

		puts(text);
		free(text);
	}
}

static bool take_lines(void *owner, const char *name, struct slice data)
{
	struct follower *follower = owner;
	json_t *tree = strcmp(name, "lines") == 0 ? json_loadb((const char *)data.data, data.len, 0, NULL) : NULL;

	print_lines(json_object_get(tree, "lines"));
	json_decref(tree);
	if (strcmp(name, "gap") == 0)
		puts("... (lines are missing here)");
	follower->removed = strcmp(name, "removed") == 0;
	return task_flush() && !follower->removed;
}

static bool follow_log(struct task_session *session, const char *task, uint64_t count, struct error *error)
{
	static const struct api_stream_events callbacks = {.take = take_lines, .lost = on_lost};
	struct follower follower = {.session = session};
	char *path = task_path(task, "/log?lines=%llu", (unsigned long long)count);
	bool ok = api_client_stream(session->client, path, NULL, &callbacks, &follower, error);

	free(path);
	if (!follower.removed)
		return ok;
	error_set(error, ERROR_USAGE, "task %s is deleted", task);
	return false;
}

bool cmd_task_logs(struct task_session *session, struct error *error)
{
	const char *task = task_word(session, 0);
	uint64_t count = LINES;
	json_t *page;

	if (!task_take_number(session, "lines", 1, LINES_MAX, &count, error))
		return false;
	if (arguments_given(&session->arguments, "follow")) {
		if (!session->json)
			return follow_log(session, task, count, error);
		error_set(error, ERROR_USAGE, "-f prints lines as they come: without --format json");
		return false;
	}
	page = task_get(session, task_path(task, "/log?lines=%llu", (unsigned long long)count), error);
	if (page && session->json)
		task_print_answer(session);
	else if (page)
		print_lines(json_object_get(page, "lines"));
	json_decref(page);
	return page != NULL;
}
