/* The dangling: pending entries of a stream's groups whose entry was deleted.
 *
 * XCLAIM makes a pending entry, with a given time and count, only for an entry that is there, and no other command makes one. So such entries stand in the stream while XCLAIM
 * is done, in the order of their IDs with the others, and are deleted again before the stream is where readers see it.
 * Thread: owned by one. */
#ifndef KEYFERRY_LINK_DANGLING_H
#define KEYFERRY_LINK_DANGLING_H

#include "decode/value.h"

#define DANGLING_PENDING_MAX (16u << 20) /* pending entries of one stream; each takes 16 bytes */

struct dangling {
	struct value_stream_id *ids; /* all pending ones, sorted; the first `count` are known to be dangling as far as `at` */
	uint32_t pending, room;
	uint32_t at, count;
	uint32_t leading; /* of them, those before the first entry */
	bool entry_seen;
};

void dangling_free(struct dangling *dangling);
/* Forgets all. */
void dangling_clear(struct dangling *dangling);
/* Reads a stream's value from `reader`, which was begun with it, to its end or damage. False: it has more than DANGLING_PENDING_MAX pending entries. */
bool dangling_collect(struct dangling *dangling, struct value_reader *reader);
/* The next dangling one before `entry`, the stream's next entry; NULL: before its end. False: there are no more before that, and `entry` is passed. */
bool dangling_next(struct dangling *dangling, const struct value_stream_id *entry, struct value_stream_id *ret);

#endif
