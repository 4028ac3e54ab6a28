/* Rewriting: a key of the snapshot as ordinary commands, for a target that cannot take its serialised form (older, of the other family, or a value longer
 * than the target takes in one argument).
 *
 *   large    DEL tmp, the value in bounded chunks into tmp, PEXPIREAT tmp, RENAME tmp key
 *   direct   DEL key, the value, PEXPIREAT key: for small values, to be wrapped into one transaction
 *
 * tmp is `keyferry:tmp:{...}` in the key's slot, so no reader ever sees half a value; the same name is used again and begins with DEL, so what a restart
 * leaves behind is gone when the key is written again.
 * What the target has no command for is refused, or with `lossy` left out and told: expiries of hash fields before Redis 7.4 and Valkey 9. Without being refused:
 * consumers without pending entries before 6.2 (told); the counters of streams and groups, which targets before 7.0 have not got.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_LINK_REWRITE_H
#define KEYFERRY_LINK_REWRITE_H

#include "base/error.h"
#include "decode/event.h"
#include "sink/encode.h"
#include "transform/guard.h"

struct rewrite;

enum rewrite_form { REWRITE_DIRECT, REWRITE_RENAME, REWRITE_RENAMENX };

struct rewrite *rewrite_new(void);
void rewrite_free(struct rewrite *rewrite);

/* How times are written from now on; at the beginning GUARD_OFF. */
void rewrite_set_times(struct rewrite *rewrite, const struct guard_times *times);

/* `whose` is part of the temporary keys' names from now on, so that nobody else writes to them: "keyferry:tmp:<whose>:{...}". */
void rewrite_name_temporary(struct rewrite *rewrite, const char *whose);

/* The temporary key of the key under way, for whoever gives up. Valid until the next rewrite_begin(). */
struct slice rewrite_temporary(const struct rewrite *rewrite);

/* Begins with a key, whose time is the true one; its value has to stay readable until rewrite_next() has answered END. `slot`: the key's, also where the target is no cluster: it keeps the temporary keys of
 * several links apart. False: the
 * type cannot be read or the target has no such type (ERROR_CONFLICT, naming the key). */
bool rewrite_begin(struct rewrite *rewrite, const struct event *event, uint16_t slot, bool valkey,
		   const struct target_abilities *target, enum rewrite_form form, struct error *error) WARN_UNUSED;

enum rewrite_answer { REWRITE_COMMAND, REWRITE_PLACE, REWRITE_END, REWRITE_FAILED };

/* The next command, valid until the next call. PLACE: the one that puts the key where it belongs, RENAME, or RENAMENX, whose answer 0
 * says that the key exists. END: there are no more. FAILED: ERROR_CONFLICT. */
enum rewrite_answer rewrite_next(struct rewrite *rewrite, uint32_t *ret_argc, struct slice **ret_argv, struct error *error);

/* What was left out of the last key, "" when nothing: "2 field expiries". Valid until the next rewrite_begin(). */
const char *rewrite_losses(struct rewrite *rewrite);

#endif
