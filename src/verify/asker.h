/* The asker: questions to one server that only read, pipelined.
 *
 *     asker_ask(db, command, callback) ... --> queue --> as many under way as there is room for --> callback, in order
 *
 * What the server has to keep for us is bounded: the larger its last answers were, the fewer questions are under way (ASKER_ANSWERS_BYTES).
 * A lost connection is made again, with back-off; whatever was asked and not answered is told so (answer NULL), and asking again is up to who asked.
 * A server that does not come back within ASKER_PATIENCE_MS, or lets the user in no more, is told once by `failed`.
 * Thread: its loop's. Within the callbacks the asker must not be freed. */
#ifndef KEYFERRY_VERIFY_ASKER_H
#define KEYFERRY_VERIFY_ASKER_H

#include "peer/client.h"

#define ASKER_ANSWERS_BYTES (8u << 20)
#define ASKER_PATIENCE_MS 30000

struct asker;

/* Either whole, or, where a bulk is long (LINE_WHOLE_MAX), in pieces: nodes is NULL. All of it lives during the call. */
struct asker_answer {
	const struct resp_node *nodes;
	uint32_t count;
	uint64_t total; /* of pieces: bytes altogether */
	struct slice piece;
	bool begins, ends;
};

typedef void asker_callback(void *owner, uint32_t tag, const struct asker_answer *answer);

struct asker_events {
	void (*failed)(void *owner, const struct error *error);
	/* Everything that was there has been handed out: a place to go on from. May be NULL. */
	void (*idle)(void *owner);
};

struct asker *asker_new(struct loop *loop, const struct client_options *options, const struct asker_events *events, void *owner);
void asker_free(struct asker *asker); /* nothing is called back; NULL is fine */
const char *asker_peer(const struct asker *asker);
void asker_ask(struct asker *asker, uint32_t db, uint32_t argc, const struct slice *argv, asker_callback *callback, void *owner,
	       uint32_t tag);

#endif
