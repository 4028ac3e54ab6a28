#include "api/all_metrics.h"

#include "control/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One number of a task's or a link's tree: what is not known has no line. */
struct metric {
	const char *name;
	enum metric_type type;
	const char *help;
	const char *path; /* with at most one dot */
};

static const struct metric daemon_metrics[] = {
	{"keyferry_daemon_healthy", METRIC_GAUGE, "1 while the store takes writes and the daemon turns", "healthy"},
	{"keyferry_daemon_tasks", METRIC_GAUGE, "Tasks that there are", "tasks"},
	{"keyferry_daemon_tasks_running", METRIC_GAUGE, "Of these, those that run", "running"},
	{"keyferry_daemon_tasks_failed", METRIC_GAUGE, "Of these, those that have failed", "failed"},
};

static const struct metric task_metrics[] = {
	{"keyferry_task_links", METRIC_GAUGE, "Source masters of the task", "links"},
	{"keyferry_task_links_connected", METRIC_GAUGE, "Of these, those that receive from their source", "links_connected"},
	{"keyferry_task_restarts", METRIC_GAUGE, "Times that the worker was started again since an operator started the task", "restarts"},
	{"keyferry_task_snapshot_ratio", METRIC_GAUGE, "How much of the snapshot is applied, 0 to 1", "progress"},
};

static const struct metric link_metrics[] = {
	{"keyferry_link_up", METRIC_GAUGE, "1 while the link receives from its source", "connected"},
	{"keyferry_link_caught_up", METRIC_GAUGE, "1 once what the source held after the snapshot is applied", "caught_up"},
	{"keyferry_link_lag_seconds", METRIC_GAUGE, "Seconds between a write at the source and its being applied", "lag.seconds"},
	{"keyferry_link_lag_bytes", METRIC_GAUGE, "Bytes of the source's stream that are not applied yet", "lag.bytes"},
	{"keyferry_link_received_bytes", METRIC_COUNTER, "Bytes received from the source", "counters.bytes_received"},
	{"keyferry_link_snapshot_keys", METRIC_COUNTER, "Keys of the snapshot applied to the target", "snapshot.keys_done"},
	{"keyferry_link_snapshot_bytes", METRIC_GAUGE, "Size of the snapshot, where it is known", "snapshot.bytes_total"},
	{"keyferry_link_snapshot_applied_bytes", METRIC_GAUGE, "Bytes of the snapshot that are applied", "snapshot.bytes_done"},
	{"keyferry_link_spool_bytes", METRIC_GAUGE, "Bytes received and not applied yet", "spool.bytes"},
	{"keyferry_link_spool_disk_bytes", METRIC_GAUGE, "Bytes that the spool takes on disk", "spool.disk_bytes"},
	{"keyferry_link_commands_across_slots", METRIC_COUNTER, "Commands done by keyferry because their keys lie in several slots of the target", "counters.commands_across_slots"},
	{"keyferry_link_left_out", METRIC_COUNTER, "Keys and commands that the selection leaves out", "counters.left_out"},
	{"keyferry_link_conflicts", METRIC_COUNTER, "Commands that the target refused for good and that were skipped", "counters.conflicts"},
	{"keyferry_link_redirections", METRIC_COUNTER, "MOVED and ASK answers of the target", "counters.redirections"},
	{"keyferry_link_retries", METRIC_COUNTER, "Commands sent again", "counters.retries"},
	{"keyferry_link_rollbacks", METRIC_COUNTER, "Times that a target node had lost, or might have lost, what it had acknowledged", "rollbacks.count"},
	{"keyferry_link_rollback_bytes", METRIC_COUNTER, "Bytes of the stream gone through again for that", "rollbacks.bytes_again"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool value_at(const json_t *tree, const char *path, double *ret)
{
	const char *dot = strchr(path, '.');
	const json_t *value;
	char group[64];

	if (dot) {
		snprintf(group, sizeof(group), "%.*s", (int)(dot - path), path);
		tree = json_object_get(tree, group);
		path = dot + 1;
	}
	value = json_object_get(tree, path);
	*ret = json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value);
	return json_is_boolean(value) || json_is_number(value);
}

static const char *text_at(const json_t *tree, const char *name)
{
	const char *text = json_string_value(json_object_get(tree, name));

	return text ? text : "";
}

static void put_daemon(struct exposition *page, struct service *service, const char *version)
{
	json_t *health = service_health(service);
	double value;

	exposition_family(page, METRIC_INFO, "keyferry_build", "What is running");
	exposition_put(page, "", 1, "version", version, NULL);
	for (size_t m = 0; m < COUNT(daemon_metrics); m++) {
		exposition_family(page, daemon_metrics[m].type, daemon_metrics[m].name, daemon_metrics[m].help);
		if (value_at(health, daemon_metrics[m].path, &value))
			exposition_put(page, "", value, NULL);
	}
	json_decref(health);
}

static void put_tasks(struct exposition *page, const json_t *tasks)
{
	const json_t *task;
	double value;
	size_t i;

	exposition_family(page, METRIC_GAUGE, "keyferry_task_state", "1 for the state that the task is in");
	json_array_foreach(tasks, i, task)
		exposition_put(page, "", 1, "task", text_at(task, "name"), "state", text_at(task, "state"), NULL);
	for (size_t m = 0; m < COUNT(task_metrics); m++) {
		exposition_family(page, task_metrics[m].type, task_metrics[m].name, task_metrics[m].help);
		json_array_foreach(tasks, i, task)
			if (value_at(task, task_metrics[m].path, &value))
				exposition_put(page, "", value, "task", text_at(task, "name"), NULL);
	}
}

/* Of one metric, all lines stand together, whatever tasks they are of. */
static void put_links(struct exposition *page, const json_t *statuses)
{
	const json_t *status, *link;
	double value;
	size_t i, k;

	for (size_t m = 0; m < COUNT(link_metrics); m++) {
		exposition_family(page, link_metrics[m].type, link_metrics[m].name, link_metrics[m].help);
		json_array_foreach(statuses, i, status)
			json_array_foreach(json_object_get(status, "links"), k, link)
				if (value_at(link, link_metrics[m].path, &value))
					exposition_put(page, "", value, "task", text_at(status, "task"), "link", text_at(link, "source"), NULL);
	}
	exposition_family(page, METRIC_COUNTER, "keyferry_link_applied_commands", "Commands of the stream applied to the target");
	json_array_foreach(statuses, i, status)
		json_array_foreach(json_object_get(status, "links"), k, link)
			if (value_at(link, "counters.commands_applied", &value))
				exposition_put(page, "", value, "task", text_at(status, "task"), "link", text_at(link, "source"), NULL);
	exposition_family(page, METRIC_COUNTER, "keyferry_link_reconnects", "Connections lost and made again");
	json_array_foreach(statuses, i, status)
		json_array_foreach(json_object_get(status, "links"), k, link) {
			if (value_at(link, "reconnects", &value))
				exposition_put(page, "", value, "task", text_at(status, "task"), "link", text_at(link, "source"), "side", "source", NULL);
			if (value_at(link, "target_reconnects", &value))
				exposition_put(page, "", value, "task", text_at(status, "task"), "link", text_at(link, "source"), "side", "target", NULL);
		}
}

char *all_metrics_text(struct service *service, const char *version, bool open_metrics, struct error *error)
{
	json_t *tasks = NULL, *statuses, *task;
	struct exposition page;
	size_t i;

	if (service_task_list(service, &tasks, error) != SERVICE_OK)
		return NULL;
	statuses = json_array();
	json_array_foreach(tasks, i, task) {
		struct error ignored; /* removed meanwhile */
		json_t *status = NULL;

		if (json_is_object(json_object_get(task, "worker")) && service_task_status(service, text_at(task, "name"), &status, &ignored) == SERVICE_OK)
			json_array_append_new(statuses, status);
	}
	exposition_begin(&page, open_metrics);
	put_daemon(&page, service, version);
	put_tasks(&page, tasks);
	put_links(&page, statuses);
	json_decref(tasks);
	json_decref(statuses);
	return exposition_end(&page);
}
