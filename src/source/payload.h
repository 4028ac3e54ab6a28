/* The payload of a full resync behind its header line: the RDB, taken out of its two framings, its checksum verified on the way.
 *
 *   $<length>\r\n        <length bytes of RDB>                  from a file of the master
 *   $EOF:<40 bytes>\r\n  <RDB of unknown length> <the 40 bytes>  "diskless": straight from the master's child process
 *
 * In the second form a read may end inside the mark, so bytes that may turn out to be its beginning are held back until that is
 * decided; what is handed out is RDB and nothing else. The mark is 160 random bits: its first occurrence is the end.
 * Format facts: replication.c of Redis (sendBulkToSlave, rdbSaveRioWithEOFMark) and rdb.c (rdbSaveRio: the last 8 bytes are the
 * CRC-64, little-endian, of all before them; zero when the master runs with rdbchecksum no).
 * Pure: no I/O, any splitting of the input gives the same bytes. Thread: owned by one. */
#ifndef KEYFERRY_SOURCE_PAYLOAD_H
#define KEYFERRY_SOURCE_PAYLOAD_H

#include "base/slice.h"

#define PAYLOAD_MARK 40
#define PAYLOAD_RDB_MIN 18 /* magic and version 9, EOF 1, checksum 8 */

enum payload_step {
	PAYLOAD_MORE,  /* all input is taken; more is needed */
	PAYLOAD_BYTES, /* *ret_bytes of the RDB */
	PAYLOAD_END,   /* the RDB is complete; checksum right, or not there */
	PAYLOAD_WRONG, /* the RDB is complete, and its checksum is wrong (or it is too short to be one) */
};

struct payload {
	bool marked;
	uint64_t remaining; /* length form */
	uint8_t mark[PAYLOAD_MARK];
	size_t held;                      /* mark form: so many bytes, equal to the mark's first, are held back */
	uint8_t window[2 * PAYLOAD_MARK]; /* where held bytes and the next few stand together */
	uint64_t total;                   /* RDB bytes handed out so far */
	uint64_t sum;                     /* CRC-64 of all of them but the last `trailing` */
	uint8_t trailer[8];
	size_t trailing;
};

void payload_begin_length(struct payload *payload, uint64_t length);
void payload_begin_marked(struct payload *payload, const uint8_t mark[PAYLOAD_MARK]);

/* Takes *ret_taken bytes of `in`. To be called again, with the rest, until it answers MORE or the payload is over; an empty `in`
 * is fine. *ret_bytes points into `in` or into the payload and is valid until the next call. */
enum payload_step payload_next(struct payload *payload, struct slice in, size_t *ret_taken, struct slice *ret_bytes);

/* After END or WRONG: the two sums, for a message. The stored one is 0 when there was none. */
uint64_t payload_sum_stored(const struct payload *payload);

#endif
