/* RESP, the Redis protocol: commands as a master streams them, replies as servers give them.
 * Format: "RESP protocol spec" of the Redis documentation; RESP2 everywhere, RESP3 types are understood in replies.
 * Thread: none; a parser object belongs to one caller. */
#ifndef KEYFERRY_WIRE_RESP_H
#define KEYFERRY_WIRE_RESP_H

#include "base/buffer.h"
#include "base/slice.h"
#include "wire/parse.h"

#define RESP_ARGUMENTS_MAX (1024 * 1024 * 8) /* more arguments in one command is BAD; servers stop at 1024*1024 by default */
#define RESP_BULK_MAX (1LL << 40)            /* longer announced bulks are BAD */
#define RESP_LINE_MAX (64 * 1024)            /* longer inline commands, simple strings and errors are BAD */
#define RESP_DEPTH_MAX 32                    /* replies nested deeper are BAD */

/* ---- commands ----
 *
 * Parses "*<n>\r\n$<len>\r\n<bytes>\r\n..." (and the inline form, "PING\r\n") from the start of a byte range that grows.
 * The parser remembers how far it got, so a command of a million arguments or 300 MB that arrives in pieces
 * costs no second scan: call resp_command_parse() again with the SAME start (the memory may have moved) and more
 * bytes. A bare "\r\n" or "\n" between commands (a master's keep-alive) is a command of zero arguments.
 * Inline arguments are split at blanks; quotes and bytes that are not printable ASCII are BAD there: no server sends them. */
struct resp_command_parser {
	struct slice *argv; /* output, valid until the next parse; internal before that: the arguments so far */
	uint32_t room;
	uint32_t announced; /* arguments announced; 0 before the header is in */
	uint32_t done;
	uint64_t at;    /* first byte not yet taken */
	uintptr_t base; /* where the input was at the last call: argv moves with it */
	bool header;
};

void resp_command_parser_init(struct resp_command_parser *parser);
void resp_command_parser_free(struct resp_command_parser *parser);
/* Forgets a half-read command: the next parse starts afresh. Done by itself after OK and BAD. */
void resp_command_parser_reset(struct resp_command_parser *parser);

/* OK: *argc, *argv (slices into `in`, valid until the next call on this parser) and *taken are set.
 * MORE: *need is the smallest in.len worth calling again with (always > in.len).
 * BAD: *fault. */
enum parse resp_command_parse(struct resp_command_parser *parser, struct slice in, uint32_t *argc, struct slice **argv,
			      uint64_t *taken, uint64_t *need, struct parse_fault *fault);

/* ---- replies ---- */

enum resp_type {
	RESP_SIMPLE = '+',
	RESP_ERROR = '-',
	RESP_INTEGER = ':',
	RESP_BULK =
		'$', /* null bulk ($-1), RESP3 null (_) and null array (*-1) are RESP_NULL; verbatim text without its "txt:" */
	RESP_ARRAY = '*', /* RESP3 sets and pushes too; a RESP3 map is an array of 2n; attributes (|) are passed over */
	RESP_NULL = '_',
	RESP_DOUBLE = ',', /* text form kept */
	RESP_BOOLEAN = '#',
};

/* One value of a reply, in a flat array in document order: an array is followed by its members. */
struct resp_node {
	enum resp_type type;
	uint32_t count;    /* RESP_ARRAY: members */
	uint32_t span;     /* nodes that this value occupies, itself included: node + span is the next sibling */
	int64_t integer;   /* RESP_INTEGER, RESP_BOOLEAN */
	struct slice text; /* all but arrays: the bytes, into `in` */
};

/* Reads one whole reply into nodes[0..max). BAD also when it has more nodes or is nested deeper than RESP_DEPTH_MAX. */
enum parse resp_reply_parse(struct slice in, struct resp_node *nodes, uint32_t max, uint64_t *taken, struct parse_fault *fault);

/* The fast path: skips one whole reply and gives its outermost type and first line ("OK", "MOVED 3999 ...", the number, a
 * bulk's bytes). For an array, whether any direct or nested member is an error, and the first such error's text. */
struct resp_skim {
	enum resp_type type;
	struct slice text;    /* of the outermost value; empty for arrays */
	uint32_t count;       /* RESP_ARRAY: members */
	bool has_error;       /* an error inside an array */
	uint32_t error_index; /* top-level member in which the first error stands */
	struct slice first_error;
	uint64_t taken;
};
enum parse resp_reply_skim(struct slice in, struct resp_skim *ret, struct parse_fault *fault);

/* Member `index` of an array node; NULL when there is none. */
const struct resp_node *resp_member(const struct resp_node *array, uint32_t index);

/* ---- writing ---- */

/* Appends "*<n>\r\n$..." of argc arguments. False: buffer's max. */
bool resp_command_write(struct buffer *out, uint32_t argc, const struct slice *argv) WARN_UNUSED;
/* The same with NUL-terminated arguments, ended by NULL: resp_command_write_strings(&b, "AUTH", "secret", NULL). */
bool resp_command_write_strings(struct buffer *out, ...) __attribute__((sentinel)) WARN_UNUSED;

/* Writes "*<n>\r\n" / "$<n>\r\n" at out (32 bytes are enough); returns the length. */
size_t resp_put_array_header(uint8_t *out, uint64_t count);
size_t resp_put_bulk_header(uint8_t *out, uint64_t len);
/* Writes the decimal digits of n (20 bytes are enough, 21 for negative); returns the length. */
size_t resp_put_uint64(uint8_t *out, uint64_t n);
size_t resp_put_int64(uint8_t *out, int64_t n);

#endif
