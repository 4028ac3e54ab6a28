/* Inside the sink: its state, and what its files call of each other: sink.c, waiting.c, outage.c, slot_moves.c, outcome.c, marker.c, flight.c, fence.c.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_SINK_STATE_H
#define KEYFERRY_SINK_SINK_STATE_H

#include "base/log.h"
#include "sink/lane.h"
#include "sink/marker.h"
#include "sink/node.h"
#include "sink/outage.h"
#include "sink/refresh.h"
#include "sink/sink.h"
#include "sink/slot_moves.h"
#include "sink/window.h"

struct sink {
	struct sink_options options;
	const struct sink_events *events;
	void *owner;
	bool cluster;
	struct window window;
	struct node **nodes;
	uint32_t node_count;
	struct node *owner_of[SLOT_COUNT];  /* by the map; standalone: [0] alone */
	uint32_t busy[SLOT_COUNT];          /* units of the slot on a node */
	struct node *busy_node[SLOT_COUNT]; /* that node */
	uint64_t owner_epoch[SLOT_COUNT];   /* of the claim that made it so; 0: not known */
	uint64_t old_claims_since_us;       /* every map since then had claims that were too old; 0: the last one had none */
	uint64_t map_number;                /* how often the map was read anew */
	uint64_t masters_number;            /* how often anything was learned of who has the slots */
	struct lanes lanes;
	struct marker *marker; /* NULL: checkpoint: local */
	uint64_t event_start;  /* of the event under way, and the number of its next unit */
	uint32_t next_sub;
	struct refresh *refresh;
	struct timer *lane_timer;
	struct timer *housekeeping;
	struct idle *turn; /* settles once per turn what the replies of that turn have changed */
	bool divert_wanted;
	bool failed;
	bool room_wanted;
	struct outages outages;
	struct slot_move *moves;
	char cause[1200];
	char waiting_for[1200];
	uint64_t waiting_since_us;
	bool waiting_told_by_outage; /* when it is over, for a connection was lost */
	struct sink_counters counters;
	uint16_t multi; /* command_number() of MULTI: what transactions are counted as */
};

/* sink.c */
/* Offset up to which the stream lies before `position`; -1 in the snapshot. */
int64_t sink_offset_before(const struct sink *sink, uint64_t position);
struct lane *sink_hold_slot(struct sink *sink, uint16_t slot);
void sink_put_on_node(struct sink *sink, struct node *node, struct unit *unit);
void sink_note(struct sink *sink, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
void sink_fail(struct sink *sink, const struct error *error);
/* Back into its slot's lane, in order; the slot is held from now on. */
struct lane *sink_hold(struct sink *sink, struct unit *unit);
void sink_hold_all(struct sink *sink, struct unit_list list);
/* The slot is as it should be: what waited follows at once. */
void sink_release_rest(struct sink *sink, struct lane *lane);
/* masters.c: a map was read. False: claims in it are older than what is known, and were not taken. */
bool sink_take_map(struct sink *sink, const struct topology *topology);
/* What the sink before it, which is about to be freed, knew last. */
void sink_take_after(struct sink *sink, struct sink *before);
/* The slot is that master's, as MOVED says. */
void sink_met(struct sink *sink, uint16_t slot, const struct endpoint *master);
/* The node there, made if it is not known; NULL: there are too many. */
struct node *sink_node_at(struct sink *sink, const struct endpoint *endpoint);

/* waiting.c */
/* Why the latest slot was held; told only when that lasts, for a slot that moves is held a few milliseconds and again. */
void sink_remember_cause(struct sink *sink, const char *peer, const char *why);
/* Tells when a slot has been held for a while; each second. */
void sink_check_waiting(struct sink *sink);
/* No slot is held any more. */
void sink_waiting_ends(struct sink *sink);

/* outcome.c: a unit was answered (node_events.answered). */
void sink_answered(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer);
/* An error inside a flight that is executed (node_events.member_error). */
void sink_member_error(void *owner, struct node *node, struct unit *carrier, uint32_t member, const char *text);

#endif
