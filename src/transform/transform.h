/* Transform, stage 4: events to events.
 *
 *   event -> selection -> databases, names, times -> script -> event(s)
 *
 * Names and databases in rules are always those of the source; the script sees what would be sent.
 * Applies to keys of the snapshot and commands of the stream alike. A command of which only some keys are selected is cut down to these where
 * that is exact (DEL, MSET, SMOVE ...), and refused where it would change its meaning (RENAME of a key that is not copied to one that is).
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_TRANSFORM_H
#define KEYFERRY_TRANSFORM_TRANSFORM_H

#include "base/error.h"
#include "decode/event.h"
#include "task/options.h"

struct transform;

struct transform_target {
	uint32_t databases; /* that the target has; 0: not known */
};

/* What the options say that only this stage can check: names of commands, the script. ERROR_USAGE. */
bool transform_check(const struct task_options *options, struct error *error) WARN_UNUSED;

/* The options have passed transform_check() and outlive it. */
struct transform *transform_new(const struct task_options *options, const struct transform_target *target);
void transform_free(struct transform *transform);

/* Does it have to know the keys of every command? */
bool transform_needs_keys(const struct transform *transform);
/* Do databases have other numbers at the target? */
bool transform_maps_databases(const struct transform *transform);

enum transform_outcome {
	TRANSFORM_SAME,    /* as it is */
	TRANSFORM_CHANGED, /* `events` in its place */
	TRANSFORM_DROPPED, /* not copied */
	TRANSFORM_REFUSED, /* ERROR_CONFLICT: on_conflict decides */
};

/* What stands in place of an event. Its memory is the transform's, until the next call. Of an event whose arguments are new, raw.data is NULL; `db` is
 * the target's; positions are those of the event they stand for. */
struct transform_output {
	struct event *events;
	uint32_t count;
};

/* *output is filled for CHANGED. Keys, commands, functions and scripts; other kinds are SAME. */
enum transform_outcome transform_event(struct transform *transform, const struct event *event, struct transform_output *output,
				       struct error *error);

#endif
