/* The handover: which link has a slot of the source now, where the source moves slots between its own masters while the task runs.
 *
 *   settled (holder) --another link meets the slot's keys, and what they wait for is applied--> moving (holder, exporter) --the source's map says so--> settled
 *
 * Two streams carry such a slot, and only the target's order of them is right: MIGRATE puts RESTORE-ASKING into the new owner's stream and then, before the old owner
 * does anything else, DEL into its; while the slot is half moved, both serve keys of it, each key by one of them. The rule (docs/delivery.md proves it):
 *
 *   - The holder of a settled slot goes on without asking.
 *   - While the slot moves, the exporter goes on without asking too, and the holder (the importer) waits, before each event of that slot, until the exporter has
 *     applied everything up to a *fence*: its master's offset, read after the event was executed. One fence covers all that the importer has received by then. A link
 *     that is behind finds its fences among the samples that were taken while it received: they are the same, however late it comes to the event.
 *   - Any other link, and the exporter that imports (RESTORE-ASKING), waits for the holder and the exporter in the same way. Then it is the holder, and the one
 *     before it the exporter.
 *   - Who is waited for may itself wait: for an event of the same slot, whose turn it is not (handover_ask.c: goes_first), or for another slot; then it looks ahead in its
 *     own spool whether one of the keys in question comes there before the fence (handover_question()). As order matters among commands of one key only, and at the
 *     source all was in one order, somebody can always go on.
 *
 *   - Where somebody cannot go on after all, because fences lie later than what is waited for, the links that wait for each other are found (handover_ring.c), and all take new
 *     snapshots; what is in those is not waited for any more (handover_map()).
 *
 *   - What an atomic migration has brought (link/imports.h) waits too, for all of its slots at once. The former owner deletes its keys when it hears of its loss, a moment
 *     after the new one has begun: the fence is read when both their masters say the same of who has the slots.
 *
 *   - A link whose master has no slots any more *leaves* once all that the master ever did with them is applied (handover_stay()): nobody waits for it from then on.
 *
 * What is known of holders is in memory, and in a file of the work directory that is written before the new holder goes on.
 * Thread: any; one lock. handover_is_free() takes none. */
#ifndef KEYFERRY_LINK_HANDOVER_H
#define KEYFERRY_LINK_HANDOVER_H

#include "base/error.h"
#include "wire/slot.h"

#include <stdatomic.h>
#include <stdint.h>

#define HANDOVER_LINKS_MAX 1024
#define HANDOVER_NOBODY UINT16_MAX
#define HANDOVER_KEYS_MAX 8

struct handover;

/* How a link is asked where its source stands: see heartbeat.h. */
struct handover_source {
	/* By when it had certainly executed all up to `offset`, and the same of all up to *ret_to. False: not known. */
	bool (*executed)(void *owner, int64_t offset, uint64_t *ret_us, int64_t *ret_to);
	/* An offset behind all that it had executed by then, as low as can be told. False: ask again. *ret_generation: of the link, in which that offset has a meaning; 0: in
	 * none, for the source leads another history now than the link has received. */
	bool (*fence)(void *owner, uint64_t us, uint64_t *ret_generation, int64_t *ret_offset);
	/* Up to where it has received, for a link whose source has gone; -1: nothing of a stream. */
	int64_t (*received)(void *owner);
	/* Where it ended, if it is known to write nothing more of the history that the link receives. Asked of a source without slots alone. */
	bool (*ended)(void *owner, int64_t *ret_offset);
	/* Which master it says of each of these slots (bits; NULL: all) that it is, asked at that time or later: a digest, to be compared with another source's, and when it
	 * was answered. False: ask again. NULL: nobody asks. */
	bool (*owners)(void *owner, uint64_t us, const uint64_t *slots, uint64_t *ret_digest, uint64_t *ret_answered_us);
	void *owner;
};

/* What a link is about to apply. */
struct handover_event {
	uint16_t slot;
	bool imports; /* RESTORE-ASKING: the key was another master's before */
	bool brought; /* by a snapshot or an atomic migration: the former owner deletes what it had of it when it hears that it has lost the slots, which may be later */
	/* Bits, or NULL: all that an atomic migration has brought, of which `slot` is the first. They come together, with `imports`, `brought`, and no keys. Lives until
	 * the event may be applied, or handover_forget(). */
	const uint64_t *slots;
	uint64_t job; /* ... which one: a hash of its name */
	int64_t start,
		end; /* replication offsets: before its first byte, and of its last one. Of the snapshot: the offset that it is of */
	int64_t received;                 /* up to where the link has received by now; at least `end` */
	uint32_t key_count;               /* 0: any key of the slot */
	uint64_t keys[HANDOVER_KEYS_MAX]; /* hashes */
};

/* `path`: where holders are kept; NULL: nowhere. What a file there says of links that join is taken up. */
struct handover *handover_open(const char *path, struct error *error) WARN_UNUSED;
void handover_close(struct handover *handover);

/* Another link; `name` is its own as long as its work directory lives. Returns its number, from 0. */
uint32_t handover_join(struct handover *handover, const char *name, const struct handover_source *source);
/* Who has each slot at the source (HANDOVER_NOBODY: nobody, or no link). The first time, after all have joined and before any runs: what no file tells is theirs. Later,
 * at each reading of the source's map: moves come to their end by it, and a slot whose holder has begun anew since the map gave it away is the one's that has it. False: the file cannot be written. */
bool handover_begin(struct handover *handover, const uint16_t *owners, struct error *error) WARN_UNUSED;
struct handover_news {
	uint32_t settled; /* slots */
	uint32_t
		gone; /* links whose source has no slots and does not answer, ten readings long, and that have applied what they received: nobody waits for them
		       * any more, unless they come back */
};
struct handover_news handover_map(struct handover *handover, const uint16_t *owners);
enum handover_stay {
	HANDOVER_STAYS,
	HANDOVER_LEAVES, /* its source has no slots any more, as the last reading of the map says; it has something to do yet, or may have */
	HANDOVER_HAS_LEFT,   /* ... and all that the source ever did with them is applied */
	HANDOVER_WAS_CUT_OFF /* ... and all that was received is applied; the source does not answer, so it may have written more */
};
enum handover_stay handover_stay(struct handover *handover, uint32_t link);
/* The link ends: what it had is the owner's by the map of the last reading. It is not asked anything when this returns true, applies nothing of any slot any more, and
 * its number is nobody else's. False: meanwhile it has got something to do again. */
bool handover_leave(struct handover *handover, uint32_t link);
/* Slots that are moving. */
uint32_t handover_moving(const struct handover *handover);
/* The map is waited for: slots move, or a link has begun a snapshot and is to know whose slots were whose by then. */
bool handover_wants_map(const struct handover *handover);

/* Settled, and this link's; or moving, and it is the exporter. */
bool handover_is_free(const struct handover *handover, uint32_t link, uint16_t slot, bool imports);
/* Of a slot that the map says is the link's: have those links that had it before applied all that they ever did with it? */
bool handover_is_done_with(struct handover *handover, uint32_t link, uint16_t slot);
/* The link that the slot belongs to; for tests. */
uint16_t handover_holder(const struct handover *handover, uint16_t slot);

/* All up to that offset of that generation is applied, and will not be applied again whatever happens. */
void handover_applied(struct handover *handover, uint32_t link, uint64_t generation, int64_t offset);
/* A snapshot of that offset is being applied. Who waits for the link up to that offset or a lower one need not: of the key in question the source's master had nothing any
 * more when the snapshot was taken. */
void handover_in_snapshot(struct handover *handover, uint32_t link, uint64_t generation, int64_t offset);

/* The target has lost something, and the link is to send again what lies behind that offset. False: others have gone on behind a later one, so what it sent again would come
 * behind what came after it at the source; every link of the task has to take a new snapshot then (handover_rounds()). */
bool handover_may_go_back(struct handover *handover, uint32_t link, int64_t offset);
/* Counts how often that was so. */
uint64_t handover_rounds(const struct handover *handover);

/* Somebody waits for the link to have applied all up to there; lower: nobody does. */
int64_t handover_wanted(const struct handover *handover, uint32_t link);

enum handover_answer {
	HANDOVER_GO,
	HANDOVER_WAIT,   /* ask again soon, with the same event */
	HANDOVER_FAILED, /* the file cannot be written: ask again later */
};
/* May the link apply it? *ret_from: HANDOVER_NOBODY, or the link that the slot was taken from just now. */
enum handover_answer handover_ask(struct handover *handover, uint32_t link, const struct handover_event *event,
				  uint16_t *ret_from, struct error *error) WARN_UNUSED;
/* May the link end its snapshot of that offset, and remove what an earlier one has left? The map has been read since it was begun, and others are done with all slots that are the
 * link's by that; so they stay, until they move again. GO or WAIT. */
enum handover_answer handover_ask_end(struct handover *handover, uint32_t link, int64_t offset);
/* A ring: links each of which waits for what others of the ring have to apply, and none of which will come further. */
struct handover_ring {
	uint32_t links;    /* in it */
	uint32_t rounds;   /* begun for rings in a row, this one counted: see HANDOVER_RING_US */
	uint64_t stood_us; /* how long it has stood as it is */
};
/* A ring stands so long before all begin anew; after each round that was begun for one twice as long, up to HANDOVER_RING_MAX_US, until no slot moves, no link applies a snapshot and
 * none waits. */
#define HANDOVER_RING_US 5000000
#define HANDOVER_RING_MAX_US 640000000
/* By links that wait, again and again: has a ring stood for long enough? Then all links of the task are to take a new snapshot (handover_rounds()), and who asked is told. */
bool handover_break_ring(struct handover *handover, uint64_t now_us, struct handover_ring *ret);
/* It waits no more, for another reason than an answer. */
void handover_forget(struct handover *handover, uint32_t link);

/* For a link that waits: somebody waits for it. Does a command of one of these keys (or with no keys: of that slot) that the asker has to come behind stand between
 * what it has applied and `until`? What this link does with a key behind its own RESTORE-ASKING of it is no such command: the asker has had the key in between. Unless
 * the asker imports it too, and this link deletes it after all. */
struct handover_question {
	uint32_t asker;
	uint64_t number;
	uint16_t slot;
	bool imports;
	bool ends; /* handover_ask_end(), or an atomic migration: any key of these slots */
	uint64_t slots[SLOT_COUNT / 64];
	int64_t until;
	uint32_t key_count;
	uint64_t keys[HANDOVER_KEYS_MAX];
};
bool handover_question(struct handover *handover, uint32_t link, struct handover_question *ret);
enum handover_found {
	HANDOVER_NONE,
	HANDOVER_SOME,  /* asked again when the link has applied more */
	HANDOVER_LATER, /* not all of it is received yet: asked again */
	HANDOVER_FULL,  /* the same, and there is no room for more of it until the link applies something: asked again */
};
void handover_answer(struct handover *handover, uint32_t link, const struct handover_question *question,
		     enum handover_found found);

struct handover_counters {
	uint64_t slots; /* that this link has taken over */
	uint64_t waits; /* events that had to wait */
	uint64_t waited_us;
};
struct handover_counters handover_counters(const struct handover *handover, uint32_t link);
/* Hash of a key, for handover_event. */
uint64_t handover_hash(const void *key, size_t len);

#endif
