/* A pass over the target that gives times of expiry another form (transform/guard.h).
 *
 *   hold   a live time v becomes held: v - margin + base
 *   free   a held time becomes live, T + margin, or with margin 0 true
 *
 * Each master's databases that have keys or fields with times are scanned (SCAN), and a script looks at a handful of keys at once: it reads and writes a key in one
 * step, so what a link writes meanwhile is never overwritten by an older time. Hashes of many fields are walked by HSCAN. Memory is that of one SCAN reply (of more keys where the target is far away, peer/scan_count.h).
 * Either pass may be cut off at any point and made again. Keys that are moved (RENAME, a slot that goes to another master) may escape a pass: the caller looks whether
 * there were any, and makes another one.
 * Thread: one with a loop of its own, straight-line. Errors: ERROR_TARGET, naming the master. */
#ifndef KEYFERRY_CONTROL_SETTLE_H
#define KEYFERRY_CONTROL_SETTLE_H

#include "peer/topology.h"

enum settle_pass { SETTLE_HOLD, SETTLE_FREE };

struct settle_options {
	struct deployment *target; /* opened on the loop; its topology is refreshed at the beginning */
	enum settle_pass pass;
	int64_t base; /* of the task's held key times */
	int64_t margin_ms;
	bool final; /* free: no DEL will follow any more, a key whose time has passed goes. Else such a time stays held until the DEL comes */
	bool temporary;             /* temporary keys of keyferry are removed as well */
	bool gentle;                /* works half of the time only */
	bool (*go_on)(void *owner); /* asked between portions; false: leave off */
	void *owner;
};

struct settle_counts {
	uint64_t keys;      /* looked at */
	uint64_t changed;   /* times of keys and fields that got another form */
	uint64_t passed;    /* left held, for they have passed */
	uint64_t temporary; /* keys removed */
	uint64_t moved;     /* answers that sent a key elsewhere */
};

enum settle_outcome { SETTLE_DONE, SETTLE_LEFT_OFF, SETTLE_FAILED };

/* The script needs redis.replicate_commands() or what came after it: Redis 3.2. */
#define SETTLE_REDIS_SINCE VERSION(3, 2, 0)

/* *counts are kept up to date while it runs. */
enum settle_outcome settle_run(const struct settle_options *options, struct settle_counts *counts, struct error *error);

/* May a pass be made on every master? Tries SCAN and the script, on a key that does not exist. NOT: why, in `error`; UNKNOWN: a master is not to be reached, its
 * connection was lost, or it has put it off (LOADING). */
enum settle_may { SETTLE_MAY, SETTLE_MAY_NOT, SETTLE_MAY_UNKNOWN };
enum settle_may settle_probe(struct deployment *target, struct error *error);

#endif
