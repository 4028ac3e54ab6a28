#include "control/common_metrics.h"

#include "base/log.h"
#include "base/process_stats.h"
#include "control/task.h"

#include <string.h>

void common_metrics_put_state(struct exposition *page, const char *task, const char *state)
{
	exposition_family(page, METRIC_GAUGE, COMMON_METRICS_STATE, "1 for the state that the task is in, 0 for the others");
	for (int i = 0; i < TASK_STATES; i++)
		exposition_put(page, "", strcmp(state, task_state_name((enum task_state)i)) == 0, "task", task, "state",
			       task_state_name((enum task_state)i), NULL);
}

static void put_number(struct exposition *page, enum metric_type type, const char *name, const char *help, double value)
{
	exposition_family(page, type, name, help);
	exposition_put(page, "", value, NULL);
}

void common_metrics_put_process(struct exposition *page)
{
	struct process_stats process = process_stats_read();

	exposition_family(page, METRIC_INFO, "keyferry_build", "What is running");
	exposition_put(page, "", 1, "version", KEYFERRY_VERSION, NULL);
	put_number(page, METRIC_COUNTER, "keyferry_log_left_out_lines", "Lines of the log that were counted instead of written",
		   (double)log_left_out());
	put_number(page, METRIC_COUNTER, "process_cpu_seconds", "User and system CPU time in seconds", process.cpu_seconds);
	put_number(page, METRIC_GAUGE, "process_start_time_seconds", "Unix time at which the process was started",
		   process.start_time_seconds);
	put_number(page, METRIC_GAUGE, "process_resident_memory_bytes",
		   "Resident memory; mapped segments of the spool count while they are in use", (double)process.resident_bytes);
	put_number(page, METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory", (double)process.virtual_bytes);
	put_number(page, METRIC_GAUGE, "process_threads", "Threads", (double)process.threads);
	put_number(page, METRIC_GAUGE, "process_open_fds", "Open files and connections", (double)process.open_fds);
	if (process.max_fds != UINT64_MAX)
		put_number(page, METRIC_GAUGE, "process_max_fds", "How many of them there may be", (double)process.max_fds);
}
