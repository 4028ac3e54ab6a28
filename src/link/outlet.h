/* The outlet of a link: where the applier's events go, behind one table.
 *
 *   server   route and sink of a deployment (link/server_outlet.h)
 *   file     an RDB file, an append-only file, lines of JSON (link/recorder.h)
 *
 * An outlet takes events one by one, may do its work later, and tells up to which position all is done: below it the spool is released, and a next
 * run begins there. `self` is what its maker gave; the table's functions get it back.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_OUTLET_H
#define KEYFERRY_LINK_OUTLET_H

#include "link/dispatch.h"
#include "link/state.h"

/* The target has lost, or may have lost, what it had acknowledged. */
struct outlet_fall {
	char what[400];  /* a sentence's beginning, for the log */
	bool repairable; /* applying may go on at `position`, `db` being selected there */
	uint64_t position;
	uint32_t db;
	uint32_t slots; /* whose marks show it */
};

struct outlet_events {
	void (*go_on)(void *owner);   /* what was waited for has come: call ready() again, not from within this call */
	void (*room)(void *owner);    /* has_room() has become true */
	void (*applied)(void *owner); /* the position has moved */
	void (*failed)(void *owner, const struct error *error);     /* told once; nothing is done any more */
	void (*note)(void *owner, int log_level, const char *text); /* a finished sentence for the log */
	void (*tell)(void *owner, const struct incident *incident);
	/* Begin again (begin()), at the fall's position, or with a new snapshot. Nothing is done any more; not to be called back from within. */
	void (*fell)(void *owner, const struct outlet_fall *fall);
	bool (*save)(
		void *owner); /* what applied() or secure() tells has to be in the state file now; false: it could not be written, try again later */
};

enum outlet_state {
	OUTLET_READY,
	OUTLET_WAITS,
	OUTLET_DONE, /* all that there will ever be: the link may end */
	OUTLET_FAILED,
};

struct outlet_status {
	struct dispatch_counters dispatch;
	struct sink_counters sink;
	uint64_t last_move;      /* dispatch_last_move() */
	uint64_t file_bytes;     /* of the file that is being written */
	uint64_t masters_number; /* sink_masters_number(), which masters() goes with */
	const char *waiting_for; /* or ""; valid until the next turn */
};

struct outlet_ops {
	void (*free)(void *self);
	/* A new generation of the spool, or its going on at `state`. What was done for an earlier one stays. Before it, of the functions below only
	 * commands(), status() and free() may be called. */
	bool (*begin)(void *self, const struct link_state *state, struct error *error);
	/* sink_masters(). NULL: the target has none. */
	uint32_t (*masters)(const void *self, struct endpoint *out, uint32_t max);
	/* For the stream decoder. */
	const struct command_table *(*commands)(const void *self);
	/* How times of expiry are written from now on. NULL: always as they are. */
	void (*set_times)(void *self, const struct guard_times *times);
	/* Handles one event, only with room. `db_stream`: selected in the stream behind it; `place`: the snapshot decoder's. The event's memory has to stay until
	 * ready() answers READY. False: the link has to stop. */
	bool (*event)(void *self, const struct event *event, uint32_t db_stream, const struct snapshot_place *place,
		      struct error *error);
	/* May the next event be decoded? FAILED fills error. */
	enum outlet_state (*ready)(void *self, struct error *error);
	bool (*has_room)(const void *self);
	/* All events are done, as far as they are whole. */
	bool (*idle)(const void *self);
	/* What is under way may still be answered, and left alone it would be applied again by the next run: it is not known then what came of it. NULL: never. */
	bool (*unsure)(const void *self);
	/* Does it wait for what is under way? Then ready() has to be asked again whenever the position has moved. */
	bool (*at_barrier)(const void *self);
	/* A transaction's MULTI has come, its EXEC not yet: its bytes are held. */
	bool (*in_transaction)(const void *self);
	/* A portion of events is over. */
	void (*flush)(void *self);
	/* Everything below *position is done; *db is selected in the stream there. */
	void (*applied)(const void *self, uint64_t *position, uint32_t *db);
	/* The same, as far as it may be kept for the next run (sink_kept()). NULL: as applied() tells. */
	void (*kept)(const void *self, uint64_t *position, uint32_t *db);
	/* At most `max`; returns how many there are. NULL: none. */
	uint32_t (*witnesses)(const void *self, struct mark_witness *out, uint32_t max);
	/* Makes that durable, and fills position, db and file of the state to be written. NULL: as applied() tells. */
	bool (*secure)(void *self, struct link_state *state, struct error *error);
	/* A position is about to be kept: what it relies on beside the target is on the disk. NULL: nothing. */
	bool (*sync)(void *self, struct error *error);
	/* A position behind the snapshot has been kept. NULL: that means nothing. */
	void (*snapshot_kept)(void *self);
	/* Is an event applied in part, so that a next run would apply that part again? ready() goes on with it. NULL: never. */
	bool (*half_done)(const void *self);
	/* Commands that the target has refused for good and that the next run has to try again; valid until the next turn. NULL: none. */
	const struct mark *(*refused)(const void *self, uint32_t *ret_count);
	/* Everything is done and the link is to end: what the target itself keeps of the link is brought up to date. True: that is under way, and applied() tells
	 * when it is idle again. NULL: the target keeps nothing. */
	bool (*settle)(void *self);
	void (*status)(const void *self, struct outlet_status *ret);
};

struct outlet {
	const struct outlet_ops *ops;
	void *self;
};

#endif
