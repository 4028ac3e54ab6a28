#include "link/leftovers.h"

#include "base/log.h"
#include "base/memory.h"
#include "link/name_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct leftovers {
	struct leftovers_options options;
	char *path;
	bool noting; /* names of this snapshot are noted, from its first key on */
	uint64_t generation;
	struct name_set *names; /* NULL: none noted in this run yet */
};

struct leftovers *leftovers_new(const struct leftovers_options *options)
{
	struct leftovers *leftovers = memory_alloc_zero(1, sizeof(*leftovers));

	leftovers->options = *options;
	leftovers->path = options->path ? memory_strdup(options->path) : NULL;
	return leftovers;
}

void leftovers_free(struct leftovers *leftovers)
{
	if (!leftovers)
		return;
	name_set_close(leftovers->names);
	free(leftovers->path);
	free(leftovers);
}

static bool may_remove(const struct task_options *task)
{
	return task->resync == RESYNC_EXACT ||
	       (task->resync == RESYNC_AUTO && task->existing != EXISTING_MERGE && !task->lua_script);
}

static bool open_names(struct leftovers *leftovers, struct error *error)
{
	if (!leftovers->names)
		leftovers->names = name_set_open(leftovers->path, leftovers->generation, error);
	return leftovers->names != NULL;
}

void leftovers_begin(struct leftovers *leftovers, uint64_t generation, uint64_t position, bool in_snapshot)
{
	bool has_names = leftovers->path && access(leftovers->path, F_OK) == 0;
	/* A run that goes on in the first snapshot has nothing but the names to tell it that the run before was one that notes them. */
	bool again = in_snapshot && leftovers->path && (generation > 1 || leftovers->options.before || has_names);
	struct error ignored;

	name_set_close(leftovers->names);
	leftovers->names = NULL;
	leftovers->generation = generation;
	leftovers->noting = again && may_remove(leftovers->options.task);
	if (again && !leftovers->noting && position == 0)
		leftovers->options.note(
			leftovers->options.owner, LOG_WARNING,
			"keys that the source has deleted since its last snapshot stay in the target, for nobody can tell them from keys that were there "
			"before (target.existing: merge) or that a Lua script has made of commands; target.resync: exact removes all of them");
	if (leftovers->noting && position > 0 && !has_names) {
		leftovers->noting = false;
		leftovers->options.note(
			leftovers->options.owner, LOG_WARNING,
			"the names that this snapshot has brought so far are missing in the work directory, so keys that the source has deleted since its "
			"last one stay in the target: compare both sides afterwards");
	}
	/* At once, so that the next run finds them. What is wrong with them is told when the first one is noted. */
	if (leftovers->noting)
		(void)!open_names(leftovers, &ignored);
}

bool leftovers_note(struct leftovers *leftovers, uint32_t db, struct slice name, struct error *error)
{
	if (!leftovers->noting)
		return true;
	return open_names(leftovers, error) && name_set_add(leftovers->names, db, name, error);
}

bool leftovers_sync(struct leftovers *leftovers, struct error *error)
{
	return !leftovers->noting || !leftovers->names || name_set_sync(leftovers->names, error);
}

bool leftovers_seal(struct leftovers *leftovers, bool *ret, struct error *error)
{
	*ret = leftovers->noting;
	return !leftovers->noting || (open_names(leftovers, error) && name_set_seal(leftovers->names, error));
}

bool leftovers_keeps(void *owner, uint32_t db, struct slice name)
{
	const struct leftovers *leftovers = owner;

	return name_set_has(leftovers->names, db, name);
}

void leftovers_done(struct leftovers *leftovers)
{
	name_set_remove(leftovers->names);
	leftovers->names = NULL;
	leftovers->noting = false;
}
