/* The remaking: a key of the source for a target that does not take its serialised form, as the ordinary commands that a link would send there (link/rewrite.h).
 *
 *   small  DEL key, the value, PEXPIREAT key      for a transaction of the caller's
 *   large  a temporary key in chunks, and RENAME  of which only RENAME stands in the transaction
 *
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_VERIFY_REMAKE_H
#define KEYFERRY_VERIFY_REMAKE_H

#include "link/rewrite.h"
#include "verify/side.h"
#include "verify/value_compare.h"

/* A serialised value beyond this is large. */
#define REMAKE_LARGE (1u << 20)

struct remake;

struct remake *remake_new(const struct task_options *task);
void remake_free(struct remake *remake);
/* What the target's masters take, as they are now. */
void remake_ask(struct remake *remake, const struct side *target);

/* Would RESTORE take a payload of this version? */
bool remake_is_needed(const struct remake *remake, struct slice payload);
/* An answer to RESTORE: it does not take this payload, whatever its version says. */
bool remake_is_refusal(struct slice answer);

struct remake_key {
	uint32_t db;
	struct slice key;
	struct value_form form;
	int64_t expire_at_ms; /* READING_NO_EXPIRY: never */
	struct guard_times times;
};
/* Begins with a key whose form stays readable until its end. It is gone through once before, so that nothing is sent of what turns out to be impossible. False: the target has no
 * commands for it, ERROR_CONFLICT. */
bool remake_begin(struct remake *remake, const struct remake_key *key, bool large, struct error *error) WARN_UNUSED;
/* The next command, valid until the next call; never FAILED. */
enum rewrite_answer remake_next(struct remake *remake, uint32_t *ret_argc, struct slice **ret_argv, struct error *error);
/* What was left out of it, "" when nothing. */
const char *remake_losses(struct remake *remake);
/* Of a large one: the temporary key. */
struct slice remake_temporary(const struct remake *remake);

#endif
