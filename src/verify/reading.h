/* A reading: what one side says of one key.
 *
 *   EXISTS    is it there?
 *   TYPE      and what is it?
 *   OUTLINE   type, expiry, length; where the type is expected, the length alone proves it (type_guess.h)
 *   FULL      expiry and value, as DUMP gives it
 *
 * The commands of one reading are asked one right behind the other, not in a transaction: where others write meanwhile its parts may be of different moments, which is
 * why a difference has to be seen again before it counts.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_READING_H
#define KEYFERRY_VERIFY_READING_H

#include "base/arena.h"
#include "verify/side.h"
#include "verify/stash.h"
#include "verify/value_compare.h"

enum reading_form { READING_EXISTS, READING_TYPE, READING_OUTLINE, READING_FULL };
enum reading_state {
	READING_UNREAD, /* not asked, or not answered: to be tried again */
	READING_GONE,
	READING_THERE,
};

#define READING_NO_EXPIRY (-1)
#define READING_FOOTER_LEN 10 /* of a DUMP payload: RDB version, two bytes, little-endian, and the CRC-64 */

/* Where the bytes of readings are kept, and who waits for them. */
struct reading_place {
	struct arena *arena;
	struct stash *stash;
	uint32_t awaited;          /* readings under way */
	void (*done)(void *owner); /* none is, any more */
	void *owner;
	struct error error; /* ERROR_NONE: none */
};

struct reading {
	enum reading_state state;
	enum reading_form form;
	bool failed;          /* a part was not answered */
	uint8_t parts;        /* still to be answered */
	uint8_t gone;         /* parts that say that it is not there */
	bool expected;        /* `type` is what was expected, and nothing has shown yet whether that is so */
	int64_t clock_ms;     /* the server's, where it had to be asked */
	int64_t expire_at_ms; /* Unix ms, or READING_NO_EXPIRY */
	struct slice type;    /* TYPE, OUTLINE: as the server says it */
	bool has_length;
	uint64_t length; /* OUTLINE: elements, or bytes of a string */
	struct stash_item payload;
	struct side *side;
	struct reading_place *place;
	uint32_t db;
	struct slice key; /* lives as long as the reading */
};

/* Asks. `place->done` is called once all readings that were begun are answered, perhaps never from within this call. `type`, for an outline: what is expected, and lives as long as
 * the reading; empty: nothing is. */
void reading_ask(struct reading *reading, enum reading_form form, struct side *side, struct reading_place *place, uint32_t db,
		 struct slice key, struct slice type);

/* Are all of these keys of one database there? A question for the usual case, in which they are: *ret stays false where they are not, or nobody knows. Not of a cluster,
 * and where side->exists_many. */
void reading_ask_all(struct side *side, struct reading_place *place, uint32_t db, uint32_t count, const struct slice *keys,
		     bool *ret);

/* FULL, of a key that is there: the value. False: the payload is none; or the stash's error in place->error. */
bool reading_value(struct reading *reading, struct value_form *ret);
/* A number that is the same for the same answers. */
uint64_t reading_fingerprint(struct reading *reading);

#endif
