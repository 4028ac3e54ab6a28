/* A file that a link writes: buffered, summed, with a mark that it can be cut back to.
 *
 *     0                 flushed        length
 *     | in the file     | in memory    |        what lies behind the mark is the event that is being written
 *              ^ mark (or in memory)
 *
 * What a caller writes for one event is several pieces, and any of them may find the disk full. So out_put() reports nothing: the first trouble is
 * kept, what comes after it is dropped, and at the end of the event the caller looks, cuts back to the mark, and writes the event again when there is room.
 * Bytes that were whole before stay in memory meanwhile; nothing is lost and nothing is there twice.
 * Thread: the link's applier. */
#ifndef KEYFERRY_EXPORT_OUT_H
#define KEYFERRY_EXPORT_OUT_H

#include "base/error.h"
#include "base/slice.h"
#include "spool/disk.h"

struct out {
	const struct disk *disk;
	char *path;
	int file;    /* -1: closed */
	bool summed; /* a CRC-64 of all bytes is kept */
	uint8_t *buffer;
	size_t used;
	uint64_t flushed;  /* bytes in the file */
	uint64_t checksum; /* of these */
	uint64_t mark;     /* a length */
	uint64_t mark_checksum;
	int trouble; /* errno of the first write that failed; 0: none */
	/* A part of a large piece is in the file: its memory is not looked at again, unless the event is cut off and written once more. NULL: nobody cares. */
	void (*passed)(void *owner, const uint8_t *data, size_t len);
	void *owner;
};

void out_init(struct out *out, const struct disk *disk);
/* Closes it; what is in memory is forgotten. */
void out_close(struct out *out);
void out_free(struct out *out);

/* An empty file, whatever was there. ERROR_TARGET, also when another process is writing it. */
bool out_create(struct out *out, const char *path, bool summed, struct error *error) WARN_UNUSED;
/* Goes on behind `length` bytes, whose checksum is known; what is behind them is cut off. ERROR_TARGET: it is missing, or shorter. */
bool out_resume(struct out *out, const char *path, bool summed, uint64_t length, uint64_t checksum,
		struct error *error) WARN_UNUSED;

static inline uint64_t out_length(const struct out *out)
{
	return out->flushed + out->used;
}

/* Of all bytes so far, those in memory too. */
uint64_t out_checksum(const struct out *out);

void out_put(struct out *out, const void *data, size_t len);
static inline void out_put_slice(struct out *out, struct slice bytes)
{
	out_put(out, bytes.data, bytes.len);
}

/* All that was put so far is whole. */
void out_mark(struct out *out);
/* Back to the mark; the trouble is forgotten. False: the file cannot be cut. */
bool out_cut(struct out *out, struct error *error) WARN_UNUSED;
/* Back to a length at or before the mark, of a file that is not summed. */
bool out_cut_to(struct out *out, uint64_t length, struct error *error) WARN_UNUSED;

/* Memory to the file, between two events; tries again where there was trouble. False: trouble. */
bool out_flush(struct out *out) WARN_UNUSED;
/* What was flushed is on the disk when it returns. After a failure nothing can be said of what was flushed since the last success. */
bool out_sync(struct out *out, struct error *error) WARN_UNUSED;

/* Trouble that room on the disk ends. */
bool out_is_full(const struct out *out);
/* "cannot write /backup/dump.rdb.partial: No space left on device"; ERROR_TARGET. */
void out_trouble_error(const struct out *out, struct error *error);

#endif
