/* Inside the handover: what it is made of. For the files handover*.c alone; all of it under the lock. */
#ifndef KEYFERRY_LINK_HANDOVER_INSIDE_H
#define KEYFERRY_LINK_HANDOVER_INSIDE_H

#include "link/handover.h"
#include "link/handover_file.h"
#include "link/hash_set.h"

#include <pthread.h>

/* Two readings of the map that agree: the old owner has heard of it too. */
#define READINGS_TO_SETTLE 2
/* A node that has heard late of a master's first slot must not end its link. */
#define READINGS_TO_LEAVE 5

/* What one link has asked of another. */
struct fence {
	bool asked, known;
	bool agreed;     /* of what was brought: both sources have said the same of who has it, the other one at `since_us` */
	int64_t brought; /* end of the event that brought it, for which alone that is so; 0: none did */
	uint64_t own_us; /* when the asker's source has; 0: not yet */
	uint64_t own_digest;
	int64_t covers;      /* of the asker's stream */
	uint64_t since_us;   /* what it covers was executed by then */
	uint64_t generation; /* of the other one, when it was asked */
	int64_t need;
	uint64_t cleared;  /* number of the wait that looking ahead has found nothing for */
	uint64_t looked;   /* number of the wait that it was done for ... */
	int64_t looked_at; /* ... and where the other one stood then */
	uint64_t found;    /* number of the wait that it has found something for, or cannot come to its end ... */
	int64_t found_at;  /* ... and where the other one stood then */
};

struct member {
	char *name;
	struct handover_source source;
	_Atomic int64_t applied;  /* -1: in a snapshot ... */
	_Atomic int64_t snapshot; /* ... of that offset; -1: of none */
	_Atomic uint64_t generation;
	_Atomic int64_t wanted;
	bool gone;       /* it has no slots, and nobody answers: what it has not sent will not come, and what it has is applied */
	bool left;       /* its link has ended */
	uint32_t silent; /* readings in a row */
	uint32_t empty;  /* readings in a row that say that it has no slots ... */
	uint64_t empty_us; /* ... and when that was certain */
	uint64_t read_us;  /* when the map was read last */
	uint64_t map_due;  /* number of the reading that has certainly begun after its snapshot */
	bool waiting;
	bool ends;                   /* it waits with its snapshot's end, */
	uint64_t end_reading;        /* by that reading of the map */
	struct handover_event event; /* that it waits with */
	uint64_t wait_number;
	uint64_t waiting_since_us;
	uint32_t asker;           /* whose question it was told last */
	int64_t relied;           /* others have gone on behind that offset of it */
	uint64_t ring_generation; /* when the latest round was begun for a ring */
	struct fence *fences;     /* one for each member */
	struct handover_counters counters;
};

struct move {
	uint16_t slot;
	uint32_t readings;
	struct hash_set keys; /* that the holder has begun with: the exporter is done with each of them */
	uint64_t since_us;
};

struct handover {
	pthread_mutex_t lock;
	struct member **members;
	_Atomic uint32_t count;
	_Atomic uint32_t owners[SLOT_COUNT]; /* holder, exporter << 16 */
	uint64_t jobs[SLOT_COUNT];           /* that have brought them to the holder; 0: none has */
	struct move *moves;
	uint32_t move_room;
	uint16_t move_of[SLOT_COUNT]; /* index in moves, of slots that move */
	uint16_t mapped[SLOT_COUNT];  /* whose the latest map says that they are */
	uint64_t agreed_us
		[SLOT_COUNT]; /* since when two readings in a row say that it is the same one's, who is not the holder; 0: they do not */
	uint16_t done_for
		[SLOT_COUNT]; /* the link that has been told that the others are done with the slot; HANDOVER_NOBODY: none has */
	_Atomic uint32_t move_count;
	_Atomic uint64_t rounds;
	_Atomic uint64_t readings; /* of the map */
	_Atomic uint64_t map_due;  /* the latest of the members */
	uint64_t waits;
	struct ring_watch {
		uint64_t mark; /* of the ring that was seen last: who, with what, and where they stand; 0: there was none */
		uint64_t seen_us;
		uint64_t stood_us; /* in which it was looked at */
		uint64_t limit_us;
		uint32_t rounds; /* for rings, in a row */
	} ring;
	struct handover_file *file;
};

static inline uint32_t pack(uint16_t holder, uint16_t exporter)
{
	return (uint32_t)exporter << 16 | holder;
}

static inline uint16_t holder_of(uint32_t owner)
{
	return (uint16_t)owner;
}

static inline uint16_t exporter_of(uint32_t owner)
{
	return (uint16_t)(owner >> 16);
}

static inline bool has_reached(const struct member *member, int64_t need)
{
	return member->applied >= need || (member->applied < 0 && member->snapshot >= need);
}

/* The link's by the map, and others have not been seen to be done with it. */
static inline bool is_awaited(const struct handover *handover, uint32_t link, uint16_t slot)
{
	return handover->mapped[slot] == link && handover->owners[slot] != pack((uint16_t)link, HANDOVER_NOBODY) &&
	       handover->done_for[slot] != link;
}

/* The move that the slot is in; NULL: it moves not. Valid until another begins or ends. */
struct move *handover_find_move(struct handover *handover, uint16_t slot);
/* It begins to move, or does so anew. */
void handover_add_move(struct handover *handover, uint16_t slot);
void handover_end_move(struct handover *handover, struct move *move);
/* Keys that the holder has begun with mean nothing to the next one. */
void handover_give_slot(struct handover *handover, uint16_t slot, uint16_t holder, uint16_t exporter);
/* Of a member, for the file; NULL: nobody. */
const char *handover_name_of(const struct handover *handover, uint16_t link);
/* An offset behind all that its source had executed by then. Who has no slots, and is a replica now, has an end.
 * False: not known yet, or an offset of another history than the one that the link applies: its link goes over to that first. */
bool handover_fence_of(const struct member *member, uint64_t us, int64_t *ret_offset);
void handover_stop_waiting(struct member *member);
/* Who has to be behind what the event has to come behind; `has` is of the members. */
void handover_collect_awaited(const struct handover *handover, uint32_t link, const struct handover_event *event,
			      bool has[HANDOVER_LINKS_MAX]);
/* `other` waits too, with an event of the same slot: is it the link's turn? */
bool handover_goes_first(const struct handover *handover, uint32_t link, const struct handover_event *event, uint32_t other);
/* No slot moves, no link applies a snapshot and none waits: what was begun for a ring has come to its end. */
void handover_forget_rings(struct handover *handover);

#endif
