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

/* The expression of the first rule whose names cannot be led back to those of the source; NULL: all can. It can where the expression is made of
 * literal bytes and groups that the template has, or the template has all that was matched ($0). */
const char *renamer_one_way(const struct renamer *renamer);
/* Calls visit(owner, db, key) for each key of the source that has this name at the target, in any order, some perhaps twice. Tried are the databases of
 * `dbs`; where the name holds the database's number (${db}), also others. NULL renamer: keys keep their names. No rule may be one-way. UNDECIDED: the
 * bound on the work was met. */
enum answer renamer_reverse(struct renamer *renamer, const uint32_t *dbs, uint32_t db_count, struct slice name,
			    struct arena *arena, void (*visit)(void *owner, uint32_t db, struct slice key), void *owner);

/* YES: *ret is the new name, in the arena. NO: it keeps its name. UNDECIDED: a regular expression met its bound. `db`: the source's. */
enum answer renamer_apply(struct renamer *renamer, uint32_t db, struct slice key, struct arena *arena, struct slice *ret);

#endif
