/* Marks: what the target itself keeps of how far a link has come, so that no command is applied twice or left out, whatever happens in between.
 *
 *   keyferry:mark:{tag}     on a cluster, one for each slot that a command was guarded in: hash, one field per link. It moves with its slot
 *     <link>                "<epoch> <offset> <sub>": the last command of the slot that is known to be applied
 *   keyferry:task:<task>    hash in database 0; of a task:
 *     <link>                "<epoch> <replid> <offset> <database> <mark offset> <mark sub> <source>": the link's record
 *     <link>:owner          token of the process that runs the link
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

struct mark_record {
	char epoch[MARK_EPOCH_LEN + 1];
	char replid[41];
	int64_t offset;
	uint32_t db;
	struct mark mark;
	char source[ENDPOINT_TEXT_MAX];
};

/* Both return the length. */
size_t mark_put(const char *epoch, struct mark mark, char out[MARK_TEXT_MAX]);
size_t mark_record_put(const struct mark_record *record, char out[MARK_RECORD_MAX]);
/* The mark, if it is of this epoch; MARK_NONE otherwise, also for what is no mark. */
struct mark mark_parse(struct slice text, const char *epoch);
/* False: it is no record. */
bool mark_record_parse(struct slice text, struct mark_record *ret);

/* Random hexadecimal digits, and a zero behind them. */
void mark_random(char *out, size_t digits);

#endif
