/* Finds where a value or an opcode's operands end, in one pass over bytes that arrive in pieces, without building anything.
 *
 * A layout is a small constant program (string; number; eight bytes; for each of n: ...). The walk is its program counter, the
 * offset reached and the counts left of the open loops: fixed size, whatever the value's size. It resumes at any byte; an item's
 * own header (at most 19 bytes) is the only thing it may look at twice, and the bytes of strings are stepped over unread.
 * Thread: a value type of one caller. */
#ifndef KEYFERRY_WIRE_RDB_WALK_H
#define KEYFERRY_WIRE_RDB_WALK_H

#include "base/slice.h"
#include "wire/parse.h"

#define RDB_WALK_DEPTH 3 /* a stream: groups, their consumers, their pending entries */

struct rdb_walk {
	const uint8_t *step; /* the next instruction */
	uint64_t at;         /* offset of the next byte to look at; beyond in.len while a string is stepped over */
	uint64_t least;      /* bytes that the iterations still to come of all open loops take at the very least */
	unsigned depth;
	struct {
		const uint8_t *body;
		uint64_t left;  /* iterations after the present one */
		uint64_t least; /* bytes of one iteration, at the very least */
	} loop[RDB_WALK_DEPTH];
};

/* Begins before the value's first byte after type and key (`at`: its offset in the slices to come). False: the type has no known
 * layout, see rdb_type_refusal(). */
bool rdb_walk_value(struct rdb_walk *walk, uint8_t type, bool valkey, uint64_t at);
/* The same for what follows an opcode that stands by itself: SELECTDB, RESIZEDB, AUX, MODULE_AUX, FUNCTION2, SLOT_IMPORT. */
bool rdb_walk_opcode(struct rdb_walk *walk, uint8_t opcode, bool valkey, uint64_t at);

/* `in` has the same first byte every time, and grows. OK: the end is at walk->at. MORE: *need is the smallest in.len worth
 * calling again with, a lower bound of the value's end; bytes below min(walk->at, in.len) are not looked at again. BAD: *fault,
 * its offset counted from in.data. */
enum parse rdb_walk_run(struct rdb_walk *walk, struct slice in, uint64_t *need, struct parse_fault *fault);

#endif
