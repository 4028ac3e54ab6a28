/* The snapshot walk: RDB bytes to events, finding each value's extent without building the value.
 *
 * `in` always begins at the event's first byte and may grow between calls; the walk remembers how far it got inside a value,
 * so a value of any size costs one pass. One event is a whole key: EXPIRETIME, IDLE, FREQ, SLOT_INFO opcodes before it
 * included. SELECTDB, RESIZEDB, AUX and the like come as EVENT_PROGRESS, function libraries as EVENT_FUNCTION, AUX "lua" as
 * EVENT_SCRIPT, and EOF with its checksum as EVENT_SNAPSHOT_END (the checksum itself is verified by whoever sees all bytes in
 * order: the receiver, or `keyferry rdb`). Keys are handed out plain: an integer- or LZF-encoded key is decoded into memory of
 * the decoder; so are a library, a script and an AUX field, whose name and value a PROGRESS event carries in `key` and
 * `value`; all PROGRESS events have their bytes in `raw`. Events other than keys have the opcode in `type` (0: the magic). An expiry in seconds, of very old files, is handed
 * out in milliseconds.
 * Formats: the RDB versions 6 to 12 of Redis and 80 of Valkey 9 (see wire/rdb.h for the sources of each fact). Files of other
 * versions are read as far as they hold only opcodes and value types of these.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_DECODE_SNAPSHOT_H
#define KEYFERRY_DECODE_SNAPSHOT_H

#include "base/error.h"
#include "decode/event.h"
#include "wire/parse.h"

struct snapshot_decoder;

struct snapshot_decoder *snapshot_decoder_new(void);
void snapshot_decoder_free(struct snapshot_decoder *decoder);

/* What has to be kept to go on in the middle: taken after an event, given to a new decoder before its first. */
struct snapshot_place {
	uint32_t rdb_version; /* 0: at the very beginning */
	bool valkey;          /* magic VALKEY */
	uint32_t db;
};
struct snapshot_place snapshot_decoder_place(const struct snapshot_decoder *decoder);
void snapshot_decoder_resume(struct snapshot_decoder *decoder, struct snapshot_place place);

/* OK: *ret is filled; the next call begins at ret->end. A key event's value lives as long as `in`'s memory, its key until the
 * next call; key and value of all other events until the next call.
 * MORE: call again with in.len >= *need; where nothing more can come, the snapshot is cut off. *scanned: bytes below
 * in.data + *scanned are not looked at again by this walk (they may be unloaded).
 * BAD: *error names position, opcode or type, and the key where it is known (kind ERROR_SOURCE). */
enum parse snapshot_decode(struct snapshot_decoder *decoder, struct slice in, uint64_t position, struct event *ret,
			   uint64_t *need, uint64_t *scanned, struct error *error);

#endif
