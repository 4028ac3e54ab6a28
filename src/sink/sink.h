/* The sink: events of one link to the target, in order per slot, many at once.
 *
 *   sink_*() -> unit in the window -> its slot's node, or the slot's lane while the slot is held -> replies -> low-water position
 *
 * Order is kept per slot: all units of a slot are on one node at a time; when one is redirected or has to wait (MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING,
 * BUSY, READONLY, OOM, MISCONF, NOREPLICAS, a lost connection), the slot is held, what is in flight is awaited, and the slot's units are sent
 * again in order, the first alone as a probe. Other slots go on. A standalone target is one slot (0).
 * An answer that only the operator can settle (WRONGTYPE, an unknown command, a key that exists) follows the policies.
 *
 * Outcome of a lost connection: nobody knows which of the units in flight were executed. With `marker` the target itself tells (marker.h), and each command of the
 * stream is applied once. Without, they are sent again, so a command may be applied twice then; in undisturbed running each is applied once.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_SINK_H
#define KEYFERRY_SINK_SINK_H

#include "base/incident.h"
#include "decode/event.h"
#include "net/loop.h"
#include "peer/topology.h"
#include "sink/encode.h"
#include "sink/question.h"

struct sink;
struct marker_options; /* sink/marker.h */
struct mark;           /* sink/mark.h */
struct mark_witness;
struct tally; /* wire/tally.h */

struct sink_fall {
	const char *peer; /* valid within the call */
	uint32_t slots; /* whose marks are lower than they were; 0: none are, but commands that had no mark yet may be missing */
	bool repairable; /* false: the node does not know how far it had come, or it was before what the spool's history begins with */
	uint64_t position; /* from which on everything is there to be sent again, and the database selected there */
	uint32_t db;
};

struct sink_events {
	void (*room)(void *owner);                                  /* sink_has_room() has become true */
	void (*applied)(void *owner);                               /* the low-water position has moved (once per turn) */
	void (*failed)(void *owner, const struct error *error);     /* told once; nothing is sent any more */
	void (*note)(void *owner, int log_level, const char *text); /* a finished sentence for the log */
	void (*tell)(void *owner,
		     const struct incident *incident); /* waiting, lost connections, failovers, slots that moved, predecessors */
	/* Guarded: a node has lost, or may have lost, what it had acknowledged (floor.h). Told once; nothing is sent any more: another sink has to go on at fall->position,
	 * with the present low marks as witnesses. Not to be freed within this call. */
	void (*fell)(void *owner, const struct sink_fall *fall);
};

struct sink_options {
	struct loop *loop;
	struct deployment *target;       /* options and TLS; read-only, outlives the sink */
	const struct topology *topology; /* as it was at the start */
	struct sink *
		before; /* whose place it takes: who has which slots it knows better, and what it has not told yet is told by this one; NULL: none */
	const char *name; /* of its connections */
	struct spool *spool;
	struct target_abilities abilities;
	enum conflict_policy conflict;
	enum on_conflict_policy on_conflict;
	uint32_t in_flight_commands;
	uint64_t in_flight_bytes;
	uint32_t connect_timeout_ms;
	uint32_t silence_timeout_ms; /* a node that answers nothing for so long is connected to anew */
	uint64_t position;           /* where applying begins, and the database selected there */
	uint32_t db;
	uint64_t sent_before; /* what begins below it may have been applied by an earlier run already */
	struct tally *tally;  /* of the commands that are applied; outlives the sink. NULL: nobody wants to know */
	const struct marker_options *
		marker; /* the target keeps marks, and each command of the stream is applied once (marker.h); NULL: at least once */
};

struct sink *sink_new(const struct sink_options *options, const struct sink_events *events, void *owner);
void sink_free(struct sink *sink);

bool sink_is_cluster(const struct sink *sink);
bool sink_has_room(const struct sink *sink);
/* Commands of the stream are applied once, whatever is lost. */
bool sink_is_guarded(const struct sink *sink);
/* Everything is answered and the sink is to end: brings the target's record of the link up to date. True: it is on its way, and applied() tells when the sink is idle again. */
bool sink_settle(struct sink *sink);
/* Guarded: commands that were refused for good, and below their slot's mark; to be given to the next run. Valid until the next turn. */
const struct mark *sink_refused(const struct sink *sink, uint32_t *ret_count);
/* Like sink_applied(), of what may be kept: where the next run has to begin so that it can notice, and put right, what the target loses meanwhile. */
void sink_kept(const struct sink *sink, uint64_t *position, uint32_t *db);
/* Guarded: low marks that the target is known to have. At most `max` are filled in; returns how many there are. */
uint32_t sink_witnesses(const struct sink *sink, struct mark_witness *out, uint32_t max);
/* FLUSHALL is about to remove the marks: that nothing of them is there afterwards is no loss. */
void sink_forget_witnesses(struct sink *sink);
/* Of no use any more, before another one takes its place: it lets go of the spool's views and of its connections. */
void sink_let_go(struct sink *sink);
/* The end of what was handed in. */
uint64_t sink_latest(const struct sink *sink);
/* Is what stands at (the event that begins at `start`, number) applied, as the slot's mark says? */
enum sink_covers { COVERS_NO, COVERS_YES, COVERS_UNKNOWN };
enum sink_covers sink_covers(const struct sink *sink, uint16_t slot, uint64_t start, uint32_t number);
/* Everything handed in has been answered. */
bool sink_idle(const struct sink *sink);
/* Something was sent on a connection that stands, and its answer may come still. */
bool sink_awaits_answers(const struct sink *sink);

/* One of these per event, only with room. `db_stream`: the database selected in the stream behind the event; event->db is the target's. `end`: where the
 * position stands when this is done: event->end, or event->start for all but the last of several that stand for one event. They write nothing yet. */
/* A key of the snapshot that encode_possible() is true of. */
void sink_key(struct sink *sink, const struct event *event, uint64_t end, uint16_t slot, uint32_t db_stream, bool source_valkey);
/* Commands that were made anew, as bytes (copied), answered by `replies` replies. */
void sink_encoded(struct sink *sink, const struct event *event, uint64_t end, uint16_t slot, uint32_t db_stream, uint16_t flags,
		  struct slice bytes, uint32_t replies);
/* A command as it came. */
void sink_command(struct sink *sink, const struct event *event, uint16_t slot, uint32_t db_stream);
/* The same but for argument `at`, which is `argument` instead (copied). */
void sink_patched(struct sink *sink, const struct event *event, uint16_t slot, uint32_t db_stream, uint32_t at,
		  struct slice argument);
/* A command made anew, copied. `flags`: unit flags. */
void sink_arguments(struct sink *sink, const struct event *event, uint64_t end, uint16_t slot, uint32_t db_stream, uint16_t flags,
		    uint32_t argc, const struct slice *argv);
/* What every transaction that is handed in begins and ends with, sink_encoded() ones too: a flight strips them. */
#define SINK_MULTI "*1\r\n$5\r\nMULTI\r\n"
#define SINK_EXEC "*1\r\n$4\r\nEXEC\r\n"
/* Bytes of a transaction; `made`: they are copied, the others lie in the spool and are referenced. */
struct sink_piece {
	struct slice bytes;
	bool made;
};
/* A whole transaction: pieces from MULTI to EXEC, `replies` in all. `db`: selected at the target before it, `db_after`: by the last SELECT inside.
 * Of several for one transaction all but the last end where they start. */
void sink_transaction(struct sink *sink, uint64_t start, uint64_t end, uint16_t slot, uint32_t db, uint32_t db_after,
		      uint32_t db_stream, const struct sink_piece *pieces, uint32_t piece_count, uint32_t replies,
		      uint16_t flags);
/* Commands of one slot that stand for a part of the event, or that only ask: pieces, answered by `replies` replies. What is not made is referenced, and
 * stays until the slot is idle. The position stays at the event's start; sink_progress() ends the event. `question`: gets the replies, and they change nothing in the target,
 * are sent again as often as need be, and have no number; their slot is idle. NULL: nobody wants them. */
void sink_pieces(struct sink *sink, const struct event *event, uint16_t slot, uint32_t db_stream, uint16_t flags,
		 const struct sink_piece *pieces, uint32_t piece_count, uint32_t replies, struct question *question);
/* Everything of this slot is answered. */
bool sink_slot_idle(const struct sink *sink, uint16_t slot);
/* An earlier run may have applied already what begins at this position. */
bool sink_may_have_sent(const struct sink *sink, uint64_t position);
/* What is handed in for one event, which begins at `start`, is counted, and marks tell it apart by its number. Where it depends on the target how much that is (a command
 * across slots), its numbers are set, so that each thing has the same one whenever the event is applied. The number of what is handed in next; and what it is to be. */
uint32_t sink_number(const struct sink *sink, uint64_t start);
void sink_set_number(struct sink *sink, uint64_t start, uint32_t number);
/* A command was applied by other things than a unit of its own (a command across slots): for the tally. */
void sink_count(struct sink *sink, const struct event *event);
/* Nothing to apply up to `position`. */
void sink_progress(struct sink *sink, uint64_t position, uint32_t db);

/* A slot of each target master, for commands that concern all of them. Returns their number. */
uint32_t sink_master_slots(const struct sink *sink, uint16_t *out, uint32_t max);
/* Where the master of that slot is. */
const struct endpoint *sink_master(const struct sink *sink, uint16_t slot);
/* Has become larger: the map of the target has been read anew. */
uint64_t sink_map_number(const struct sink *sink);

/* Where they are, by the latest map. Returns their number, at most `max`. */
uint32_t sink_masters(const struct sink *sink, struct endpoint *out, uint32_t max);
/* Has become larger: something was learned of them, by a map or by MOVED. 0: only what the sink began with is known. */
uint64_t sink_masters_number(const struct sink *sink);

/* Writes what was handed in. */
void sink_flush(struct sink *sink);

/* Everything below *position is applied; *db is selected in the stream there. */
void sink_applied(const struct sink *sink, uint64_t *position, uint32_t *db);

struct sink_counters {
	uint64_t keys;             /* of the snapshot, applied */
	uint64_t commands;         /* of the stream, applied */
	uint64_t skipped_keys;     /* existed at the target, policy skip */
	uint64_t unsupported_keys; /* of modules that the target has not loaded, policy skip */
	uint64_t conflicts;        /* commands that the target refused for good, policy skip */
	uint64_t script_errors;    /* scripts that ended in an error, as at the source */
	uint64_t redirections;     /* MOVED and ASK */
	uint64_t already_applied;  /* units that a mark of the target covers: not sent (again) */
	uint64_t retries;          /* units sent again */
	uint64_t reconnects;
	uint64_t in_flight_bytes;
	uint32_t in_flight_units;
	uint32_t held_slots;
};
struct sink_counters sink_counters(const struct sink *sink);
/* Why it waits at the moment ("10.1.0.1:6379 answers OOM ..."), or "". Valid until the next turn. */
const char *sink_waiting_for(const struct sink *sink);

#endif
