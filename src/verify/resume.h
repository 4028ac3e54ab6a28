/* The file of a verification that may be cut off: how far it has come, and what it has found to look at.
 *
 *     STEM.json    JSON, replaced atomically: whom it is of (`identity`), when it was begun and written, counts, where the walk stands, and how much of STEM.found counts
 *     STEM.found   suspects, one after the other, only ever appended to: source database, target database, length of the source's key, of the target's (all ones: not
 *                  known), each u32 in the machine's order, and both keys. Locked (flock) by the process that writes it
 *
 * Names are on the disk before the state that counts them. All suspects are kept, also those that have proven to be the same: whoever goes on looks at all of them again, and so
 * tells every difference that the keys gone through had, as it is by then.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_RESUME_H
#define KEYFERRY_VERIFY_RESUME_H

#include "verify/verify.h"

#include <jansson.h>

#define RESUME_AGE_MAX_MS (24 * 3600 * 1000LL) /* what was compared longer ago says little of today */

struct resume;

struct resume_state {
	int64_t begun_ms; /* Unix time, of the first run */
	struct verify_counts counts;
	uint32_t highest_source_db;
	json_t *walk; /* walk_place() */
};

enum resume_found { RESUME_NOTHING, RESUME_THERE, RESUME_VOID, RESUME_LOCKED };

/* `stem` is copied. */
struct resume *resume_new(const char *stem);
/* The files stay. NULL is fine. */
void resume_free(struct resume *resume);

/* Is there a state at all? Of whom, is not asked. */
bool resume_exists(const char *stem);
/* Takes the lock, where there is something, and reads. THERE: *ret, whose walk is the resume's. VOID: `why` it is of no use: another identity (a member of it is named), too old,
 * damaged. LOCKED: another process has it, and nothing may be kept. */
enum resume_found resume_read(struct resume *resume, const json_t *identity, struct resume_state *ret, char why[160]);
/* After THERE: the next suspect; its bytes are valid until the next call. False: there are no more. */
bool resume_next(struct resume *resume, uint32_t *ret_source_db, struct slice *ret_source_key, uint32_t *ret_target_db,
		 struct slice *ret_target_key);

/* A suspect, for the next resume_keep(). */
void resume_note(struct resume *resume, uint32_t source_db, struct slice source_key, uint32_t target_db, struct slice target_key);
/* `identity` and state->walk stay the caller's. False: it cannot be written, and will not be tried again. */
bool resume_keep(struct resume *resume, const json_t *identity, const struct resume_state *state,
		 struct error *error) WARN_UNUSED;
/* Forgets all of it, where it is this process's: it has come to its end, or is to begin anew. */
void resume_clear(struct resume *resume);

#endif
