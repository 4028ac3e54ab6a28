/* A portion: some keys that are read on both sides and compared.
 *
 *   SOURCE_FIRST   source -> where would it be at the target? (transform) -> target -> judge
 *   TARGET_FIRST   target -> source -> judge                  for keys whose names at the target are known
 *   EXISTS         source: is it there?                       for keys found at the target
 *   SOURCE_ONLY    source -> where would it be at the target? for those that are to be written there
 *
 * Several portions are under way at once, so that both sides are kept busy. A portion's memory is that of its keys' names, and of their values up to PORTION_BYTES;
 * beyond that values go to a file (stash.h).
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_PORTION_H
#define KEYFERRY_VERIFY_PORTION_H

#include "transform/transform.h"
#include "verify/judge.h"
#include "verify/type_guess.h"

#define PORTION_KEYS 256
#define PORTION_BYTES (1u << 20)

enum portion_order { PORTION_SOURCE_FIRST, PORTION_TARGET_FIRST, PORTION_EXISTS, PORTION_SOURCE_ONLY };

enum fate {
	FATE_SAME,
	FATE_DIFFERENT,    /* kind and text */
	FATE_UNREAD,       /* to be tried again */
	FATE_GONE,         /* at the source before it was read */
	FATE_LEFT_OUT,     /* by the task's rules */
	FATE_INCOMPARABLE, /* the script makes several things of it, or the rules refuse it */
};

struct pair {
	uint32_t source_db, target_db;
	struct slice source_key, target_key; /* in the portion's arena; target_key.data NULL: not known yet */
	uint32_t number;                     /* the owner's */
	struct reading source, target;
	int64_t expire_at_ms; /* that the target should have */
	enum fate fate;
	enum difference_kind kind;
	char *text; /* in the arena */
};

struct portion_options {
	struct side *source, *target;
	struct transform *transform;
	struct judge *judge;
	bool full;
	struct type_guesses *guesses; /* for outlines */
};

struct portion {
	const struct portion_options *options;
	struct arena arena;
	struct stash *stash;
	struct reading_place place;
	enum portion_order order;
	int step;
	bool busy;
	bool all_there; /* EXISTS: one question for all has said so */
	uint32_t count;
	struct pair pairs[PORTION_KEYS];
	void (*done)(void *owner, struct portion *portion);
	void *owner;
};

struct portion *portion_new(const struct portion_options *options, void (*done)(void *owner, struct portion *portion),
			    void *owner);
void portion_free(struct portion *portion);
/* Adds a key whose names are copied. */
struct pair *portion_add(struct portion *portion, uint32_t source_db, struct slice source_key, uint32_t target_db,
			 struct slice target_key);
/* Its keys' fates are there when `done` is called, on a later turn; portion_clear() then makes it ready for the next ones. place.error may say why a value is not there. */
void portion_start(struct portion *portion, enum portion_order order);
void portion_clear(struct portion *portion);

#endif
