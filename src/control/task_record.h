/* The task's record: what it was begun with, so that it is not gone on with by mistake as something else.
 *
 *   DIR/task.json    {"settings": {"filter.allow": "...", ...}, "source": ["10.0.0.1:6379", ...], "target": [...]}
 *
 * Settings that decide what is copied (task/settings.h) must be the same: with others, one part of the target would have been made by the old ones and one by
 * the new. Of each side at least one address must be known from before: a position means nothing for another source, and another target would get
 * but the changes. New members of a side are added. Who is master is decided by others where Sentinels are asked, or where several servers are named of which
 * one is it; so there each address of the task counts as well, that of a Sentinel together with the master's name: "orders@10.0.0.9:26379".
 * Thread: the control thread. */
#ifndef KEYFERRY_CONTROL_TASK_RECORD_H
#define KEYFERRY_CONTROL_TASK_RECORD_H

#include "peer/topology.h"
#include "task/options.h"
#include "task/settings.h"

struct task_record {
	const struct settings *settings;
	const struct topology *source; /* NULL: files, which are known by their bytes */
	const struct topology *target;
	const struct deployment_options *source_options, *target_options;
};

/* Compares with the record in the work directory and renews it. `begun`: links of an earlier run are there; without them, or without a record, there is nothing to
 * compare with. `accept`: other settings are taken for the time from now on; *ret_accepted tells which, as text for the log, or is "".
 * False: ERROR_PRECHECK with what has changed; ERROR_USAGE: the file cannot be read or written. */
bool task_record_check(const char *dir, const struct task_record *now, bool begun, bool accept, char ret_accepted[512],
		       struct error *error) WARN_UNUSED;

#endif
