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
	uint32_t databases;                       /* that the target has; 0: not known */
	bool cluster;                             /* it is one */
	bool shared;                              /* other links of the task bring keys there, too; then: */
	bool (*owns)(void *owner, uint16_t slot); /* are this link's source's keys in that slot? */
	void *owner;
};

/* What the options say that only this stage can check: names of commands, the script. ERROR_USAGE. */
bool transform_check(const struct task_options *options, struct error *error) WARN_UNUSED;

/* The options have passed transform_check() and outlive it. */
struct transform *transform_new(const struct task_options *options, const struct transform_target *target);
void transform_free(struct transform *transform);

/* Does it have to know the keys of every command? */
bool transform_needs_keys(const struct transform *transform);

enum transform_outcome {
	TRANSFORM_SAME,    /* as it is */
	TRANSFORM_CHANGED, /* `events` in its place */
	TRANSFORM_DROPPED, /* not copied */
	TRANSFORM_REFUSED, /* ERROR_CONFLICT: on_conflict decides */
	TRANSFORM_CLEAR, /* FLUSHDB or FLUSHALL, of which only some keys of the target are meant: those that transform_brought() says */
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

/* ---- whose key is it? ---- */

/* FLUSHDB and FLUSHALL cannot be led back to keys of the target, should one come: why, as a finished sentence; NULL: they can. Static text or the
 * transform's. */
const char *transform_clears_not(const struct transform *transform);
/* The same of a task's options, where such commands would be copied at all. */
const char *transform_options_clear_not(const struct task_options *options);

struct brought_scope {
	bool every_database; /* of the source, or `db` alone */
	uint32_t db;
	const struct event *command; /* rules that name commands are asked about this one; NULL: as about a key of the snapshot */
};

enum brought {
	BROUGHT_NO,      /* nothing of the scope: somebody else's key, another link's, another database's */
	BROUGHT_BY_TYPE, /* it depends on the value's type: ask again with it */
	BROUGHT_YES,
	BROUGHT_UNCLEAR, /* the scope and something beside it come to this name: nobody knows which one it was */
};

/* Is this key of the target one that the link has brought, within the scope? `types`: bits of transform_type_bits(). */
enum brought transform_brought(struct transform *transform, const struct brought_scope *scope, uint32_t target_db,
			       struct slice key, uint32_t types);
/* The keys of the source that have this name at the target, chosen or not, in its databases up to `highest_db`: calls visit for each, some perhaps twice. Not where
 * transform_clears_not() says why names cannot be led back. False: the bound on the work was met. */
bool transform_origins(struct transform *transform, uint32_t target_db, struct slice key, uint32_t highest_db,
		       void (*visit)(void *owner, uint32_t db, struct slice key), void *owner);
/* Might the target's database hold such keys? */
bool transform_brings_to(struct transform *transform, const struct brought_scope *scope, uint32_t target_db);
/* Of what the command TYPE answers ("zset"; modules have names of their own); an empty name: not known. */
uint32_t transform_type_bits(struct slice name);

#endif
