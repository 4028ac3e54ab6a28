/* Inside the crossing: its state, and what its two files call of each other. For crossing.c and crossing_run.c alone.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_CROSSING_STATE_H
#define KEYFERRY_LINK_CROSSING_STATE_H

#include "link/crossing.h"
#include "link/dumped.h"

#define CROSSING_REPLY_SLACK (64u << 10) /* of a reply, beside one value */
#define CROSSING_EXPIRY_TRIES 20         /* two TIMEs around a PTTL nearly always tell the same millisecond */
#define CROSSING_KINDS_TOLD_MAX 64

enum crossing_phase { PHASE_IDLE, PHASE_DRAIN, PHASE_READ, PHASE_RUN, PHASE_WRITE };
/* How far a phase has come. AGAIN: from the beginning, after a while; DONE: the command is; FAILED: error is filled and the crossing ended. */
enum crossing_step { STEP_ON, STEP_WAIT, STEP_AGAIN, STEP_DONE, STEP_LOST, STEP_FAILED };

struct operand {
	struct question question;
	bool asked, again;
	uint32_t replies;           /* to the question */
	uint32_t tries;             /* to learn the expiry for sure */
	struct dumped read, result; /* before and after the command; payloads lie in the replies */
	struct slice alias;         /* the name that the command runs with */
	bool temporary;             /* which is one */
};

struct crossing {
	struct crossing_options options;
	struct sink *sink;
	struct slice deletion; /* UNLINK, or DEL before Redis 4.0 */
	enum crossing_phase phase;
	struct event event;
	uint32_t db_stream;
	bool applied_before; /* crossing_begin(): again */
	struct crossing_plan plan;
	struct operand *operands; /* one per key of the plan */
	uint32_t operand_room;
	uint32_t ask_at; /* of reading */
	/* running */
	uint16_t home;
	struct question run;
	bool run_asked;
	uint32_t run_tries;
	/* writing */
	uint32_t first_number; /* of what its first key is written by */
	uint32_t wave;
	uint32_t write_at;
	struct request *requests; /* since reading began */
	uint32_t request_count, request_room;
	struct slice *argv; /* scratch */
	uint32_t argv_room;
	struct arena arena; /* of the requests */
	struct timer *retry;
	uint32_t backoff_ms;
	bool waits; /* for the timer */
	const struct command_info *told[CROSSING_KINDS_TOLD_MAX];
	uint32_t told_count;
	struct crossing_counters counters;
};

/* crossing.c */
struct request *crossing_request(struct crossing *crossing);
void crossing_send(struct crossing *crossing, uint16_t slot, uint16_t flags, const struct request *request,
		   struct question *question);
/* The command cannot be done: fills error and ends the crossing. */
enum crossing_step crossing_fail(struct crossing *crossing, struct error *error, const char *why, const char *hint);
enum crossing_step crossing_fail_by_size(struct crossing *crossing, struct error *error);
/* The target has answered so. DONE where that is no reason to stop. */
enum crossing_step crossing_refused(struct crossing *crossing, struct error *error, const char *answer);

/* crossing_run.c: the command on copies. ON: the operands have their results. */
enum crossing_step crossing_run(struct crossing *crossing, struct error *error);

#endif
