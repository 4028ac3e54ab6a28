/* Inside the task: what it is made of. For task.c and task_links.c alone. */
#ifndef KEYFERRY_CONTROL_TASK_STATE_H
#define KEYFERRY_CONTROL_TASK_STATE_H

#include "control/source_watch.h"
#include "control/task.h"
#include "control/work_dir.h"
#include "link/inspection.h"

#include <pthread.h>

struct task {
	const struct task_options *options;
	const struct task_events *events;
	void *owner;
	struct deployment *source, *target; /* source NULL: `input`; target NULL: `files` */
	struct target_masters *masters;     /* of `target`: as they were when it was opened, then as its links learn of them */
	struct file_target *files;          /* one per link */
	uint32_t file_count;
	struct input input;
	struct inspection inspection;
	uint64_t inspected_us; /* when its progress was told last */
	struct work_dir *dir;
	struct checkpoint checkpoint; /* what the target knew at the start */
	struct target_abilities abilities;
	char target_name[64];
	struct expiry_plan expiry;
	struct settler *settler;
	struct verifier *verifier; /* NULL: verify.every is 0, or a side is files */
	struct incidents *incidents;
	struct links *links;
	struct handover *handover;  /* of slots that move between the source's masters; NULL: they cannot */
	struct source_watch *watch; /* NULL: the source is files, or not started */
	/* the watch's thread */
	uint16_t owners[SLOT_COUNT]; /* by the source's map, as the handover numbers links */
	uint32_t refused;            /* masters of the source that have come and cannot be followed, told */
	bool leaving;                /* a link is about to end */
	bool marks_left;             /* of links that have ended; they are removed when the target can be reached */
	uint64_t cleaned_us;         /* when that was tried last */
	pthread_mutex_t lock;        /* of what follows */
	enum task_state state;
	int64_t since_ms;
	atomic_bool stopping, stopped;
};

/* task.c, of files as target: a file for each link's folder, named by it; nothing where the target is servers. */
bool task_name_files(struct task *task, const char *const *link_dirs, uint32_t count, struct error *error) WARN_UNUSED;
/* May the link with that number write its file? */
bool task_check_file(const struct task *task, uint32_t index, struct error *error) WARN_UNUSED;

#endif
