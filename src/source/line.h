/* A line: a connection for requests that are sent ahead and whose answers may be as long as a value is.
 *
 * Beside peer/client.h, which keeps each answer whole: a bulk longer than LINE_WHOLE_MAX is handed out in pieces, as it comes, and reading can be paused. What
 * was not asked for (messages of a subscription) comes like an answer.
 * Requests wait until the line is logged in. Who owns it counts the answers.
 * Within the callbacks the line must not be freed, but for `lost`.
 * Thread: its loop's. */
#ifndef KEYFERRY_SOURCE_LINE_H
#define KEYFERRY_SOURCE_LINE_H

#include "peer/client.h"

#define LINE_WHOLE_MAX (1u << 20)

struct line;

struct line_events {
	void (*ready)(void *owner); /* logged in; what is sent from now on goes at once */
	/* One answer. The nodes and their texts live during the call. */
	void (*answer)(void *owner, const struct resp_node *nodes, uint32_t count);
	/* A piece of a bulk of `total` bytes, `left` of them are still to come: the last one has 0. NULL: no long ones are expected. */
	void (*piece)(void *owner, uint64_t total, struct slice bytes, uint64_t left);
	/* All answers that were there are handed out. May be NULL. */
	void (*idle)(void *owner);
	/* The connection is of no use any more; to be freed. `refused`: the server does not let this user in. */
	void (*lost)(void *owner, const struct error *error, bool refused);
};

struct line *line_new(struct loop *loop, const struct client_options *options, const struct line_events *events, void *owner);
void line_free(struct line *line); /* NULL is fine */
bool line_ready(const struct line *line);
const char *line_peer(const struct line *line);
/* Behind what was sent before. */
void line_send(struct line *line, uint32_t argc, const struct slice *argv);
/* Requests that are encoded already. */
void line_send_bytes(struct line *line, struct slice requests);
void line_send_strings(struct line *line, ...) __attribute__((sentinel));
/* Nothing is handed out, and soon nothing read. */
void line_pause(struct line *line, bool paused);
/* When it was heard of last (clock_monotonic_us()): a paused line is not heard of. */
uint64_t line_heard_us(const struct line *line);

#endif
