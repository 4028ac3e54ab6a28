/* Inside the applier: its state, and what its files call of each other. For the files of that name alone.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_APPLIER_STATE_H
#define KEYFERRY_LINK_APPLIER_STATE_H

#include "base/arena.h"
#include "base/log.h"
#include "decode/stream.h"
#include "link/applier.h"
#include "link/hash_set.h"
#include "link/imports.h"
#include "link/limit.h"
#include "sink/marker.h"

#include <pthread.h>
#include <stdatomic.h>

#define KEEP_SAMPLES 64
#define APPLIER_PUBLISH_MS 50

enum run_state {
	RUNNING,
	PARKING,
	PARKED,
	DRAINING,
	STUCK, /* failed at an event that could not be decoded or sent; what lies before it is still answered */
	ENDED,
};

/* The copy that an atomic migration has brought, being applied where it ended (applier_import.c). */
struct copying {
	bool active;
	struct import *import;
	struct event finish; /* the command that ended it: all of the copy stands for it */
	uint32_t db;         /* selected in the stream behind it */
	struct stream_decoder *decoder;
	uint64_t at;        /* next event of the copy */
	struct event event; /* decoded, and to be applied */
	bool has_event;
	struct hash_set seen; /* keys that were met, with their databases */
	struct arena arena;   /* of the removals under way */
	uint64_t arena_used;
	struct slice *keys; /* of one event */
	uint32_t key_count, key_room;
	bool waits; /* for what is under way */
};

struct applier {
	struct applier_options options;
	const struct applier_events *events;
	void *owner;
	enum run_state run_state;
	bool lent; /* since it parked, until it begins: the spool is the source's and may hold the next generation, in which the positions of this one mean nothing */
	struct outlet outlet;
	bool finished; /* the outlet wants no more */
	bool begun;    /* the outlet has, with the present generation */
	uint64_t generation;
	struct snapshot_decoder *snapshot; /* NULL once in the stream */
	struct stream_decoder *stream;
	struct error begin_error; /* why it could not; kind ERROR_NONE: it could */
	struct lag lag;
	struct expiry expiry;
	struct snapshot_place place; /* as of the last decoded event */
	uint64_t position;           /* next event to decode */
	uint64_t need;               /* bytes from `position` that make decoding worth it */
	struct limit records, bytes;
	atomic_uint_fast64_t records_wanted, bytes_wanted; /* what they are to be, by applier_limit() */
	struct timer *limit_timer, *state_timer, *publish_timer, *deadline;
	struct idle *again;
	uint64_t released, unloaded;
	struct link_state saved; /* what the state file says */
	char link[MARK_ID_LEN + 1], epoch[MARK_EPOCH_LEN + 1], task[101];
	struct marker_options marker;
	uint64_t turn;    /* of the process as the link's owner */
	bool save_failed; /* at the last attempt */
	uint64_t applied_at_start;
	bool fell; /* the outlet has fallen back, and go_back() has not begun again */
	struct outlet_fall fall;
	uint64_t rollbacks, rollback_bytes;
	uint64_t rounds;                /* of new snapshots of all links (handover_rounds()) that this one has joined */
	struct mark_witness *witnesses; /* of `saved`, and what the outlet begins with */
	uint32_t witness_room;
	struct keep_sample {
		uint64_t at_us, position;
	} samples[KEEP_SAMPLES]; /* where the low-water position was when; a ring */
	uint32_t sample_first, sample_count;
	struct event held; /* decoded, and may not be applied yet: its slot is another link's (applier_fence.c) */
	bool is_held;
	bool held_told;
	uint64_t held_since_us;
	uint64_t transaction_start; /* of the source's transaction under way */
	const struct command_info *restore_asking;
	uint64_t move_told_us;
	struct imports imports; /* as of the last decoded event */
	struct import *arrival; /* the held event says that its slots have come */
	struct copying copying;
	bool anew; /* the source is to be asked for a new snapshot */
	struct timer *fence_timer;
	bool snapshot_due; /* that it is applied is to be told */
	uint64_t snapshot_since_us, leftover_passes;
	uint64_t masters_told;   /* outlet_status.masters_number of then */
	uint64_t drain_position; /* draining: the low-water position */
	uint32_t drain_ticks;    /* of the publish timer since it last moved */
	bool running;            /* within run(): callbacks of the sink do not enter it again */
	pthread_mutex_t lock;    /* of `published` */
	struct applier_status published;
};

/* applier_fence.c */
/* May the event be applied? False: it is held, and applier_may_go_on() tells when. */
bool applier_may_apply(struct applier *applier, const struct event *event);
/* Nothing is held, or not any more. */
bool applier_may_go_on(struct applier *applier);
void applier_let_held_go(struct applier *applier);
/* Other links may wait for what is applied. */
void applier_tell_handover(struct applier *applier);
/* What it waits for, or "". */
const char *applier_fence_text(const struct applier *applier, char out[128]);

/* applier_import.c: slots that come by atomic migration */
/* What the event says of them is noted, and what is a copy becomes progress. False: the link has to stop. */
bool applier_take_import(struct applier *applier, struct event *event, struct error *error);
/* Their former owner's link is behind its end: applies what has come, instead of `event`, which is the arrival. */
void applier_begin_copy(struct applier *applier, const struct event *event);
/* A portion of it. OVER: the event that ended it is done too. */
enum copy_state { COPY_GOES_ON, COPY_WAITS, COPY_OVER, COPY_FAILED };
enum copy_state applier_copy(struct applier *applier, struct error *error);
void applier_end_copy(struct applier *applier);
/* How far the spool may be given back, if applying were to go on at `position`. */
uint64_t applier_keep_imports(struct applier *applier, uint64_t position);

/* applier.c */
void applier_fail(struct applier *applier, enum run_state state, const struct error *error);
void applier_publish(struct applier *applier);
/* Begins with the spool's present generation; at `state` when it belongs to it. */
void applier_begin(struct applier *applier, const struct link_state *state);

/* applier_park.c */
/* Parking or draining is over. */
void applier_quiet(struct applier *applier);
/* The same, if everything is answered. */
void applier_check_quiet(struct applier *applier);
/* With each tick of the publish timer. */
void applier_check_patience(struct applier *applier);
/* Lets go of the spool, and asks the source for a new snapshot. */
void applier_begin_anew(struct applier *applier);

/* applier_fall.c: the outlet has told of a fall. */
void applier_go_back(struct applier *applier);
/* Another link of the task could not go back without breaking the order between them: all take a new snapshot. */
void applier_join_round(struct applier *applier);

/* applier_keep.c */
void applier_note(struct applier *applier, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
/* Does the target keep marks of the link? */
bool applier_is_marked(const struct applier_options *options);
void applier_low_water(const struct applier *applier, uint64_t *position, uint32_t *db);
/* As far as it may be kept for the next run. */
void applier_kept(const struct applier *applier, uint64_t *position, uint32_t *db);
/* Fills `witnesses` with what the next run compares the target with; returns their number. */
uint32_t applier_witnesses(struct applier *applier);
/* What is applied and kept of the spool ends where it is older than it need be, or in the way. */
void applier_keep(struct applier *applier);
bool applier_in_snapshot(const struct applier *applier, uint64_t position);
/* Of the stream's byte at `position`. */
int64_t applier_offset_at(const struct applier *applier, uint64_t position);
bool applier_epoch_is_saved(const struct applier *applier);
bool applier_write_state(struct applier *applier, bool clean);
/* The same, if there is anything new. */
void applier_save_state(struct applier *applier, bool clean);
/* A command that the run before was refused has been tried again and taken: nothing but the state file says so, and the timer may come too late. */
void applier_save_retried(struct applier *applier);
/* Tells the source. `now`: it waits for that. */
void applier_tell_applied(const struct applier *applier, bool now);
/* What is decoded leaves the memory. */
void applier_let_go(struct applier *applier);
/* Gives the spool back what the state file says is applied: after a crash it says where to begin. */
void applier_release_saved(struct applier *applier);
/* What is applied is saved and given back; `all`: also where that is little. */
void applier_release(struct applier *applier, bool all);

#endif
