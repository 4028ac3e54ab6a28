/* Listpacks, the packed form of Redis 7.0 and later, and of streams since 5.0.
 *
 *     listpack = total bytes (4) | count (2) | element ... | FF               (little-endian; count 65535: not known, to be walked)
 *     element  = code | data | length of code and data, written so that it can be read backwards (1 to 5 bytes)
 *     code     = 0nnnnnnn  number 0..127            10llllll             string of l bytes
 *                110nnnnn n  13-bit number          1110llll l           string of l bytes
 *                F1, F2, F3, F4  16, 24, 32, 64-bit number               F0 llll  string of l bytes (4, little-endian)
 *
 * Source: listpack.c of Redis 5.0 to 8.0 and its specification (antirez/listpack). Iterator: see wire/packed.h.
 * Thread: a value type of one caller. */
#ifndef KEYFERRY_WIRE_LISTPACK_H
#define KEYFERRY_WIRE_LISTPACK_H

#include "wire/packed.h"

struct listpack {
	struct slice in;
	uint64_t at;    /* of the next element */
	uint32_t count; /* as the frame says it */
	uint64_t seen;  /* elements handed out */
};

/* False: *fault. `in` is all of it, and outlives the iterator. */
bool listpack_open(struct listpack *list, struct slice in, struct parse_fault *fault);
enum packed_step listpack_next(struct listpack *list, struct packed_element *element, struct parse_fault *fault);

#endif
