/* The file of script bodies in the link's folder: written at its end, read once at the start.
 *
 *   "keyferry scripts 1\n", then records:  kind (1 byte) | SHA1 of the body (20) | length (4, little endian) | body
 *
 * kind 'b': a body. kind 'c': the body of this SHA1, which stands before, has been called by it; length 0.
 * A record counts once it is whole and its body has that SHA1; what follows one that is not is cut off: after a crash that is the part which was not yet
 * on the disk. Replaced as a whole (written beside, synced, renamed) when much of it is of no use any more.
 * Thread: the link's applier; opening before it starts. */
#ifndef KEYFERRY_LINK_SCRIPT_FILE_H
#define KEYFERRY_LINK_SCRIPT_FILE_H

#include "base/buffer.h"
#include "base/error.h"
#include "wire/sha1.h"

struct script_record {
	bool called; /* kind 'c' */
	const uint8_t *sha;
	struct slice body;
};

struct script_file;

/* Tells of each record in order. A missing file is an empty one, and is made at the first sync. `*ret_cut`: bytes at the end that were cut off. */
struct script_file *script_file_open(const char *path, void (*each)(void *owner, const struct script_record *record), void *owner,
				     uint64_t *ret_cut, struct error *error);
void script_file_free(struct script_file *file);
uint64_t script_file_size(const struct script_file *file);
/* Bytes added since the last sync. */
uint64_t script_file_pending(const struct script_file *file);

/* Puts a record behind the others; on the disk after the next sync. */
void script_file_add(struct script_file *file, const struct script_record *record);
/* Everything added is on the disk. False: it is not (ERROR_INTERNAL); may be tried again. */
bool script_file_sync(struct script_file *file, struct error *error) WARN_UNUSED;
/* What is added from now on stands alone in the file after the next sync, whatever it holds now. */
void script_file_restart(struct script_file *file);

#endif
