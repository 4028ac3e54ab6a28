/* A question: what the target answers to a unit, kept for somebody.
 *
 *   made, its unit handed in (sink_pieces) --> sent, perhaps again and elsewhere --> answered: the replies, or why there are none
 *
 * Redirections, lost connections and answers that pass by themselves (LOADING, OOM ...) are the sink's matter, as for every unit, and a question that is
 * sent again begins anew. What it asks must therefore change nothing, or nothing that asking again would not change alike.
 * The caller owns it and leaves it where it is until it is answered or the sink is gone.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_QUESTION_H
#define KEYFERRY_SINK_QUESTION_H

#include "base/buffer.h"
#include "sink/reply.h"

struct unit_answer;

struct question {
	struct buffer reply; /* all replies of the unit as they came; its max bounds them. The caller's to make and free */
	/* The slot does not matter, another would do as well. ASK and TRYAGAIN, which a slot answers while it moves, are an answer then. */
	bool anywhere;
	bool answered;
	bool too_long;              /* more than the buffer may hold */
	char error[REPLY_TEXT_MAX]; /* why it was not executed; "": it was. Errors within EXEC's reply stand in `reply` alone */
};

/* ---- for the sink ---- */
void question_begin(struct question *question);
void question_take(struct question *question, struct slice bytes);
/* False: the answer means that it has to be asked again, or the end of the link. */
bool question_answered(struct question *question, const struct unit_answer *answer);

#endif
