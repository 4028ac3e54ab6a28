/* The crossing: a command whose keys lie in several slots of a cluster target, done by keyferry with what the target holds at that point.
 *
 *   drain --> read --> run --> write                       rename, copy and list move: drain --> read --> write
 *               ^-------'
 *
 *   drain   what was sent of the slots of its keys is answered; other slots go on. Nothing behind the command is decoded until it is done, so
 *           nothing else of these slots is on its way from now on
 *   read    DUMP and expiry of the keys that the command reads
 *   run     in one slot, the home, in one MULTI and EXEC: the values are RESTOREd under temporary names, the command is executed with these names, what it
 *           wrote is DUMPed, the temporary keys are deleted. Keys of the home slot that are only read are used as they are
 *   write   per slot of a key that was changed: RESTORE REPLACE, or DEL where it is gone. Where one key gives what another gets (RENAME, LMOVE) the
 *           one that gets comes first, and the other only when that is answered
 *
 * Reading and running change nothing, and nobody sees the temporary keys, for they come and go within one transaction, so no error and no end of the
 * process leaves any behind: they may be done again at any time, and are when the home slot moves (another becomes home). Writing is a few
 * commands, each for one slot, and each numbered by its key (sink_set_number()): with marks in the target each is applied once (docs/delivery.md, rule 12), else at
 * least once, as everything else.
 * Exact: values as DUMP gives them, expiries to the millisecond, also where the target has no PEXPIRETIME: PTTL is asked between two TIMEs in one
 * transaction, again until both tell the same millisecond.
 * Memory: the serialised values of all keys concerned, at once.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_CROSSING_H
#define KEYFERRY_LINK_CROSSING_H

#include "link/crossing_plan.h"
#include "sink/sink.h"

struct crossing;

struct crossing_options {
	struct loop *loop;
	const struct target_abilities *target;                      /* outlives it */
	void (*note)(void *owner, int log_level, const char *text); /* a finished sentence for the log */
	void (*go_on)(void *owner); /* what was waited for has come: call crossing_go_on(), not from within this call */
	void *owner;
};

struct crossing *crossing_new(const struct crossing_options *options);
void crossing_free(struct crossing *crossing);
/* A new sink: what was under way is forgotten. */
void crossing_reset(struct crossing *crossing, struct sink *sink);

/* Begins with a command that route_command() calls a crossing. What the event points to stays until it is done. False: it cannot be done; ERROR_CONFLICT. */
/* `again`: it was done before, and nodes of the target have fallen back since, each to another moment: it is left as it is where marks cover all that it writes, else it is LOST. */
bool crossing_begin(struct crossing *crossing, const struct event *event, uint32_t db_stream, bool again,
		    struct error *error) WARN_UNUSED;
/* The one begun last. */
const struct event *crossing_event(const struct crossing *crossing);
/* Not done yet: nothing else may be handed in. */
bool crossing_under_way(const struct crossing *crossing);
/* It has begun to write: to be cut off now would be seen in the target. */
bool crossing_half_done(const struct crossing *crossing);

enum crossing_state { CROSSING_DONE, CROSSING_WAITS, CROSSING_LOST, CROSSING_FAILED };
/* Does what can be done now; to be called again when something was answered, or after go_on. FAILED: given up before anything was written, with
 * ERROR_CONFLICT. When done the position still stands at the event's start. */
enum crossing_state crossing_go_on(struct crossing *crossing, struct error *error);

struct crossing_counters {
	uint64_t commands;      /* done */
	uint64_t bytes;         /* serialised values that were read for them */
	uint64_t repetitions;   /* begun anew, for a slot that moves, or a target that was out of memory */
	uint64_t script_errors; /* scripts that ended in an error, as at the source */
};
struct crossing_counters crossing_counters(const struct crossing *crossing);

#endif
