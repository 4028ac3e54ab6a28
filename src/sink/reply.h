/* The reply reader: counts replies off a connection without keeping them.
 *
 * A reply may be a 500 MB bulk (GETSET) or an array of a million members (LPOP with a count); all that matters here is that it is one reply, whether it
 * is or holds an error, and that error's text. So bulks are skipped as they pass and memory is one line.
 * Format: RESP2, and the RESP3 types that carry a length or a count.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_REPLY_H
#define KEYFERRY_SINK_REPLY_H

#include "wire/resp.h"

#include <sys/types.h>

#define REPLY_TEXT_MAX 512

struct reply {
	enum resp_type type;  /* of the outermost value */
	uint32_t count;       /* array: members */
	bool has_error;       /* it is an error, or an array that holds one */
	uint32_t error_index; /* array: the top-level member with the first error */
	size_t text_len;
	char text[REPLY_TEXT_MAX]; /* simple string, number, or the (first) error's text; cut, NUL-terminated */
};

struct reply_reader {
	uint64_t skip;                 /* bytes of a bulk still to pass */
	uint32_t depth;                /* 0: between replies */
	uint64_t left[RESP_DEPTH_MAX]; /* members still to come on each level */
	uint32_t top_done;             /* members of the outermost array already complete */
	struct reply reply;            /* being put together */
	/* Told of each error inside an array, for the reply keeps the first one only; NULL: nobody. `member`: of the outermost array. */
	void (*member_error)(void *owner, uint32_t member, const char *text);
	void *owner;
};

/* Reads on. Returns the bytes taken; *complete: a whole reply is in reader->reply. Call again with what is left. When it takes
 * less than everything and nothing is complete, it needs the rest of a line. -1: not RESP. */
ssize_t reply_reader_feed(struct reply_reader *reader, struct slice in, bool *complete);

#endif
