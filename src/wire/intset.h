/* Intsets: small sets of integers.
 *
 *     intset = width of a number: 2, 4 or 8 (4) | count (4) | numbers, ascending          (all little-endian)
 *
 * Source: intset.c of Redis 2.8 to 8.0. Iterator: see wire/packed.h.
 * Thread: a value type of one caller. */
#ifndef KEYFERRY_WIRE_INTSET_H
#define KEYFERRY_WIRE_INTSET_H

#include "wire/packed.h"

struct intset {
	struct slice in;
	uint64_t at; /* of the next number */
	unsigned width;
	int64_t before; /* the number before it */
};

/* False: *fault. `in` is all of it, and outlives the iterator. */
bool intset_open(struct intset *set, struct slice in, struct parse_fault *fault);
enum packed_step intset_next(struct intset *set, struct packed_element *element, struct parse_fault *fault);

#endif
