/* Ziplists, the packed form up to Redis 6.2.
 *
 *     ziplist = total bytes (4) | offset of the last element (4) | count (2) | element ... | FF
 *                                                       (little-endian; count 65535: not known, to be walked)
 *     element = length of the element before it (1 byte, or FE and 4 bytes) | code | data
 *     code    = 00llllll, 01llllll l        string of l bytes (big-endian)
 *               80 llll                     string of l bytes (big-endian)
 *               C0, D0, E0, F0, FE          16, 32, 64, 24, 8-bit number (little-endian)
 *               F1 to FD                    number 0 to 12
 *
 * Source: ziplist.c of Redis 2.8 to 7.0. Iterator: see wire/packed.h.
 * Thread: a value type of one caller. */
#ifndef KEYFERRY_WIRE_ZIPLIST_H
#define KEYFERRY_WIRE_ZIPLIST_H

#include "wire/packed.h"

struct ziplist {
	struct slice in;
	uint64_t at;     /* of the next element */
	uint64_t before; /* length of the element before it */
	uint64_t last;   /* offset of the last one, as the frame says it */
	uint32_t count;  /* likewise */
	uint64_t seen;
};

/* False: *fault. `in` is all of it, and outlives the iterator. */
bool ziplist_open(struct ziplist *list, struct slice in, struct parse_fault *fault);
enum packed_step ziplist_next(struct ziplist *list, struct packed_element *element, struct parse_fault *fault);

#endif
