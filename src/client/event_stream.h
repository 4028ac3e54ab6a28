/* The reader of server-sent events (WHATWG HTML, 9.2.6), fed with bytes as they come.
 *
 *     event: state
 *     id: 12-34
 *     data: {"state": "streaming"}
 *     (an empty line: that was one)
 *
 * Lines end with LF, CR or both; lines that begin with a colon are comments, by which the server shows that it lives. What is no event yet is bounded.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_CLIENT_EVENT_STREAM_H
#define KEYFERRY_CLIENT_EVENT_STREAM_H

#include "base/buffer.h"

#define EVENT_STREAM_NAME_MAX 64    /* of an event's name; a longer one is cut off */
#define EVENT_STREAM_ID_MAX 64      /* a longer id is not kept: it could not be told again */
#define EVENT_STREAM_MAX (4u << 20) /* bytes of one event's data, or of one line */

struct event_stream {
	struct buffer line, data;
	char name[EVENT_STREAM_NAME_MAX];
	char id[EVENT_STREAM_ID_MAX]; /* the last one that came with a whole event, "" for none: for Last-Event-ID */
	char next_id[EVENT_STREAM_ID_MAX];
	uint32_t retry_ms; /* what the server asks for before a client comes again; 0: nothing */
	bool has_data, after_cr, begun;
};

/* `name` is "message" where the server gives none; `data` lives until the function returns. False: no more. */
typedef bool event_stream_take(void *owner, const char *name, struct slice data);

void event_stream_init(struct event_stream *stream);
void event_stream_free(struct event_stream *stream);
/* Another connection: what was half an event is forgotten, the id is kept. */
void event_stream_restart(struct event_stream *stream);
/* False with an error: an event is too large; without (kind ERROR_NONE): `take` wants no more. */
bool event_stream_feed(struct event_stream *stream, struct slice bytes, event_stream_take *take, void *owner,
		       struct error *error) WARN_UNUSED;

#endif
