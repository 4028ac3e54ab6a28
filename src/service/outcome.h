/* What follows when a task's worker has ended: the table of the supervisor, as a pure function.
 *
 *   it was asked to end, by PAUSE, STOP or RESTART        as the operator wants
 *   a cut-over is done                                    finished
 *   0, and everything is applied                          finished
 *   0, for a cut-over under way asks for it               at once, when that is over and was rolled back
 *   2 usage, 6 conflict, 7, 8 another one runs it         failed: another start would end the same way
 *   8, and a process has the work directory               at once: a worker that this daemon does not know of is taken over, or waited for
 *   3 precheck                                            failed; or precheck-failed, where nothing has been copied yet
 *   4 source, 5 target                                    precheck-failed, where nothing has been copied yet; else started again
 *   0 otherwise, 1, a signal, or not known                started again
 *
 * "Started again" is after a pause of 1 s that doubles up to a minute, and begins anew with a worker that has run for OUTCOME_STABLE_MS.
 * Thread: any. */
#ifndef KEYFERRY_SERVICE_OUTCOME_H
#define KEYFERRY_SERVICE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#define OUTCOME_PAUSE_MS 1000
#define OUTCOME_PAUSE_MAX_MS 60000
#define OUTCOME_STABLE_MS 60000

/* What the operator wants of a task; stored by its name. */
enum wanted { WANTED_IDLE, WANTED_RUNNING, WANTED_PAUSED, WANTED_FINISHED };
const char *wanted_name(enum wanted wanted);
/* An unknown word is IDLE: nothing is started by mistake. */
enum wanted wanted_parse(const char *name);

struct ending {
	bool asked;         /* it was told to end by the service */
	enum wanted wanted; /* of the task, now */
	bool cut_over;      /* the work directory says so */
	bool cutting;       /* a cut-over is under way, and has asked it to end */
	bool known;         /* `code` is; else it was killed, crashed, or nobody saw it end */
	int code;
	bool finished; /* by its own word: all is applied */
	bool held;     /* a process has its work directory, now */
	bool begun;    /* something has been copied before: its work directory has links */
};

enum outcome {
	OUTCOME_PAUSED,
	OUTCOME_READY,
	OUTCOME_AGAIN_NOW,
	OUTCOME_AGAIN,
	OUTCOME_FAILED,
	OUTCOME_PRECHECK_FAILED,
	OUTCOME_FINISHED
};

enum outcome outcome_of(const struct ending *ending);
/* How long to wait before the next start. `pause_ms`: what was waited before this one, 0: nothing; `ran_ms`: for how long it ran. */
uint32_t outcome_pause(uint32_t pause_ms, uint64_t ran_ms);

#endif
