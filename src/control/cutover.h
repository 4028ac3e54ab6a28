/* The cut-over of a running task: the moment at which the target takes the source's place.
 *
 *   in step -> writes paused (or stopped by hand) -> all applied -> verified -> the task's process ended -> times true, marks removed -> paused for `hold`
 *
 * Whatever fails, or is interrupted, before the end: writers go on at the source (CLIENT UNPAUSE), and nothing is lost. The task's process is asked to end only when the target
 * is proven; until its marks are removed, and after, it may be started again and goes on from its position.
 * That nobody wrote to the source meanwhile is proven twice: by the pause, which must not have been interrupted (source_pause.h), and by the source's own counts of
 * commands (write_watch.h).
 * Thread: the control thread, straight-line; it runs the loop. */
#ifndef KEYFERRY_CONTROL_CUTOVER_H
#define KEYFERRY_CONTROL_CUTOVER_H

#include "control/finish.h"
#include "verify/verify.h"

enum cutover_verify { CUTOVER_VERIFY_OUTLINE, CUTOVER_VERIFY_FULL, CUTOVER_VERIFY_NONE };

struct cutover_options {
	const struct task_options *task; /* both sides are servers; outlives the run */
	enum cutover_verify verify;
	bool by_hand;        /* the operator stops the writers; so it is too where a source master is older than Redis 6.2 */
	bool dry_run;        /* all but the pause, the end of the task and the removal */
	uint32_t timeout_ms; /* for everything up to the end of the task's process */
	uint64_t hold_ms;    /* how long the source stays paused behind it; 0: not at all */
};

struct cutover_events {
	/* Several times a second. False: leave off, roll back. */
	bool (*go_on)(void *owner);
	/* A finished sentence for the log. */
	void (*note)(void *owner, int log_level, const char *text);
	void (*difference)(void *owner, const struct verify_difference *difference);
};

struct cutover_master {
	char address[ENDPOINT_TEXT_MAX];
	char replid[41];
	int64_t offset; /* everything up to here, and nothing behind it but pings and heartbeats, is at the target */
};

struct cutover_result {
	bool by_hand;
	bool done;                      /* false: it failed, or was a dry run */
	int64_t moment_ms;              /* wall clock: from here on no master took a write; 0: it has not come so far */
	int64_t applied_ms;             /* everything was at the target */
	int64_t end_ms;                 /* everything was done */
	int64_t held_until_ms;          /* the source takes no writes until then; 0: it takes them */
	struct cutover_master *masters; /* free() */
	uint32_t master_count;
	struct verify_counts verified;
	struct finish_result finish;
};

/* False with an error of kind ERROR_NONE: left off. ERROR_DIFFERENT: the target differs. ERROR_PRECHECK: the task is not running, or cannot be cut over. In all
 * cases *ret tells how far it came. */
bool cutover_run(struct loop *loop, const struct cutover_options *options, const struct cutover_events *events, void *owner,
		 struct cutover_result *ret, struct error *error) WARN_UNUSED;

#endif
