/* The walk: the names of all keys of one side, master by master and database by database (SCAN), all masters at once.
 *
 * A key that is there from the beginning to the end is handed out at least once, perhaps twice, as long as no slot moves. Names are asked for ahead of being taken, by a bound.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_WALK_H
#define KEYFERRY_VERIFY_WALK_H

#include "verify/side.h"

struct walk;

/* `wants`: is a database that holds keys to be walked? Runs the loop (INFO). */
struct walk *walk_new(struct side *side, bool (*wants)(void *owner, uint32_t db), void *owner, struct error *error) WARN_UNUSED;
void walk_free(struct walk *walk);
/* The next name, valid until the next call. False: none at present. */
bool walk_next(struct walk *walk, uint32_t *ret_db, struct slice *ret_key);
/* All names have been taken. */
bool walk_over(const struct walk *walk);
/* Held, it asks for no more names; once it is quiet, the side's map may be read anew, and the walk goes on with it where it was. */
void walk_hold(struct walk *walk, bool held);
bool walk_quiet(const struct walk *walk);
/* Masters that were gone from the map before all of their names were told. */
uint32_t walk_lost(const struct walk *walk);
/* Keys that the databases said to hold at the beginning. */
uint64_t walk_keys(const struct walk *walk);
/* The highest database that holds keys. */
uint32_t walk_highest_db(const struct walk *walk);

#endif
