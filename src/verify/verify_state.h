/* Inside the verification: its state, and what its files call of each other. For verify.c, resumption.c, rounds.c and repair.c alone.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_VERIFY_STATE_H
#define KEYFERRY_VERIFY_VERIFY_STATE_H

#include "link/limit.h"
#include "verify/catch_up.h"
#include "verify/portion.h"
#include "verify/resume.h"
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
	struct resume *resume; /* NULL: nothing is kept */
	json_t *identity;      /* of what is kept */
	int64_t begun_ms;      /* by the first run */
	uint64_t keep_due_us;
	struct walk *going_on; /* not taken up yet; NULL: there is none */
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

/* Decides about the suspects, repairs, tells; none is left. */
bool verify_decide(struct verify *verify, struct error *error) WARN_UNUSED;

/* resumption.c: takes up what an earlier run has left, which may be the walk (going_on) and the stage to begin with. */
bool resumption_begin(struct verify *verify, struct error *error) WARN_UNUSED;
/* A suspect was found. */
void resumption_note(struct verify *verify, const struct pair *pair);
/* Should it be kept how far it is? Then once the walk is empty and no portion busy, so that counts, suspects and walk are of one moment. */
bool resumption_is_due(const struct verify *verify);
void resumption_keep(struct verify *verify, const struct walk *walk);
/* `done`: nothing is to be gone on with. */
void resumption_end(struct verify *verify, bool done);

/* rounds.c: decides about the suspects; afterwards those that are proven or undecided are left. */
bool rounds_run(struct verify *verify, struct error *error) WARN_UNUSED;

/* repair.c: makes the target's keys of the suspects that are proven what they are at the source; marks those that it has done. */
bool repair_run(struct verify *verify, struct error *error) WARN_UNUSED;

#endif
