/* The file of the handover: which link has each slot of the source, across restarts.
 *
 *   keyferry slots 1
 *   0-5460 0              slots, name of the holder
 *   5461-10922 1
 *   93 1 0                ... and of the exporter, while the slot moves; later lines overrule earlier ones
 *   job 6fb33a20930014e7 7-9   the atomic migration that has brought them there, by a hash of its name
 *   relied 0 4711         others have gone on behind that offset of a link's source
 *
 * It is written whole at the start, and a line is added for each change; what a crash has cut off at its end was not acted upon.
 * Losing it does little harm: RESTORE-ASKING in a stream tells of a move too (docs/delivery.md).
 * Thread: one at a time. */
#ifndef KEYFERRY_LINK_HANDOVER_FILE_H
#define KEYFERRY_LINK_HANDOVER_FILE_H

#include "base/error.h"

#include <stdint.h>

struct handover_file;

/* `path` need not exist. */
struct handover_file *handover_file_open(const char *path, struct error *error) WARN_UNUSED;
void handover_file_close(struct handover_file *file);

/* What an earlier run has left, line by line, slot by slot; what makes no sense is passed over. `exporter` may be NULL. */
void handover_file_read(const struct handover_file *file,
			void (*each)(void *owner, uint16_t slot, const char *holder, const char *exporter),
			void (*job)(void *owner, uint16_t slot, uint64_t hash),
			void (*relied)(void *owner, const char *name, int64_t offset), void *owner);
/* Writes it anew; a slot without a holder (NULL), and a job of 0, is left out; `relied` is asked until it returns false, and an offset below 0 is left out. On the disk when it returns. */
bool handover_file_write(struct handover_file *file,
			 void (*tell)(void *owner, uint16_t slot, const char **ret_holder, const char **ret_exporter),
			 uint64_t (*job)(void *owner, uint16_t slot),
			 bool (*relied)(void *owner, uint32_t i, const char **ret_name, int64_t *ret_offset), void *owner,
			 struct error *error) WARN_UNUSED;
/* Adds a change; `sync`: it is on the disk when it returns. */
bool handover_file_add(struct handover_file *file, uint16_t slot, const char *holder, const char *exporter, bool sync,
		       struct error *error) WARN_UNUSED;

/* Adds what has brought it; it comes to the disk with the next change. */
void handover_file_job(struct handover_file *file, uint16_t slot, uint64_t hash);
/* Adds that others have gone on behind the link's offset; it comes to the disk with the next change. */
void handover_file_rely(struct handover_file *file, const char *name, int64_t offset);

#endif
