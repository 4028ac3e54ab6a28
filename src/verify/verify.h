/* The verification of a task: is the target what the source is, by the task's rules? And its repair.
 *
 *   keys of the source --portions--> compared ---.
 *   keys of the target --portions--> at the source? --> suspects --rounds--> differences --repair--> rounds again
 *
 * Both sides may change meanwhile. A key that differs is a suspect only; it counts as different when it has been seen to differ in rounds (rounds.c) in which the source
 * did not touch it and the target was known to have everything that the source had written before. What changes too often for that is told as undecided.
 * Where no link is running, the target is taken for standing still, and what differs twice is different.
 *
 * Cut off, it leaves files from which another run goes on (resume.h), as long as it is the same verification of the same servers.
 *
 * keyferry's own keys and heartbeats are no part of it. Memory is bounded, whatever the number of keys or the size of values (portion.h, suspects.h, stash.h).
 * Thread: the loop's, straight-line; it runs the loop. */
#ifndef KEYFERRY_VERIFY_VERIFY_H
#define KEYFERRY_VERIFY_VERIFY_H

#include "verify/judge.h"

#include <stdatomic.h>

struct verify_options {
	const struct task_options *task; /* both sides are servers; outlives the run */
	bool full;                       /* values; else the outline */
	bool repair;
	struct judge_options judge;
	uint32_t rounds;  /* the most, for what both sides change */
	uint32_t wait_ms; /* the most that the target is waited for, in each */
	uint64_t rate;    /* keys a second; 0: unlimited */
	const char *
		state_stem; /* "DIR/verify": files beginning so say how far it has come (resume.h); NULL: none, and it cannot be gone on with */
	bool restart;            /* what an earlier run has left there is forgotten */
	const atomic_bool *stop; /* true: whatever is waited for, it ends soon; NULL: never */
};

enum verify_stage { VERIFY_SOURCE, VERIFY_TARGET, VERIFY_ROUNDS, VERIFY_REPAIR };

struct verify_counts {
	enum verify_stage stage;
	bool live;             /* a link of the task was running */
	uint64_t keys_total;   /* of both sides, as they said at the beginning of each walk */
	uint64_t resumed_keys; /* of those that follow, gone through by earlier runs that were cut off */
	uint64_t source_keys;  /* gone through so far */
	uint64_t target_keys;
	uint64_t compared; /* of the source, those that the task copies */
	uint64_t left_out; /* by the task's rules */
	uint64_t others;   /* of the target, not this task's */
	uint64_t
		incomparable; /* nobody can say what the target should have: the script makes several things of a key, or a rule refuses it */
	uint64_t suspects; /* that differed at first sight */
	uint64_t differences[DIFFERENCE_KINDS];
	uint64_t undecided; /* changed in every round */
	uint64_t repaired;  /* of the differences */
	uint32_t rounds;
};

struct verify_difference {
	bool undecided; /* it changed in every round; `kind` and `text` are those of the last one */
	bool repaired;
	enum difference_kind kind;
	uint32_t source_db, target_db;
	struct slice source_key, target_key;
	const char *text; /* what differs, or "" */
};

struct verify_events {
	/* Several times a second. False: leave off. */
	bool (*go_on)(void *owner, const struct verify_counts *counts);
	void (*difference)(void *owner, const struct verify_difference *difference);
	/* A finished sentence for the log. */
	void (*note)(void *owner, int log_level, const char *text);
};

/* *counts are kept up to date. False with an error of kind ERROR_NONE: left off. */
bool verify_run(struct loop *loop, const struct verify_options *options, const struct verify_events *events, void *owner,
		struct verify_counts *counts, struct error *error) WARN_UNUSED;
uint64_t verify_differences(const struct verify_counts *counts);

#endif
