/* What of the source is copied: the databases chosen, filter.allow and filter.block, and never keyferry's own keys.
 *
 * Not all that rules ask is always known: of FLUSHDB no key, of DEL no type. So the answer has three values.
 *
 *   allowed  = no rule in allow, or one that holds            copied = allowed and not blocked and the database is chosen
 *   blocked  = a rule in block that holds
 *
 * Rules with `command` or `group` speak of the stream alone. For keys of the snapshot they do not exist; for commands without any key (PUBLISH, FUNCTION
 * LOAD) only they do. So an allow list of nothing but such rules lets the whole snapshot through, and one without them all keyless commands.
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_SELECTION_H
#define KEYFERRY_TRANSFORM_SELECTION_H

#include "task/options.h"
#include "transform/conditions.h"
#include "wire/command.h"

/* Keys that keyferry itself keeps in a target; a source that is another task's target holds them too. */
bool selection_is_own_key(struct slice key);

struct selection;

struct selection *selection_new(const struct task_options *options);
void selection_free(struct selection *selection);

/* Nothing to decide but own keys. */
bool selection_is_everything(const struct selection *selection);
/* Do rules ask about keys or types, so that all keys of a command have to be known? */
bool selection_asks_keys(const struct selection *selection);
/* Does the answer depend on the database? */
bool selection_asks_database(const struct selection *selection);

/* A key of the snapshot. */
enum answer selection_of_snapshot_key(struct selection *selection, const struct subject *subject);
/* One key of a command; subject.key.data NULL: of whatever key. */
enum answer selection_of_command_key(struct selection *selection, const struct subject *subject, const struct command_info *info,
				     struct slice name, struct slice sub);
/* A command without keys that belongs to no database. */
enum answer selection_of_keyless(struct selection *selection, const struct command_info *info, struct slice name,
				 struct slice sub);

#endif
