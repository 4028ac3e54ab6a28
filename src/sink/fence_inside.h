/* Inside the fence: what it is made of. For fence.c and fence_marks.c alone. */
#ifndef KEYFERRY_SINK_FENCE_INSIDE_H
#define KEYFERRY_SINK_FENCE_INSIDE_H

#include "peer/client.h"
#include "sink/fence.h"
#include "sink/sink_state.h"

enum fence_step { FENCE_OWNER, FENCE_LIST, FENCE_KILL, FENCE_HISTORY, FENCE_LOWS, FENCE_MARKS, FENCE_DONE };

struct fence {
	struct fence *next;
	struct sink *sink;
	struct node *node;
	bool whole;          /* something is lost: all slots of the node are read, by a new map of the target */
	uint64_t map_number; /* before that */
	bool opens;          /* for a connection; else marks alone */
	enum fence_step step;
	struct client *client;  /* to the node */
	struct client *central; /* to the node of the record, where that is another one */
	bool record_asks;       /* the record's slot is on its way, and the record is there already */
	struct endpoint record_at;
	struct timer *timer;
	bool again;   /* this attempt has failed; the timer begins another */
	bool lower;   /* a low mark is lower than it was */
	bool takes;   /* it is the one that makes this process the owner */
	char **kills; /* id, or address with a colon, of each connection to end */
	uint32_t kill_count;
	uint16_t *slots; /* whose marks are read */
	uint32_t slot_count, next_slot;
	uint32_t outstanding, answered;
	uint32_t predecessors;      /* of these, connections of earlier processes */
	uint32_t missed;            /* slots that another node has, or that cannot be read now */
	struct redirect *redirects; /* of the slots just asked for, those whose marks are with another node already */
	uint32_t redirect_count;
	uint32_t redirect_run;  /* of these, from the first on: being asked for by `aside` */
	struct client *aside;   /* to that node */
	struct mark_low *found; /* low mark of each of the slots */
	uint32_t history;       /* number of the server's; 0: it does not tell */
	struct mark_low best;   /* the highest of them */
	uint32_t
		fallen_back; /* slots whose mark, or low mark, is below what it was: the target has lost what it had acknowledged */
	uint32_t doubtful;   /* slots of which it may have lost commands that had no mark */
};

/* A slot on its way to another node, to which its mark has gone. */
struct redirect {
	uint32_t at; /* among the fence's slots */
	struct endpoint to;
};

/* ---- fence.c ---- */
/* The attempt has failed; another one follows. */
void fence_fail(struct fence *fence, const struct error *error);
void fence_step_done(struct fence *fence);
/* An error reply that waiting does not mend. True: the sink has failed. */
bool fence_stopped_by(struct fence *fence, const char *what, struct slice text);
/* A connection of this link's, which a successor finds. */
struct client *fence_connect(struct fence *fence, const struct endpoint *endpoint);
/* The reply to the next question is that of a node to which the slot is on its way. */
void fence_send_asking(struct fence *fence, struct client *client);
/* ASK: the key has gone there already. */
bool fence_names_other(const struct fence *fence, struct slice error, struct endpoint *ret);
/* What an attempt, or a reading, has gathered. */
void fence_drop_lists(struct fence *fence);
/* Nothing of an older connection of this link can run there any more. */
bool fence_is_behind(const struct sink *sink, const struct node *node);

/* ---- fence_marks.c ---- */
/* Some master's low mark has not been found yet: no slot may be made use of. It has seen to it that it is looked for; where that is by this fence, the step is FENCE_LOWS. */
bool fence_awaits_lows(struct fence *fence);
/* Begins to read what the step is about, and goes to the next one when that is done. */
void fence_read_marks(struct fence *fence);
/* Goes on with those that are elsewhere. */
void fence_follow(struct fence *fence);

#endif
