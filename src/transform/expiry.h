/* Other times to live by the rules of `expiry`: the first rule that means a key is applied, to keys of the snapshot and to every
 * command that gives a key a time. Fields of hashes keep theirs.
 *
 *   set    a time that the source gives becomes now + this        drop   no time is given        scale   what is left of it, times a factor
 *
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_EXPIRY_H
#define KEYFERRY_TRANSFORM_EXPIRY_H

#include "base/arena.h"
#include "decode/event.h"
#include "task/options.h"
#include "transform/conditions.h"

struct expiry;

/* NULL: there are no rules. */
struct expiry *expiry_new(const struct task_options *options);
void expiry_free(struct expiry *expiry);

/* The rule that means the key, NULL for none. False: a regular expression met its bound. */
bool expiry_find(struct expiry *expiry, const struct subject *subject, const struct expiry_rule **ret);
/* The new time, or EXPIRE_NEVER. */
int64_t expiry_apply(const struct expiry_rule *rule, int64_t at_ms, int64_t now_ms);

enum expiry_outcome { EXPIRY_SAME, EXPIRY_CHANGED, EXPIRY_DROPPED };
/* Changes argc and argv of the command (the new ones are the arena's). DROPPED: nothing is left of it. */
enum expiry_outcome expiry_change(const struct expiry_rule *rule, struct event *event, int64_t now_ms, struct arena *arena);

#endif
