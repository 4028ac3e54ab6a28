/* Zipmaps: small hashes in files that were first written before Redis 2.6.
 *
 *     zipmap = count (1; from 254 on: not known) | field | value ... | FF
 *     field  = length | bytes
 *     value  = length | unused (1) | bytes | `unused` bytes that mean nothing
 *     length = 1 byte up to 253, or FE and 4 bytes (little-endian)
 *
 * Source: zipmap.c of Redis 2.8 to 7.0. Iterator: see wire/packed.h; fields and values take turns.
 * Thread: a value type of one caller. */
#ifndef KEYFERRY_WIRE_ZIPMAP_H
#define KEYFERRY_WIRE_ZIPMAP_H

#include "wire/packed.h"

struct zipmap {
	struct slice in;
	uint64_t at;   /* of the next field or value */
	uint64_t seen; /* of both */
};

/* False: *fault. `in` is all of it, and outlives the iterator. */
bool zipmap_open(struct zipmap *map, struct slice in, struct parse_fault *fault);
enum packed_step zipmap_next(struct zipmap *map, struct packed_element *element, struct parse_fault *fault);

#endif
