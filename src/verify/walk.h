/* The walk: the names of all keys of one side, master by master and database by database (SCAN), all masters at once.
 *
 * A key that is there from the beginning to the end is handed out at least once, perhaps twice, as long as no slot moves. Names are asked for ahead of being taken, by a bound.
 * A cursor counts for one process of a server alone: whose master was restarted meanwhile, is gone through once more.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_WALK_H
#define KEYFERRY_VERIFY_WALK_H

#include "verify/side.h"

#include <jansson.h>

struct walk;

/* `wants`: is a database that holds keys to be walked? Runs the loop (INFO). */
struct walk *walk_new(struct side *side, bool (*wants)(void *owner, uint32_t db), void *owner, struct error *error) WARN_UNUSED;
/* Goes on where walk_place() was. NULL: with an error; or of kind ERROR_NONE, that place is nowhere any more: other masters, or processes. Runs the loop. */
struct walk *walk_go_on(struct side *side, json_t *place, struct error *error) WARN_UNUSED;
void walk_free(struct walk *walk);
/* Where it stands, to be freed: the names that were handed out so far are behind it. To be asked when it is empty. */
json_t *walk_place(const struct walk *walk);
/* Nothing was asked for, and no name waits. */
bool walk_empty(const struct walk *walk);
/* The next name, valid until the next call. False: none at present. */
bool walk_next(struct walk *walk, uint32_t *ret_db, struct slice *ret_key);
/* All names have been taken. */
bool walk_over(const struct walk *walk);
/* Held, it asks for no more names; once it is quiet, the side's map may be read anew, and the walk goes on with it where it was. */
void walk_hold(struct walk *walk, bool held);
bool walk_quiet(const struct walk *walk);
/* Masters that were gone from the map before all of their names were told, or were never one process from the beginning to the end. */
uint32_t walk_lost(const struct walk *walk);
/* Masters that were gone through once more, for another process answered there in the end. */
uint32_t walk_restarted(const struct walk *walk);
/* Keys that the databases said to hold at the beginning. */
uint64_t walk_keys(const struct walk *walk);
/* The highest database that holds keys. */
uint32_t walk_highest_db(const struct walk *walk);

#endif
