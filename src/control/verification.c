#include "control/verification.h"

#include "base/memory.h"
#include "control/expiry_record.h"
#include "control/work_dir.h"
#include "task/options.h"
#include "transform/guard.h"

bool verification_take_guard(const struct task_options *task, struct judge_options *judge, struct error *error)
{
	struct expiry_record record;

	if (!expiry_record_read(task->data_dir, &record, error))
		return false;
	judge->guarded = record.exists || task->expiry_guard != EXPIRY_GUARD_OFF;
	judge->base = record.exists ? record.base : guard_base(task->name);
	judge->margin_ms = record.exists ? record.margin_ms : task->expiry_margin_ms;
	judge->writes_guarded = record.exists;
	return true;
}

char *verification_state_stem(const struct task_options *task, bool scheduled, struct error *error)
{
	if (!work_dir_make(task->data_dir, error))
		return NULL;
	return memory_printf("%s/verify%s", task->data_dir, scheduled ? "-scheduled" : "");
}
