/* Inside the verification: its state, and what its files call of each other. For verify.c, rounds.c and repair.c alone.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_VERIFY_STATE_H
#define KEYFERRY_VERIFY_VERIFY_STATE_H

#include "link/limit.h"
#include "verify/catch_up.h"
#include "verify/portion.h"
#include "verify/suspects.h"
#include "verify/verify.h"
#include "verify/walk.h"

#define PORTIONS 16

struct verify {
	const struct verify_options *options;
	const struct verify_events *events;
	void *owner;
	struct verify_counts *counts;
	struct loop *loop;
	char *name; /* of connections */
	struct side source, target;
	struct transform *transform;
	struct judge *judge;
	struct type_guesses guesses;
	struct portion_options portion_options;
	struct portion *portions[PORTIONS];
	/* A portion is done; it is cleared behind the call. */
	void (*take)(struct verify *verify, struct portion *portion);
	struct error portion_error; /* ERROR_NONE: none */
	bool turn;                  /* something has happened since it was waited for */
	uint64_t told_us;           /* go_on() was asked last */
	struct limit rate;
	struct catch_up_options catch_up;
	struct suspects suspects;
	uint32_t highest_source_db;
};

/* verify.c */
/* Waits until something has happened. False: a side is lost, or to be left off. */
bool verify_await(struct verify *verify, struct error *error);
/* One that is ready for keys; NULL: all are busy. */
struct portion *verify_portion(struct verify *verify);
/* Waits until no portion is busy. */
bool verify_drain(struct verify *verify, struct error *error);
bool verify_go_on(void *verify);
/* No rules of the task say that this key of the target, of such a type, is another's. */
bool verify_is_ours(struct verify *verify, uint32_t target_db, struct slice key, uint32_t types);

/* rounds.c: decides about the suspects; afterwards those that are proven or undecided are left. */
bool rounds_run(struct verify *verify, struct error *error) WARN_UNUSED;

/* repair.c: makes the target's keys of the suspects that are proven what they are at the source; marks those that it has done. */
bool repair_run(struct verify *verify, struct error *error) WARN_UNUSED;

#endif
