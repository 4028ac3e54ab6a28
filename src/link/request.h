/* A request: commands made by keyferry, as pieces of bytes to be handed to the sink.
 *
 * Short arguments are copied, long ones referenced: they stay where they are until the request is answered. The request itself likewise.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_REQUEST_H
#define KEYFERRY_LINK_REQUEST_H

#include "base/arena.h"
#include "sink/sink.h"

struct request {
	struct arena *arena; /* of what is copied; the caller's */
	struct sink_piece *pieces;
	uint32_t count, room;
	uint32_t replies;
};

void request_begin(struct request *request, struct arena *arena);
void request_add(struct request *request, uint32_t argc, const struct slice *argv);
/* REQUEST_ADD(request, SLICE("GET"), key) */
#define REQUEST_ADD(request, ...)                                                                                                \
	request_add(request, sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice),                                 \
		    (const struct slice[]){__VA_ARGS__})
void request_free(struct request *request);

#endif
