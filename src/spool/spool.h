/* The spool: one link's durable copy of what its source has sent, between the receiver and the applier.
 *
 * It is a linear space of bytes. Position 0 is the first byte of the snapshot (RDB), the stream follows directly behind it:
 *
 *   0                    snapshot_end                                  end
 *   | snapshot (RDB)     | command stream ............................ |
 *   ^ released up to .. applied (low-water)                             ^ receiver appends here
 *
 *   replication offset of the stream byte at position p = origin.offset + (p - snapshot_end) + 1
 *
 * The bytes lie in segment files exactly as received, with the checksums of their blocks (1 MiB) in a table at the head of each
 * file; spool/format.h describes it byte by byte. A crash leaves at most a torn tail, which opening cuts off.
 * A generation is one such history: a full resync begins a new one and drops the old.
 *
 * Threads: the receiver's thread calls the writer functions, the applier's the reader functions, each its own only; they
 * share atomic positions. spool_open() and spool_close() when neither runs. */
#ifndef KEYFERRY_SPOOL_SPOOL_H
#define KEYFERRY_SPOOL_SPOOL_H

#include "base/error.h"
#include "base/slice.h"

struct disk; /* spool/disk.h: the file system behind a table */
struct spool;

#define SPOOL_VIEW_MAX (1ULL << 31) /* the longest range that spool_view() can give contiguously */
#define SPOOL_UNKNOWN UINT64_MAX

struct spool_options {
	const char *dir;       /* exists; the spool is alone in it */
	uint64_t segment_size; /* multiple of 1 MiB, at most 256 MiB; 0: 16 MiB. A generation keeps the size it was begun with */
	uint64_t max_size;     /* bytes on disk before appending must wait; at least four segments */
	uint64_t
		keep_size; /* bytes already released that are kept, to be read again after spool_rewind(), at most half of max_size; 0: none. They go as soon as
				* appending has no room */
	uint64_t view_max; /* longest view, 0: SPOOL_VIEW_MAX; less takes less address space */
	const struct disk *disk; /* NULL: the real one */
};

/* Which history the bytes belong to. */
struct spool_origin {
	uint64_t generation; /* counts full resyncs of this link, from 1; 0: the spool is empty and has none */
	char replid[41];     /* replication id; changes when a promoted replica continues the history */
	int64_t offset;      /* offset of FULLRESYNC: the stream's first byte has offset + 1 */
};

/* Opens or creates, recovering from a torn tail. *ret_cut: bytes dropped because they were not whole (0: clean). Fails with
 * ERROR_USAGE when the directory is not writable or an option is out of its range, ERROR_INTERNAL when what lies there is no
 * spool or is damaged before its tail. The tail is what came after the last spool_flush(to_disk): it is verified here. What is
 * older is verified when it is first viewed, so that opening takes no longer the more the spool holds.
 * The state is as the last process left it, with two differences: the first position held is a segment's first (the reader
 * releases what is applied before it views), and a snapshot whose end was cut off is not complete any more. */
struct spool *spool_open(const struct spool_options *options, uint64_t *ret_cut, struct error *error) WARN_UNUSED;
void spool_close(struct spool *spool);

/* The state, from either thread. */
struct spool_origin spool_origin(const struct spool *spool);
uint64_t spool_begin_position(const struct spool *spool); /* first position still held */
uint64_t spool_end(const struct spool *spool);            /* one past the last byte appended */
uint64_t spool_snapshot_end(const struct spool *spool);   /* SPOOL_UNKNOWN while the snapshot is not complete */
uint64_t spool_disk_bytes(const struct spool *spool);
/* Offset of the stream byte at `position`; -1 while in the snapshot. */
int64_t spool_offset_of(const struct spool *spool, uint64_t position);
/* Offset up to which the source's stream is contained in what lies before `position`; -1 in the snapshot. */
static inline int64_t spool_offset_before(const struct spool *spool, uint64_t position)
{
	int64_t offset = spool_offset_of(spool, position);

	return offset < 0 ? -1 : offset - 1;
}

/* The other way round: the position up to which the stream is contained at `offset`. SPOOL_UNKNOWN: the spool's history does not begin so early. */
uint64_t spool_position_behind(const struct spool *spool, int64_t offset);

/* ---- writer: the receiver ---- */

/* Begins a new generation, higher than the last, at position 0 and drops everything held. The reader must not hold views and
 * makes no call meanwhile (the link stops its applier before). With `has_snapshot` false the stream begins at position 0.
 * Durable when it returns; after a failure all is as before. */
bool spool_start(struct spool *spool, const struct spool_origin *origin, bool has_snapshot, struct error *error) WARN_UNUSED;
/* The history goes on under another id (+CONTINUE <replid>). */
bool spool_rename_history(struct spool *spool, const char *replid, struct error *error) WARN_UNUSED;
/* How many bytes may be appended before the bound (segments are given back whole); 0: wait for on_room. */
uint64_t spool_room(const struct spool *spool);
/* Appends at most spool_room() bytes. False: the disk refused (ERROR_INTERNAL; disk full says so in its text and
 * *ret_disk_full is set): nothing was appended, try again later. */
bool spool_append(struct spool *spool, const void *data, size_t len, bool *ret_disk_full, struct error *error) WARN_UNUSED;
/* The snapshot ends at the current end; the stream follows. */
bool spool_finish_snapshot(struct spool *spool, struct error *error) WARN_UNUSED;
/* Checksums of all that was appended reach the segment's table (a process crash after this loses nothing), and, with to_disk, all
 * reaches the disk itself (nor does a power cut). Without a call the table follows by itself every 1 MiB. Once the disk has
 * failed to store what it had accepted, every later call with to_disk fails until a new generation: the system forgets such
 * bytes. */
bool spool_flush(struct spool *spool, bool to_disk, struct error *error) WARN_UNUSED;
/* Called on the reader's thread when a release made room after spool_room() had been 0. Set before threads start. */
void spool_on_room(struct spool *spool, void (*callback)(void *owner), void *owner);

/* ---- reader: the applier ---- */

/* Called on the writer's thread after bytes were appended or the snapshot's end became known; must be quick (a wake-up). Set
 * before threads start. */
void spool_on_data(struct spool *spool, void (*callback)(void *owner), void *owner);
/* The bytes [position, position + len), contiguous, len <= SPOOL_VIEW_MAX, within what is held and not released, ending within
 * SPOOL_VIEW_MAX of the released position. The pointer is stable and stays valid until spool_release() passes the range's end.
 * Views share their memory: whoever holds a pointer may read on behind its view, through all that later views have given.
 * (Unless the released position has come round the ring in between, the later view's own pointer is just that continuation.)
 * NULL + error: the mapping failed, the range is not held, or bytes from before the restart are not what was received. */
const uint8_t *spool_view(struct spool *spool, uint64_t position, uint64_t len, struct error *error) WARN_UNUSED;
/* The pages of [from, to) leave this process's memory; the bytes stay readable (they come back from the page cache).
 * What keeps resident memory bounded while a large value passes. Cheap to call often: acts on whole MiB behind `to`. */
void spool_unload(struct spool *spool, uint64_t from, uint64_t to);
/* Everything before position is applied: unmapped, and deleted from disk once there is more of it than keep_size, or no room for more. */
void spool_release(struct spool *spool, uint64_t position);
/* Of what is released and kept, nothing before position is wanted any more. To be called now and then: appending may need room. */
void spool_forget(struct spool *spool, uint64_t position);
/* What was released from position on, and is still held, is to be read again: all views end. False: it is not held. */
bool spool_rewind(struct spool *spool, uint64_t position);

#endif
