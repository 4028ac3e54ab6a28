#include "api/metrics_page.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One number of a task's or a link's tree. */
struct metric {
	const char *name, *type, *help, *labels; /* further ones, or "" */
	const char *path;
};

static const struct metric task_metrics[] = {
	{"keyferry_task_links", "gauge", "Source masters of the task", "", "links"},
	{"keyferry_task_links_connected", "gauge", "Of these, those that receive from their source", "", "links_connected"},
	{"keyferry_task_restarts", "gauge", "Times that the worker was started again since an operator started the task", "", "restarts"},
	{"keyferry_task_snapshot_ratio", "gauge", "How much of the snapshot is applied, 0 to 1", "", "progress"},
};

static const struct metric link_metrics[] = {
	{"keyferry_link_up", "gauge", "1 while the link receives from its source", "", "connected"},
	{"keyferry_link_lag_seconds", "gauge", "Seconds between a write at the source and its being applied", "", "lag.seconds"},
	{"keyferry_link_lag_bytes", "gauge", "Bytes of the source's stream that are not applied yet", "", "lag.bytes"},
	{"keyferry_link_applied_commands_total", "counter", "Commands of the stream applied to the target", "", "counters.commands_applied"},
	{"keyferry_link_received_bytes_total", "counter", "Bytes received from the source", "", "counters.bytes_received"},
	{"keyferry_link_snapshot_keys_total", "counter", "Keys of the snapshot applied to the target", "", "snapshot.keys_done"},
	{"keyferry_link_spool_bytes", "gauge", "Bytes received and not applied yet", "", "spool.bytes"},
	{"keyferry_link_spool_disk_bytes", "gauge", "Bytes that the spool takes on disk", "", "spool.disk_bytes"},
	{"keyferry_link_resyncs_total", "counter", "Full resyncs after the first", "", "resyncs"},
	{"keyferry_link_commands_across_slots_total", "counter", "Commands done by keyferry because their keys lie in several slots of the target", "",
	 "counters.commands_across_slots"},
	{"keyferry_link_rollbacks_total", "counter", "Times that a target node had lost, or might have lost, what it had acknowledged", "", "rollbacks.count"},
	{"keyferry_link_rollback_bytes_total", "counter", "Bytes of the stream gone through again for that", "", "rollbacks.bytes_again"},
	{"keyferry_link_conflicts_total", "counter", "Commands that the target refused for good and that were skipped", "", "counters.conflicts"},
	{"keyferry_link_reconnects_total", "counter", "Connections lost and made again", ",side=\"source\"", "reconnects"},
	{"keyferry_link_reconnects_total", "counter", "Connections lost and made again", ",side=\"target\"", "target_reconnects"},
};

/* The value at a path with at most one dot. */
static const json_t *value_at(const json_t *tree, const char *path)
{
	const char *dot = strchr(path, '.');
	char group[64];

	if (!dot)
		return json_object_get(tree, path);
	snprintf(group, sizeof(group), "%.*s", (int)(dot - path), path);
	return json_object_get(json_object_get(tree, group), dot + 1);
}

/* Backslash, quote and line break are escaped. */
static void put_label(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%s=\"", name);
	for (; text && *text; text++) {
		if (*text == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*text == '\\' || *text == '"')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_head(FILE *out, const struct metric *metric, const struct metric *before)
{
	if (!before || strcmp(before->name, metric->name) != 0)
		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, metric->type);
}

/* What is not known has no line. */
static void put_value(FILE *out, const struct metric *metric, const char *task, const char *link, const json_t *tree)
{
	const json_t *value = value_at(tree, metric->path);

	if (!json_is_number(value) && !json_is_boolean(value))
		return;
	fprintf(out, "%s{", metric->name);
	put_label(out, "task", task);
	if (link) {
		fputc(',', out);
		put_label(out, "link", link);
	}
	fprintf(out, "%s} %.17g\n", metric->labels, json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value));
}

static const char *name_of(const json_t *task)
{
	return json_string_value(json_object_get(task, "name"));
}

static void put_daemon(FILE *out, struct service *service, const char *version)
{
	json_t *health = service_health(service);
	const struct {
		const char *name, *help, *path;
	} values[] = {
		{"keyferry_daemon_healthy", "1 while the store takes writes and the daemon turns", "healthy"},
		{"keyferry_daemon_tasks", "Tasks that there are", "tasks"},
		{"keyferry_daemon_tasks_running", "Of these, those that run", "running"},
		{"keyferry_daemon_tasks_failed", "Of these, those that have failed", "failed"},
	};

	fprintf(out, "# HELP keyferry_daemon_info The version that runs\n# TYPE keyferry_daemon_info gauge\nkeyferry_daemon_info{");
	put_label(out, "version", version);
	fprintf(out, "} 1\n");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const json_t *value = json_object_get(health, values[i].path);

		fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %.17g\n", values[i].name, values[i].help, values[i].name, values[i].name,
			json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value));
	}
	json_decref(health);
}

static void put_tasks(FILE *out, const json_t *tasks)
{
	const json_t *task;
	size_t i;

	fprintf(out, "# HELP keyferry_task_state 1, with the state as a label\n# TYPE keyferry_task_state gauge\n");
	json_array_foreach(tasks, i, task) {
		fprintf(out, "keyferry_task_state{");
		put_label(out, "task", name_of(task));
		fputc(',', out);
		put_label(out, "state", json_string_value(json_object_get(task, "state")));
		fprintf(out, "} 1\n");
	}
	for (size_t m = 0; m < sizeof(task_metrics) / sizeof(task_metrics[0]); m++) {
		put_head(out, &task_metrics[m], NULL);
		json_array_foreach(tasks, i, task)
			put_value(out, &task_metrics[m], name_of(task), NULL, task);
	}
}

/* Of one metric, all lines stand together, whatever tasks they are of. */
static void put_links(FILE *out, const json_t *statuses)
{
	for (size_t m = 0; m < sizeof(link_metrics) / sizeof(link_metrics[0]); m++) {
		const struct metric *metric = &link_metrics[m];
		const json_t *status, *link;
		size_t i, k;

		put_head(out, metric, m > 0 ? metric - 1 : NULL);
		json_array_foreach(statuses, i, status)
			json_array_foreach(json_object_get(status, "links"), k, link)
				put_value(out, metric, json_string_value(json_object_get(status, "task")), json_string_value(json_object_get(link, "source")), link);
	}
}

char *metrics_page(struct service *service, const char *version, struct error *error)
{
	json_t *tasks = NULL, *statuses = json_array(), *task;
	char *text = NULL;
	size_t len, i;
	FILE *out = NULL;

	if (service_task_list(service, &tasks, error) == SERVICE_OK && !(out = open_memstream(&text, &len)))
		error_set(error, ERROR_INTERNAL, "no memory for the page");
	if (out) {
		json_array_foreach(tasks, i, task) {
			struct error ignored; /* removed meanwhile */
			json_t *status = NULL;

			if (json_is_object(json_object_get(task, "worker")) && service_task_status(service, name_of(task), &status, &ignored) == SERVICE_OK)
				json_array_append_new(statuses, status);
		}
		put_daemon(out, service, version);
		put_tasks(out, tasks);
		put_links(out, statuses);
		fclose(out);
	}
	json_decref(tasks);
	json_decref(statuses);
	return text;
}
