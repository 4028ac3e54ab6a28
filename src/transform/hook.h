/* The operator's Lua script: a function that sees every key and command that would be sent, and may drop, change or split it.
 *
 *   return function(event) ... end
 *
 *   event.kind "key" or "command"   event.db   event.key (first key)         kind "key":     event.type   event.expire_at_ms (or nil)
 *                                                                            kind "command": event.argv   event.in_transaction
 *   returned: nothing or true: as it is    false: dropped    an event: in its place    a list of events: these (an empty one: dropped)
 *
 * It runs in a sandbox: string, table, math, utf8 and what of the basic functions touches neither files nor code. One call is bounded in
 * instructions, all of it in memory. Each link has a state of its own.
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_HOOK_H
#define KEYFERRY_TRANSFORM_HOOK_H

#include "base/arena.h"
#include "base/error.h"
#include "decode/event.h"
#include "task/options.h"

struct hook;
struct event_list;

#define HOOK_EVENTS_MAX 1000u /* that one call may return */

/* Runs the script once for its function. NULL: ERROR_USAGE with the script's line. */
struct hook *hook_new(const struct task_options *options, struct error *error) WARN_UNUSED;
void hook_free(struct hook *hook);

enum hook_outcome { HOOK_SAME, HOOK_CHANGED, HOOK_FAILED };
/* CHANGED: what was returned is added to `out` (nothing: dropped). FAILED: ERROR_CONFLICT says what, where in the script and at which event. */
enum hook_outcome hook_call(struct hook *hook, const struct event *event, struct arena *arena, struct event_list *out,
			    struct error *error);

#endif
