/* The writer's side of the spool: bytes into segment files, and the records that say what is whole.
 * Thread: the receiver's. */
#ifndef KEYFERRY_SPOOL_WRITER_H
#define KEYFERRY_SPOOL_WRITER_H

#include "spool/recovery.h"

struct writer {
	const struct segment_store *store;
	int file;              /* -1: none open */
	uint64_t number;       /* of the open file */
	uint64_t next_segment; /* number of the first that does not exist yet */
	uint64_t end;
	uint64_t recorded;        /* everything before has a record */
	uint64_t synced;          /* everything before is on the disk */
	unsigned next_record;     /* which of the current block's two records is written; the other one is on the disk */
	bool record_pending;      /* it was written, and is not on the disk yet */
	bool new_names;           /* files were made since the directory was synced */
	bool lost_bytes;          /* a sync failed: what it was to store may be gone for good */
	XXH3_state_t *hash;       /* the bytes of the block that the end is in */
	XXH3_state_t *hash_ahead; /* the same with those being appended */
};

/* The store is filled in before the writer is used; begins with nothing at position 0. False: no memory; writer_free() all the
 * same. */
bool writer_init(struct writer *writer, const struct segment_store *store) WARN_UNUSED;
void writer_free(struct writer *writer);
/* A new generation begins, with nothing at position 0. */
void writer_restart(struct writer *writer);
/* Goes on behind what recovery found; writer->hash has taken in the last block. */
void writer_resume(struct writer *writer, const struct recovery *found);

/* As spool_append() and spool_flush(), which see. begin: what lies before is released, its files may be gone. */
bool writer_append(struct writer *writer, const void *data, size_t len, bool *ret_disk_full, struct error *error) WARN_UNUSED;
bool writer_flush(struct writer *writer, uint64_t begin, bool to_disk, struct error *error) WARN_UNUSED;

#endif
