#include "api/all_metrics.h"

#include "control/common_metrics.h"

/* One number of the daemon's or a task's tree: what is not known has no line. */
struct metric {
	const char *name;
	enum metric_type type;
	const char *help;
	const char *member;
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
	{"keyferry_task_restarts", METRIC_GAUGE, "Times that the worker was started again since an operator started the task",
	 "restarts"},
	{"keyferry_task_snapshot_ratio", METRIC_GAUGE, "How much of the snapshot is applied, 0 to 1", "progress"},
};

/* An answer takes milliseconds; scrapers give up after 10 s. */
#define PATIENCE_MS 2000

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool value_of(const json_t *tree, const char *member, double *ret)
{
	const json_t *value = json_object_get(tree, member);

	*ret = json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value);
	return json_is_boolean(value) || json_is_number(value);
}

static const char *text_at(const json_t *tree, const char *name)
{
	const char *text = json_string_value(json_object_get(tree, name));

	return text ? text : "";
}

static void put_daemon(struct exposition *page, struct service *service)
{
	json_t *health = service_health(service);
	double value;

	common_metrics_put_process(page);
	for (size_t m = 0; m < COUNT(daemon_metrics); m++) {
		exposition_family(page, daemon_metrics[m].type, daemon_metrics[m].name, daemon_metrics[m].help);
		if (value_of(health, daemon_metrics[m].member, &value))
			exposition_put(page, "", value, NULL);
	}
	json_decref(health);
}

static void put_tasks(struct exposition *page, const json_t *tasks)
{
	const json_t *task;
	double value;
	size_t i;

	json_array_foreach (tasks, i, task)
		common_metrics_put_state(page, text_at(task, "name"), text_at(task, "state"));
	for (size_t m = 0; m < COUNT(task_metrics); m++) {
		exposition_family(page, task_metrics[m].type, task_metrics[m].name, task_metrics[m].help);
		json_array_foreach (tasks, i, task)
			if (value_of(task, task_metrics[m].member, &value))
				exposition_put(page, "", value, "task", text_at(task, "name"), NULL);
	}
}

/* Of one metric, all lines stand together, whatever tasks they are of. */
static void put_workers(struct exposition *page, const json_t *told)
{
	const json_t *families;
	const char *task;

	exposition_family(page, METRIC_GAUGE, "keyferry_task_up",
			  "1 while the task's process tells its metrics, 0 while it should run and does not");
	json_object_foreach ((json_t *)told, task, families)
		exposition_put(page, "", json_is_object(families), "task", task, NULL);
	json_object_foreach ((json_t *)told, task, families)
		exposition_merge(page, families, task);
}

char *all_metrics_text(struct service *service, bool open_metrics, struct error *error)
{
	json_t *tasks = NULL, *told;
	struct exposition page;
	char *text;

	if (service_task_list(service, &tasks, error) != SERVICE_OK)
		return NULL;
	told = service_metrics(service, PATIENCE_MS);
	exposition_begin(&page);
	put_daemon(&page, service);
	put_tasks(&page, tasks);
	put_workers(&page, told);
	json_decref(tasks);
	json_decref(told);
	text = exposition_text(&page, open_metrics);
	exposition_free(&page);
	if (!text)
		error_set(error, ERROR_INTERNAL, "the metrics of all tasks are more than %u bytes", EXPOSITION_PAGE_MAX);
	return text;
}
