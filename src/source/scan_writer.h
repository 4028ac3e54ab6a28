/* The scan_writer: writes what was read of a source's keys into the spool, as a master would have sent it.
 *
 *   the first pass     an RDB          | magic | libraries | SELECTDB, expiry, type, key, value ... | EOF |
 *   what follows       commands        SELECT, RESTORE key ttl payload REPLACE [ABSTTL], DEL key
 *
 * An answer to DUMP is a value's type, its bytes as in an RDB, and a footer of 10 bytes (wire/rdb.h), so nothing is encoded anew. The RDB's version is
 * that of the first footer; its checksum is left out (eight zero bytes), for it is nobody's but our own.
 * What is put waits in memory until scan_writer_flush() has brought all of it into the spool; the names of the keys reach the register before.
 * A large value goes into a scratch file as it comes, and into the spool when it is whole: a lost connection leaves nothing half in the spool, and no value
 * stands in memory.
 * Thread: the source's loop. */
#ifndef KEYFERRY_SOURCE_SCAN_WRITER_H
#define KEYFERRY_SOURCE_SCAN_WRITER_H

#include "source/intake.h"
#include "source/names.h"

#define SCAN_WRITER_FOOTER 10 /* of an answer to DUMP: RDB version and CRC-64 */

struct scan_writer;

/* `dir`: where the scratch file is made, without a name. `names` and `events` outlive it. */
struct scan_writer *scan_writer_new(struct spool *spool, struct names *names, const char *dir, const struct intake_events *events,
				    void *owner);
void scan_writer_free(struct scan_writer *scan_writer);

/* Begins a generation; with a snapshot, or with commands from the first byte on. May be repeated until HOLD_NONE. */
enum hold scan_writer_begin(struct scan_writer *scan_writer, bool has_snapshot);
bool scan_writer_in_snapshot(const struct scan_writer *scan_writer);
/* The answer to FUNCTION DUMP; in a snapshot, before the first key. */
bool scan_writer_functions(struct scan_writer *scan_writer, struct slice payload, struct error *error) WARN_UNUSED;
/* A key and the answer to its DUMP. expire_at_ms: Unix ms, or EXPIRE_NEVER (-1). False: it is none (ERROR_SOURCE); nothing was put. */
bool scan_writer_key(struct scan_writer *scan_writer, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice payload,
		     struct error *error) WARN_UNUSED;
/* Not in a snapshot. */
void scan_writer_gone(struct scan_writer *scan_writer, uint32_t db, struct slice key);
/* The same as scan_writer_key() in pieces: begin, pieces up to the total, end. A begin throws away what was not ended. After the end nothing may be put before
 * scan_writer_flush() has answered HOLD_NONE. False: the disk (ERROR_INTERNAL), or no value. */
bool scan_writer_large_begin(struct scan_writer *scan_writer, struct error *error) WARN_UNUSED;
bool scan_writer_large_piece(struct scan_writer *scan_writer, struct slice bytes, struct error *error) WARN_UNUSED;
bool scan_writer_large_end(struct scan_writer *scan_writer, uint32_t db, struct slice key, int64_t expire_at_ms,
			   struct error *error) WARN_UNUSED;
uint64_t scan_writer_large_size(const struct scan_writer *scan_writer); /* so far */
/* The snapshot is over once this is flushed. */
void scan_writer_end_snapshot(struct scan_writer *scan_writer);

size_t scan_writer_waiting(const struct scan_writer *scan_writer); /* bytes in memory */
/* Everything that was put into the spool; to be repeated until HOLD_NONE. */
enum hold scan_writer_flush(struct scan_writer *scan_writer);
/* The offset (spool/spool.h) of the last byte in the spool; -1 in a snapshot. */
int64_t scan_writer_offset(const struct scan_writer *scan_writer);
/* In the system's hands, or on the disk; once in a while. */
void scan_writer_sync(struct scan_writer *scan_writer, bool to_disk);

#endif
