/* The end of a task: the target is left as one that no keyferry has to look after.
 *
 * All times of expiry become the true ones (held ones, and live ones less their margin), keys whose time has passed go, temporary keys are removed, and at last
 * the task's marks. May be cut off
 * at any point and run again. The task must be stopped: its work directory is locked meanwhile.
 *
 * Marks stay where a link's last run was cut off (kill -9): what lies above the position in its state file may be applied, and only the marks say what. Without
 * them a later start would apply it twice.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_CONTROL_FINISH_H
#define KEYFERRY_CONTROL_FINISH_H

#include "control/settle.h"
#include "control/work_dir.h"
#include "net/loop.h"
#include "task/options.h"

struct finish_result {
	bool recorded;            /* the work directory knew how times had been written */
	bool temporary_left;      /* another keyferry writes to the target: temporary keys may be its own, and were left */
	uint32_t forgotten_links; /* whose marks were removed */
	uint32_t cut_off_links;   /* that need the marks to go on; then all of them were left */
	struct settle_counts counts;
};

struct finish_events {
	/* Asked between portions; false: leave off. */
	bool (*go_on)(void *owner, const struct settle_counts *counts);
};

/* False with an error of kind ERROR_NONE: left off. ERROR_BUSY: the task is being run. */
bool finish_run(struct loop *loop, const struct task_options *options, const struct finish_events *events, void *owner,
		struct finish_result *ret, struct error *error) WARN_UNUSED;

/* Before marks are removed: the next run must not take it for a loss that they are gone. No link of the work directory may run. */
bool finish_forget_low_marks(const struct work_dir *dir, struct error *error) WARN_UNUSED;

#endif
