#include "control/rehearsal.h"

#include "base/memory.h"
#include "control/work_dir.h"
#include "sink/checkpoint.h"
#include "transform/transform.h"

#include <stdlib.h>

#define SAMPLE_MS 1000 /* of the source's writes */

struct rehearsal {
	const struct task_options *task;
	bool (*go_on)(void *owner);
	void *owner;
	struct input input;
	struct inspection inspection;
	struct deployment *source, *target;
	struct error source_error, target_error;
	bool input_open, inspected, interrupted;
};

static bool on_inspected(void *owner, uint64_t done, uint64_t total)
{
	struct rehearsal *rehearsal = owner;

	(void)done;
	(void)total;
	return rehearsal->go_on(rehearsal->owner);
}

static void open_files(struct rehearsal *rehearsal)
{
	const struct inspection_events events = {on_inspected, rehearsal};
	const struct deployment_options *source = &rehearsal->task->source;

	rehearsal->input_open = input_open(&rehearsal->input, source->mode == MODE_RDB ? INPUT_RDB : INPUT_AOF, source->path,
					   &rehearsal->source_error);
	rehearsal->inspected = rehearsal->input_open &&
			       inspection_run(&rehearsal->input, &events, &rehearsal->inspection, &rehearsal->source_error);
	rehearsal->interrupted = rehearsal->input_open && !rehearsal->inspected && rehearsal->source_error.kind == ERROR_NONE;
}

/* Does the target hold what an earlier run of this task has brought? */
static bool has_own_data(const struct rehearsal *rehearsal)
{
	struct checkpoint checkpoint;
	struct error ignored;
	bool has;

	if (work_dir_would_resume(rehearsal->task->data_dir))
		return true;
	if (!rehearsal->target || rehearsal->task->checkpoint != CHECKPOINT_TARGET ||
	    rehearsal->task->existing == EXISTING_FLUSH || !deployment_server(rehearsal->target, 0) ||
	    !checkpoint_read(rehearsal->target, rehearsal->task->name, &checkpoint, &ignored))
		return false;
	has = checkpoint.count > 0;
	checkpoint_free(&checkpoint);
	return has;
}

static bool judge(struct rehearsal *rehearsal, struct loop *loop, struct precheck_report *ret, struct error *error)
{
	const struct precheck_options options = {
		.task = rehearsal->task,
		.loop = loop,
		.source = rehearsal->source,
		.target = rehearsal->target,
		.source_error = rehearsal->source_error.kind != ERROR_NONE ? &rehearsal->source_error : NULL,
		.target_error = rehearsal->target_error.kind != ERROR_NONE ? &rehearsal->target_error : NULL,
		.input = rehearsal->inspected ? &rehearsal->input : NULL,
		.files = rehearsal->inspected ? &rehearsal->inspection : NULL,
		.own_data = has_own_data(rehearsal),
		.sample_ms = SAMPLE_MS,
	};

	return precheck_run(&options, ret, NULL, NULL, error);
}

bool rehearsal_run(struct loop *loop, const struct task_options *task, bool (*go_on)(void *owner), void *owner,
		   struct precheck_report *ret, struct error *error)
{
	struct rehearsal rehearsal = {.task = task, .go_on = go_on, .owner = owner};
	char *name = memory_printf("keyferry:%s:precheck", task->name);
	bool ok = false;

	if (precheck_waive_check(task, error) && transform_check(task, error)) {
		if (deployment_options_are_files(&task->source))
			open_files(&rehearsal);
		else
			rehearsal.source = deployment_open_partly(loop, &task->source, name, task->connect_timeout_ms,
								  ERROR_SOURCE, &rehearsal.source_error);
		if (!rehearsal.interrupted && !deployment_options_are_files(&task->target))
			rehearsal.target = deployment_open_partly(loop, &task->target, name, task->connect_timeout_ms,
								  ERROR_TARGET, &rehearsal.target_error);
		error_clear(error);
		ok = !rehearsal.interrupted && judge(&rehearsal, loop, ret, error);
	}
	deployment_free(rehearsal.source);
	deployment_free(rehearsal.target);
	if (rehearsal.input_open)
		input_close(&rehearsal.input);
	free(name);
	return ok;
}
