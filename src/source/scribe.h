/* The scribe: writes what was read of a source's keys into the spool, as a master would have sent it.
 *
 *   the first pass     an RDB          | magic | libraries | SELECTDB, expiry, type, key, value ... | EOF |
 *   what follows       commands        SELECT, RESTORE key ttl payload REPLACE [ABSTTL], DEL key
 *
 * An answer to DUMP is a value's type, its bytes as in an RDB, and a footer of 10 bytes (wire/rdb.h), so nothing is encoded anew. The RDB's version is
 * that of the first footer; its checksum is left out (eight zero bytes), for it is nobody's but our own.
 * What is put waits in memory until scribe_flush() has brought all of it into the spool; the names of the keys reach the register before.
 * A large value goes into a scratch file as it comes, and into the spool when it is whole: a lost connection leaves nothing half in the spool, and no value
 * stands in memory.
 * Thread: the source's loop. */
#ifndef KEYFERRY_SOURCE_SCRIBE_H
#define KEYFERRY_SOURCE_SCRIBE_H

#include "source/intake.h"
#include "source/names.h"

#define SCRIBE_FOOTER 10 /* of an answer to DUMP: RDB version and CRC-64 */

struct scribe;

/* `dir`: where the scratch file is made, without a name. `names` outlives it. */
struct scribe *scribe_new(struct spool *spool, struct names *names, const char *dir, void (*note)(void *owner, int log_level, const char *text),
			  void *owner);
void scribe_free(struct scribe *scribe);

/* Begins a generation; with a snapshot, or with commands from the first byte on. May be repeated until HOLD_NONE. */
enum hold scribe_begin(struct scribe *scribe, bool has_snapshot);
bool scribe_in_snapshot(const struct scribe *scribe);
/* The answer to FUNCTION DUMP; in a snapshot, before the first key. */
bool scribe_functions(struct scribe *scribe, struct slice payload, struct error *error) WARN_UNUSED;
/* A key and the answer to its DUMP. expire_at_ms: Unix ms, or EXPIRE_NEVER (-1). False: it is none (ERROR_SOURCE); nothing was put. */
bool scribe_key(struct scribe *scribe, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice payload, struct error *error) WARN_UNUSED;
/* Not in a snapshot. */
void scribe_gone(struct scribe *scribe, uint32_t db, struct slice key);
/* The same as scribe_key() in pieces: begin, pieces up to the total, end. A begin throws away what was not ended. After the end nothing may be put before
 * scribe_flush() has answered HOLD_NONE. False: the disk (ERROR_INTERNAL), or no value. */
bool scribe_large_begin(struct scribe *scribe, struct error *error) WARN_UNUSED;
bool scribe_large_piece(struct scribe *scribe, struct slice bytes, struct error *error) WARN_UNUSED;
bool scribe_large_end(struct scribe *scribe, uint32_t db, struct slice key, int64_t expire_at_ms, struct error *error) WARN_UNUSED;
uint64_t scribe_large_size(const struct scribe *scribe); /* so far */
/* The snapshot is over once this is flushed. */
void scribe_end_snapshot(struct scribe *scribe);

size_t scribe_waiting(const struct scribe *scribe); /* bytes in memory */
/* Everything that was put into the spool; to be repeated until HOLD_NONE. */
enum hold scribe_flush(struct scribe *scribe);
/* The offset (spool/spool.h) of the last byte in the spool; -1 in a snapshot. */
int64_t scribe_offset(const struct scribe *scribe);
/* In the system's hands, or on the disk; once in a while. */
void scribe_sync(struct scribe *scribe, bool to_disk);

#endif
