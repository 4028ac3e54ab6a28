/* Marks: what the target itself keeps of how far a link has come, so that no command is applied twice or left out, whatever happens in between.
 *
 *   keyferry:mark:{tag}     on a cluster, one for each slot that a command was guarded in: hash, one field per link. It moves with its slot
 *     <link>                "<epoch> <offset> <sub>": the last command of the slot that is known to be applied
 *     <link>:low            in one slot of each master: "<epoch> <offset> <database>", the master's *low mark* (floor.h): what the link has for this master up to
 *                           there was executed before it was written
 *   keyferry:task:<task>    hash in database 0; of a task:
 *     <link>                "<epoch> <replid> <offset> <database> <mark offset> <mark sub> <source>": the link's record
 *     <link>:owner          "<token>:<turn>": the process that runs the link, and the how manieth it is
 *     <link>:low            standalone target, while the snapshot is applied: its low mark; the record says it afterwards
 *
 * A link's id is random and made once; it is kept in the work directory and is the field's name here. An epoch is random too and names one snapshot with the
 * stream behind it: marks of different epochs are never compared.
 * A mark holds the replication offset of the first byte of the event that was applied, and which of the event's units it was (an event may be split). Only what is of the
 * stream has marks, and so whatever is of the snapshot lies below every mark.
 * The record's offset is the low-water position: up to there the stream is applied, and `database` is selected there; -1: in the snapshot. On a standalone target
 * the record is at the same time the mark; on a cluster its mark is -1.
 * Thread: none. */
#ifndef KEYFERRY_SINK_MARK_H
#define KEYFERRY_SINK_MARK_H

#include "base/slice.h"
#include "net/endpoint.h"

#define MARK_ID_LEN 12
#define MARK_EPOCH_LEN 16
#define MARK_TEXT_MAX 64
#define MARK_RECORD_MAX (256 + ENDPOINT_TEXT_MAX)
#define MARK_PREFIX "keyferry:mark:"
#define MARK_TASK_PREFIX "keyferry:task:"
#define MARK_OWNER_SUFFIX ":owner"
#define MARK_OWNER_MAX 64
#define MARK_LOW_SUFFIX ":low"

struct mark {
	int64_t offset; /* -1: there is none */
	uint32_t sub;
};
#define MARK_NONE ((struct mark){.offset = -1})

/* Is what stands at (offset, sub) applied? Offset -1: it is of the snapshot. */
static inline bool mark_covers(struct mark mark, int64_t offset, uint32_t sub)
{
	return mark.offset >= 0 && (offset < mark.offset || (offset == mark.offset && sub <= mark.sub));
}

/* How far a master is, as its low mark says it. */
struct mark_low {
	int64_t offset; /* up to which all is applied, `db` being selected there; below 0: -1 - position, in the snapshot */
	uint32_t db;
	bool known;
};

/* The low mark that was last found, or known to be written, in a slot. */
struct mark_witness {
	uint16_t slot;
	struct mark_low low;
};

static inline bool mark_low_before(struct mark_low a, struct mark_low b)
{
	/* In the snapshot the greater position is the smaller number, and all of the stream is behind it. */
	if (a.offset < 0 && b.offset < 0)
		return a.offset > b.offset;
	return a.offset < b.offset;
}

struct mark_record {
	char epoch[MARK_EPOCH_LEN + 1];
	char replid[41];
	int64_t offset;
	uint32_t db;
	struct mark mark;
	char source[ENDPOINT_TEXT_MAX];
};

/* All return the length. */
size_t mark_put(const char *epoch, struct mark mark, char out[MARK_TEXT_MAX]);
size_t mark_record_put(const struct mark_record *record, char out[MARK_RECORD_MAX]);
size_t mark_low_put(const char *epoch, struct mark_low low, char out[MARK_TEXT_MAX]);
/* The mark, if it is of this epoch; MARK_NONE otherwise, also for what is no mark. */
struct mark mark_parse(struct slice text, const char *epoch);
/* The low mark, if it is of this epoch; else not known. */
struct mark_low mark_low_parse(struct slice text, const char *epoch);
/* False: it is no record. */
bool mark_record_parse(struct slice text, struct mark_record *ret);

/* Random hexadecimal digits, and a zero behind them. */
void mark_random(char *out, size_t digits);

#endif
