/* The adaption: what a command of the stream becomes for the target, as events: for one that does not know it, by the policy target.downgrade, and with its times of
 * expiry in the form that they are written in (transform/guard.h).
 *
 *   event -> EVALSHA to EVAL (scripts.h) -> transform/downgrade.h -> transform/guard.h -> event(s)
 *
 * stop: a command that the target has nothing for is refused, and the link stops there. lossy: it is left out, or what can be done of it is, which is counted,
 * and each kind of loss is told once.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_ADAPT_H
#define KEYFERRY_LINK_ADAPT_H

#include "base/error.h"
#include "decode/event.h"
#include "link/lag.h"
#include "link/scripts.h"
#include "sink/encode.h"
#include "transform/guard.h"

struct adapt;

struct adapt_options {
	const struct target_abilities *target; /* outlives it */
	const struct lag *lag;                 /* knows the stream's time */
	struct scripts *scripts;               /* the bodies that EVALSHA means */
	void (*note)(void *owner, int log_level, const char *text);
	void *owner;
};

struct adapt *adapt_new(const struct adapt_options *options);
void adapt_free(struct adapt *adapt);

enum adapt_outcome {
	ADAPT_SAME,    /* as it is */
	ADAPT_PATCHED, /* as it is but for argument output.at, which is output.events[0].argv[output.at]; not inside a transaction */
	ADAPT_CHANGED, /* the events of the output in its place, more than one in one transaction; there may be none */
	ADAPT_VALUE, /* RESTORE of a payload that the target does not know: output.events[0] is the key, an EVENT_KEY to be rewritten as one of the snapshot,
			* in place of what is there */
	ADAPT_REFUSED, /* ERROR_CONFLICT */
};

/* Its memory is the adaption's, until the next call, and that of the event. */
struct adapt_output {
	struct event *events; /* raw.data is NULL */
	uint32_t count;
	bool replay_safe; /* all together */
	bool valkey;      /* VALUE: in a form of Valkey's own */
	uint32_t at;      /* PATCHED */
};

/* How times are written from now on; at the beginning GUARD_OFF. */
void adapt_set_times(struct adapt *adapt, const struct guard_times *times);

/* A command that is no edge of a transaction. */
enum adapt_outcome adapt_command(struct adapt *adapt, const struct event *event, struct adapt_output *output,
				 struct error *error);

struct adapt_counters {
	uint64_t rewritten; /* commands that others stand for */
	uint64_t lossy;     /* of which something, or all, was left out */
};
/* The end of the last command that may have taken a time of expiry from one key to another (guard_moves_times()); 0: there was none. */
uint64_t adapt_last_move(const struct adapt *adapt);
/* Another one, up to `end`, that is not handed in here: values are read with their expiries and written again. */
void adapt_note_move(struct adapt *adapt, uint64_t end);

struct adapt_counters adapt_counters(const struct adapt *adapt);

#endif
