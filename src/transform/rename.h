/* New names of keys by the rules of `rename`: the first rule that means a key is applied, once.
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_RENAME_H
#define KEYFERRY_TRANSFORM_RENAME_H

#include "base/arena.h"
#include "task/options.h"
#include "transform/conditions.h"

struct renamer;

/* NULL: there are no rules. */
struct renamer *renamer_new(const struct task_options *options);
void renamer_free(struct renamer *renamer);

/* Does the new name depend on the database? */
bool renamer_asks_database(const struct renamer *renamer);

/* YES: *ret is the new name, in the arena. NO: it keeps its name. UNDECIDED: a regular expression met its bound. `db`: the source's. */
enum answer renamer_apply(struct renamer *renamer, uint32_t db, struct slice key, struct arena *arena, struct slice *ret);

#endif
