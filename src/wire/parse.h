/* What every parser of foreign bytes answers.
 *
 * Parsers take a slice, never read past it, and answer OK (with how much they took), MORE (a valid beginning;
 * call again with more bytes) or BAD (no continuation can make it valid; they say at which byte and why).
 * Thread: none. */
#ifndef KEYFERRY_WIRE_PARSE_H
#define KEYFERRY_WIRE_PARSE_H

#include <stdint.h>

enum parse { PARSE_OK, PARSE_MORE, PARSE_BAD };

/* Where and why BAD. */
struct parse_fault {
	uint64_t offset;  /* of the offending byte, from the start of the slice given to the parser */
	const char *what; /* static text, lower case: "bulk length is negative" */
};

#endif
