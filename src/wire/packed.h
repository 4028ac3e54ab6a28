/* What the packed encodings have in common: small lists, sets, hashes and sorted sets, each as one string of bytes that holds the
 * elements one behind the other (listpack, ziplist, intset, zipmap; wire/<name>.h).
 *
 * Each has an iterator over a slice: <name>_open() looks at the frame, <name>_next() hands out one element after the other. They
 * allocate nothing, read no byte outside the slice whatever it holds, and believe no length or count that the bytes do not bear
 * out: what a server would hand out of a sound one comes out, anything else ends in PACKED_BAD.
 * Thread: none. */
#ifndef KEYFERRY_WIRE_PACKED_H
#define KEYFERRY_WIRE_PACKED_H

#include "base/slice.h"
#include "wire/parse.h"

#include <stdbool.h>

enum packed_step { PACKED_ELEMENT, PACKED_END, PACKED_BAD };

/* Servers keep what reads as an integer in binary; to their users it is the text of the number. */
struct packed_element {
	struct slice bytes; /* part of the slice that is iterated; data is NULL where it is an integer */
	int64_t integer;
};

#define PACKED_TEXT_MAX 20 /* "-9223372036854775808" */

/* The element as its users know it; an integer's digits are made in `room`. */
struct slice packed_text(struct packed_element element, char room[PACKED_TEXT_MAX]);

static inline enum packed_step packed_bad(struct parse_fault *fault, uint64_t offset, const char *what)
{
	*fault = (struct parse_fault){offset, what};
	return PACKED_BAD;
}

#endif
