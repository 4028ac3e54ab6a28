#include "cmd/task_view.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "cmd/table.h"
#include "cmd/task_session.h"

#include <stdlib.h>

#define TEXT_MAX 128

static const json_t *member(const json_t *object, const char *group, const char *name)
{
	return json_object_get(json_object_get(object, group), name);
}

/* ---- single values; "-" for what is not known ---- */

static const char *show_percent(const json_t *share, char out[TEXT_MAX])
{
	double percent = json_number_value(share) * 100;

	/* Not all of it is there before it is. */
	snprintf(out, TEXT_MAX, !json_is_number(share) ? "-" : percent < 100 && percent > 99.9 ? "99.9 %%" : "%.1f %%", percent);
	return out;
}

static const char *show_lag(const json_t *seconds, char out[TEXT_MAX])
{
	if (json_is_number(seconds))
		snprintf(out, TEXT_MAX, "%.1f s", json_number_value(seconds));
	else
		snprintf(out, TEXT_MAX, "-");
	return out;
}

static const char *show_bytes(const json_t *bytes, char out[TEXT_MAX])
{
	char text[UNITS_TEXT_MAX];

	snprintf(out, TEXT_MAX, "%s", json_is_number(bytes) ? units_show_size(json_number_value(bytes), text) : "-");
	return out;
}

static const char *show_number(const json_t *number, char out[TEXT_MAX])
{
	snprintf(out, TEXT_MAX, json_is_number(number) ? "%.0f" : "-", json_number_value(number));
	return out;
}

static const char *show_limit(const json_t *limit, const char *what, bool size, char out[TEXT_MAX])
{
	char text[UNITS_TEXT_MAX];

	if (json_number_value(limit) <= 0)
		snprintf(out, TEXT_MAX, "unlimited %s", what);
	else if (size)
		snprintf(out, TEXT_MAX, "%s %s", units_show_size(json_number_value(limit), text), what);
	else
		snprintf(out, TEXT_MAX, "%.0f %s", json_number_value(limit), what);
	return out;
}

/* How long ago that was. */
static const char *show_ago(const char *time, char out[TEXT_MAX])
{
	int64_t at = clock_parse_rfc3339(time), now = clock_wall_ms();
	char text[UNITS_TEXT_MAX];

	if (at < 0)
		snprintf(out, TEXT_MAX, "-");
	else
		snprintf(out, TEXT_MAX, "%s", units_show_duration(now > at ? (uint64_t)(now - at) / 1000 : 0, text));
	return out;
}

/* The first address, and how many more there are. */
static char *show_side(const json_t *side)
{
	const json_t *address = json_object_get(side, "address");
	const char *path = task_text(side, "path");
	size_t more = json_array_size(address) > 1 ? json_array_size(address) - 1 : 0;
	const char *first = json_string_value(json_is_array(address) ? json_array_get(address, 0) : address);

	if (!first)
		return memory_strdup(path[0] ? path : "-");
	return more ? memory_printf("%s +%zu", first, more) : memory_strdup(first);
}

/* ---- tasks ---- */

static void print_fault(FILE *out, const char *start, const json_t *fault)
{
	char *text = task_clean(task_text(fault, "text")), *hint = task_clean(task_text(fault, "hint"));

	if (text[0])
		fprintf(out, "%s%s\n", start, text);
	if (text[0] && hint[0])
		fprintf(out, "  -> %s\n", hint);
	free(text);
	free(hint);
}

static void add_task(struct table *table, const json_t *task)
{
	const char *state = task_text(task, "state"), *job = json_string_value(member(task, "job", "kind"));
	char *source = show_side(json_object_get(task, "source")), *target = show_side(json_object_get(task, "target"));
	char text[TEXT_MAX];

	table_cell(table, TABLE_PLAIN, "%lld", (long long)json_integer_value(json_object_get(task, "id")));
	table_cell(table, TABLE_PLAIN, "%s", task_text(task, "name"));
	table_cell(table, table_state_colour(state), "%s%s%s", state, job ? " +" : "", job ? job : "");
	table_cell(table, TABLE_PLAIN, "%s", show_ago(task_text(task, "since"), text));
	table_cell(table, TABLE_PLAIN, "%s", show_percent(json_object_get(task, "progress"), text));
	table_cell(table, TABLE_PLAIN, "%s", show_lag(member(task, "lag", "seconds"), text));
	table_cell(table, TABLE_PLAIN, "%s", show_number(member(task, "rates", "commands_per_second"), text));
	table_cell(table, TABLE_PLAIN, "%lld/%lld", (long long)json_integer_value(json_object_get(task, "links_connected")),
		   (long long)json_integer_value(json_object_get(task, "links")));
	table_cell(table, TABLE_PLAIN, "%s", source);
	table_cell(table, TABLE_PLAIN, "%s", target);
	free(source);
	free(target);
}

void task_view_tasks(const json_t *tasks, FILE *out, bool colours, size_t width)
{
	static const char *const headings[] = {">ID",        "NAME",   "STATE",  ">FOR",   ">SNAPSHOT", ">LAG",
					       ">RECORDS/S", ">LINKS", "SOURCE", "TARGET", NULL};
	struct table *table = table_new(headings);
	const json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		add_task(table, task);
	table_print(table, out, colours, width);
	table_free(table);
	json_array_foreach (tasks, i, task) {
		char *name = task_clean(task_text(task, "name")), *start = memory_printf("%s: ", name);

		print_fault(out, start, json_object_get(task, "error"));
		free(name);
		free(start);
	}
}

const char *task_view_progress(const json_t *task, char *out, size_t cap)
{
	const char *state = task_text(task, "state");
	char lag[TEXT_MAX], records[TEXT_MAX], done[TEXT_MAX];

	if (!json_is_object(json_object_get(task, "worker")))
		snprintf(out, cap, "%s", state);
	else if (strcmp(state, "snapshot") == 0)
		snprintf(out, cap, "snapshot %s, %s records/s", show_percent(json_object_get(task, "progress"), done),
			 show_number(member(task, "rates", "commands_per_second"), records));
	else
		snprintf(out, cap, "%s, lag %s, %s records/s", state, show_lag(member(task, "lag", "seconds"), lag),
			 show_number(member(task, "rates", "commands_per_second"), records));
	return out;
}

static void print_line(FILE *out, const char *name, enum table_colour colour, bool colours, const char *text)
{
	char *clean = task_clean(text);

	fprintf(out, "%-11s %s%s%s\n", name, colours ? table_colour_begin(colour) : "", clean,
		colours ? table_colour_end(colour) : "");
	free(clean);
}

static void print_side(FILE *out, const char *name, const json_t *side, bool colours)
{
	char *address = show_side(side), *text = memory_printf("%s%s%s%s", address, task_text(side, "mode")[0] ? " (" : "",
							       task_text(side, "mode"), task_text(side, "mode")[0] ? ")" : "");

	print_line(out, name, TABLE_PLAIN, colours, text);
	free(address);
	free(text);
}

static void print_worker(FILE *out, const json_t *task, bool colours)
{
	const json_t *worker = json_object_get(task, "worker");
	char *text;

	if (!json_is_object(worker))
		return;
	text = memory_printf("process %lld, version %s, since %s%s",
			     (long long)json_integer_value(json_object_get(worker, "pid")), task_text(worker, "version"),
			     task_text(worker, "started"),
			     json_is_true(json_object_get(worker, "answers")) ? "" : ", does not answer");
	print_line(out, "worker", TABLE_PLAIN, colours, text);
	free(text);
}

void task_view_task(const json_t *task, FILE *out, bool colours)
{
	char *text = memory_printf("%s (%lld), revision %lld of %s", task_text(task, "name"),
				   (long long)json_integer_value(json_object_get(task, "id")),
				   (long long)json_integer_value(json_object_get(task, "revision")), task_text(task, "updated"));
	char a[TEXT_MAX], b[TEXT_MAX];

	print_line(out, "task", TABLE_PLAIN, colours, text);
	free(text);
	text = memory_printf("%s since %s; wanted: %s", task_text(task, "state"), task_text(task, "since"),
			     task_text(task, "wanted"));
	print_line(out, "state", table_state_colour(task_text(task, "state")), colours, text);
	free(text);
	print_fault(out, "cause       ", json_object_get(task, "error"));
	if (!json_is_object(json_object_get(task, "error")))
		print_fault(out, "before      ", json_object_get(task, "last_error"));
	if (task_text(task, "restart_at")[0])
		print_line(out, "restart", TABLE_WAITING, colours, task_text(task, "restart_at"));
	print_side(out, "source", json_object_get(task, "source"), colours);
	print_side(out, "target", json_object_get(task, "target"), colours);
	text = memory_printf("%lld, %lld connected", (long long)json_integer_value(json_object_get(task, "links")),
			     (long long)json_integer_value(json_object_get(task, "links_connected")));
	print_line(out, "links", TABLE_PLAIN, colours, text);
	free(text);
	if (json_is_number(json_object_get(task, "progress")))
		print_line(out, "snapshot", TABLE_PLAIN, colours, show_percent(json_object_get(task, "progress"), a));
	text = memory_printf("%s, %s", show_lag(member(task, "lag", "seconds"), a), show_bytes(member(task, "lag", "bytes"), b));
	print_line(out, "lag", TABLE_PLAIN, colours, text);
	free(text);
	text = memory_printf("%s records/s, %s/s", show_number(member(task, "rates", "commands_per_second"), a),
			     show_bytes(member(task, "rates", "bytes_per_second"), b));
	print_line(out, "rates", TABLE_PLAIN, colours, text);
	free(text);
	text = memory_printf("%s, %s", show_limit(member(task, "limit", "records_per_second"), "records/s", false, a),
			     show_limit(member(task, "limit", "bytes_per_second"), "bytes/s", true, b));
	print_line(out, "limits", TABLE_PLAIN, colours, text);
	free(text);
	print_line(out, "log level", TABLE_PLAIN, colours, task_text(task, "log_level"));
	print_worker(out, task, colours);
	if (json_is_object(json_object_get(task, "job"))) {
		text = memory_printf("%s since %s", json_string_value(member(task, "job", "kind")),
				     json_string_value(member(task, "job", "begun")));
		print_line(out, "job", TABLE_BUSY, colours, text);
		free(text);
	}
}

void task_view_limits(const json_t *task, FILE *out)
{
	char *name = task_clean(task_text(task, "name")), a[TEXT_MAX], b[TEXT_MAX];

	fprintf(out, "task %s: %s, %s, of each link\n", name,
		show_limit(member(task, "limit", "records_per_second"), "records/s", false, a),
		show_limit(member(task, "limit", "bytes_per_second"), "bytes/s", true, b));
	free(name);
}

/* ---- links ---- */

static const char *link_progress(const json_t *link, char out[TEXT_MAX])
{
	double total = json_number_value(member(link, "snapshot", "bytes_total")),
	       done = json_number_value(member(link, "snapshot", "bytes_done"));
	char text[UNITS_TEXT_MAX];

	if (total > 0)
		snprintf(out, TEXT_MAX, "%.1f %%", done >= total ? 100.0 : 100 * done / total > 99.9 ? 99.9 : 100 * done / total);
	else
		snprintf(out, TEXT_MAX, "%s", done > 0 ? units_show_size(done, text) : "-");
	return out;
}

static void add_link(struct table *table, const json_t *link)
{
	const char *state = task_text(link, "state"), *waiting = task_text(link, "waiting_for"),
		   *error = json_string_value(member(link, "error", "text"));
	const json_t *gone = json_object_get(link, "source_away");
	bool away = strcmp(state, "streaming") == 0 && !json_is_true(json_object_get(link, "connected"));
	char text[TEXT_MAX];

	table_cell(table, TABLE_PLAIN, "%s", task_text(link, "source"));
	table_cell(table, away ? TABLE_WAITING : table_state_colour(state), "%s%s", state, away ? " (source away)" : "");
	table_cell(table, TABLE_PLAIN, "%s", link_progress(link, text));
	table_cell(table, TABLE_PLAIN, "%s", show_lag(member(link, "lag", "seconds"), text));
	table_cell(table, TABLE_PLAIN, "%s", show_bytes(member(link, "lag", "bytes"), text));
	table_cell(table, TABLE_PLAIN, "%s", show_number(member(link, "rates", "commands_per_second"), text));
	table_cell(table, TABLE_PLAIN, "%s/s", show_bytes(member(link, "rates", "bytes_per_second"), text));
	table_cell(table, TABLE_PLAIN, "%s", show_bytes(member(link, "spool", "bytes"), text));
	if (error)
		table_cell(table, TABLE_BAD, "%s", error);
	else if (json_is_object(gone))
		table_cell(table, TABLE_WAITING, "away for %s: %s%s%s%s", show_ago(task_text(gone, "since"), text),
			   task_text(gone, "text"), task_text(gone, "hint")[0] ? ". " : "", task_text(gone, "hint"),
			   waiting[0] ? "; the target waits, too" : "");
	else
		table_cell(table, TABLE_WAITING, "%s%s", waiting[0] ? "waiting for " : "", waiting);
}

void task_view_status(const json_t *status, FILE *out, bool colours, size_t width)
{
	static const char *const headings[] = {"LINK",       "STATE",  ">SNAPSHOT", ">LAG", ">BEHIND",
					       ">RECORDS/S", ">BYTES", ">SPOOL",    "",     NULL};
	const char *state = task_text(status, "state");
	struct table *table = table_new(headings);
	char *name = task_clean(task_text(status, "task"));
	char text[TEXT_MAX];
	const json_t *link;
	size_t i;

	fprintf(out, "%s: %s%s%s for %s\n", name, colours ? table_colour_begin(table_state_colour(state)) : "", state,
		colours ? table_colour_end(table_state_colour(state)) : "", show_ago(task_text(status, "since"), text));
	print_fault(out, "cause: ", json_object_get(status, "error"));
	json_array_foreach (json_object_get(status, "links"), i, link)
		add_link(table, link);
	if (table_rows(table) > 0)
		table_print(table, out, colours, width);
	table_free(table);
	free(name);
}
