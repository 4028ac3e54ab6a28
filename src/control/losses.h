/* The losses: what the source has, or may have by its version, and the target cannot hold; told before anything is written. The very key or command is named when it
 * comes.
 * Thread: control. */
#ifndef KEYFERRY_CONTROL_LOSSES_H
#define KEYFERRY_CONTROL_LOSSES_H

#include "link/inspection.h"
#include "peer/topology.h"
#include "sink/encode.h"
#include "task/options.h"

struct losses {
	const struct task_options *task;
	struct deployment *source; /* NULL: `files` */
	const struct inspection *files;
	struct deployment *target;
	const struct target_abilities *abilities; /* of the target */
	void (*warn)(const char *text);           /* a finished sentence */
};

void losses_warn(const struct losses *losses);

#endif
