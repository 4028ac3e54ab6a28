/* What lies in a spool's directory, byte by byte.
 *
 *   state                          which history the bytes belong to
 *   00000003-000000000017.segment  generation 3, segment 17: positions [17 * size, 18 * size)
 *
 * All integers are little-endian. "check" is always XXH3 (64 bits, seed 0).
 *
 * state: two slots of 4096 bytes, written in turn and synced each time, so that a torn write leaves the other one, and that
 * a full disk cannot keep the spool from recording where it stands. The valid slot with the higher sequence counts.
 *     0  16  "keyferry spool\n\0"
 *    16   4  version of this format: 1
 *    20   4  0
 *    24   8  sequence: grows by one with each write; slot = sequence % 2
 *    32   8  segment size: a multiple of 1 MiB, at most 256 MiB
 *    40   8  generation; 0: the spool has never been started
 *    48   8  origin.offset, signed
 *    56   8  end position of the snapshot; 0: there is none; all ones: not complete
 *    64  48  replication id, filled up with zeros
 *   112   8  0
 *   120   8  check of bytes 0..119
 *   128      zeros up to the slot's end
 *
 * segment: a head of 64 KiB (a multiple of every page size, so that what follows can be mapped), then the bytes as received.
 *     0  16  "keyferry bytes\n\0"
 *    16   4  version of this format: 1
 *    20   4  0
 *    24   8  segment size
 *    32   8  generation
 *    40   8  number
 *    48   8  0
 *    56   8  check of bytes 0..55
 *  4096  8192  records, first of each block's two
 * 16384  8192  records, second of each block's two
 * 65536       the bytes
 *
 * record: 32 bytes, all zeros where never written. Block b of a segment (1 MiB) has the records at 4096 + 32 * b and
 * 16384 + 32 * b. A block that grows is recorded over and over in one of them, until that is known to be on the disk; from then
 * on in the other. So whatever a power cut does to the newer record, the one that was on the disk is untouched; and the table is
 * a fixed few KiB, however often a slow stream is flushed. The longer one that is whole and true counts.
 *     0   8  end: the record covers [start of the block, end)
 *     8   8  XXH3 of these bytes
 *    16   8  synced: everything before this position was on the disk before this record was written. What lies behind it a power
 *            cut may have torn; a fault before it is damage
 *    24   8  check of 40 bytes: the 24 bytes before, generation, start position of the block */
#ifndef KEYFERRY_SPOOL_FORMAT_H
#define KEYFERRY_SPOOL_FORMAT_H

#include "spool/spool.h"

#define FORMAT_BLOCK (1ULL << 20)
#define FORMAT_BLOCKS_MAX 256 /* in a segment: the tables have room for these */
#define FORMAT_SEGMENT_MAX (FORMAT_BLOCKS_MAX * FORMAT_BLOCK)
#define FORMAT_HEAD 65536 /* where a segment's bytes begin */
#define FORMAT_HEAD_USED 64
#define FORMAT_RECORD 32
#define FORMAT_STATE 128
#define FORMAT_STATE_SLOT 4096
#define FORMAT_POSITION_MAX (1ULL << 62)

#define FORMAT_STATE_NAME "state"
#define FORMAT_NAME_MAX 64

struct format_state {
	uint64_t sequence;
	uint64_t segment_size;
	uint64_t snapshot_end;
	struct spool_origin origin;
};

struct format_head {
	uint64_t segment_size;
	uint64_t generation;
	uint64_t number;
};

struct format_record {
	uint64_t end;
	uint64_t sum;
	uint64_t synced;
};

/* The get functions answer false for anything that is not whole and plausible; *ret is untouched then. */
void format_put_state(const struct format_state *state, uint8_t out[FORMAT_STATE]);
bool format_get_state(const uint8_t in[FORMAT_STATE], struct format_state *ret);

void format_put_head(const struct format_head *head, uint8_t out[FORMAT_HEAD_USED]);
bool format_get_head(const uint8_t in[FORMAT_HEAD_USED], struct format_head *ret);

void format_put_record(const struct format_record *record, uint64_t generation, uint64_t block, uint8_t out[FORMAT_RECORD]);
bool format_get_record(const uint8_t in[FORMAT_RECORD], uint64_t generation, uint64_t block, struct format_record *ret);

/* Where in the file record `which` (0, 1) of the segment's block `index` lies. */
uint64_t format_record_at(unsigned which, uint64_t index);

void format_put_name(uint64_t generation, uint64_t number, char out[FORMAT_NAME_MAX]);
bool format_get_name(const char *name, uint64_t *ret_generation, uint64_t *ret_number);

bool format_segment_size_fits(uint64_t size);
bool format_origin_fits(const struct spool_origin *origin);

#endif
