/* The adaption: what a command of the stream becomes for a target that does not know it, as events, by the policy target.downgrade.
 *
 *   event -> EVALSHA to EVAL (scripts.h) -> transform/downgrade.h -> event(s)
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
};

/* A command that is no edge of a transaction. */
enum adapt_outcome adapt_command(struct adapt *adapt, const struct event *event, struct adapt_output *output,
				 struct error *error);

struct adapt_counters {
	uint64_t rewritten; /* commands that others stand for */
	uint64_t lossy;     /* of which something, or all, was left out */
};
struct adapt_counters adapt_counters(const struct adapt *adapt);

#endif
