/* The interview: asks all nodes of both sides, side by side, for what the items judge.
 *
 * In rounds: what can be asked of anybody, then what depends on those answers (rights, commands that clients have used). Each question is answered, refused or lost with
 * its connection; no round lasts longer than the servers' time-out.
 * Thread: the control thread; runs the loop. */
#ifndef KEYFERRY_PRECHECK_INTERVIEW_H
#define KEYFERRY_PRECHECK_INTERVIEW_H

#include "precheck/precheck_state.h"

/* Fills the nodes of `precheck`. */
void interview_run(struct precheck *precheck);

/* ---- for its parts ---- */

struct interview {
	struct precheck *precheck;
	struct witness *witnesses; /* one a node */
	uint32_t outstanding;      /* answers of this round */
	bool done;
};

/* The connections to one node. */
struct witness {
	struct interview *interview;
	struct node *node;
	struct client *client;
	struct client *second; /* where commands are queued and never executed; NULL: not yet */
	bool dry_run;          /* the user may ask by ACL DRYRUN */
};

struct question;
/* Takes the answer to a question; `index` is as given. Not called where the connection was lost. */
typedef void interview_take(struct witness *witness, const struct resp_node *answer, unsigned index);
void interview_ask(struct witness *witness, struct client *client, interview_take *take, unsigned index, uint32_t argc,
		   const struct slice *argv);
/* The same with words; NULL ends them. */
void interview_ask_words(struct witness *witness, struct client *client, interview_take *take, unsigned index, ...)
	__attribute__((sentinel));
/* A connection to the node, as its side's options say. */
struct client *interview_connect(const struct witness *witness);

#endif
