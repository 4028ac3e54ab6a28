/* The lag of a link: seconds between a write at the source and its being applied, and whether the link has caught up.
 *
 * By the heartbeat where there is one: its time stands in the stream, and counts once everything before it is applied. By the sampled offsets of the source
 * where there is none or the next one is overdue.
 * Caught up: the source's offset as it was sampled after the snapshot had been applied (or after the start) is applied.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_LAG_H
#define KEYFERRY_LINK_LAG_H

#include "decode/event.h"
#include "link/delays.h"
#include "source/heartbeat.h"

#define LAG_BEATS_MAX 32 /* heartbeats on their way at once; more are not needed to know the lag */

struct lag {
	struct heartbeat *heartbeat; /* NULL: the source is files, which have no lag and are never caught up with */
	struct delays *delays;       /* gets what each heartbeat was on its way; NULL: nobody wants to know */
	int64_t interval_ms;         /* of the heartbeat */
	/* met in the stream, not applied yet */
	struct {
		uint64_t position;
		int64_t sent_ms;
	} beats[LAG_BEATS_MAX];
	uint32_t beat_count;
	int64_t last_beat_ms, last_lag_ms;
	int64_t met_ms; /* sent time of the last one met; 0: none */
	uint64_t ticket;
	bool has_ticket;
	int64_t goal; /* the offset to catch up with; -1: not known yet */
	bool caught_up;
};

/* Also at the beginning of each generation. */
void lag_init(struct lag *lag, struct heartbeat *heartbeat, uint32_t interval_ms, struct delays *delays);
/* Is it about a heartbeat (source/heartbeat.h), and about nothing else? A MIGRATE of the source deletes all keys that it has moved by one command, a heartbeat among them. */
bool lag_is_beat(const struct event *event);
/* A heartbeat came by in the stream. */
void lag_note(struct lag *lag, const struct event *event);
/* The source's time (Unix ms) when it wrote what has this offset, as well as it is known: by the sampled offsets, else by the last heartbeat met, rather up to a
 * second or an interval late than early, for a key that goes too early is missing, and one that goes too late is deleted by the source.
 * A file has no source to ask: now, though servers write no relative times into one. */
int64_t lag_stream_ms(const struct lag *lag, int64_t offset);
/* Everything before `position` is applied; applied_offset is that as a replication offset, -1 in the snapshot. */
void lag_applied(struct lag *lag, uint64_t position, int64_t applied_offset);
/* How long ago the source was as the target is now, at least: since the newest beat or sampled offset that is applied. It grows while the source cannot be asked.
 * -1: not known. */
int64_t lag_behind_ms(const struct lag *lag, int64_t applied_offset);
/* Once a second: where no heartbeat is written, the delays get what the sampled offsets tell. */
void lag_sample(struct lag *lag, int64_t applied_offset);
/* -1: not known. */
int64_t lag_ms(const struct lag *lag, int64_t applied_offset);

#endif
