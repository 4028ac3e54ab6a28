/* The reader: one connection on which a source's keys are asked for, ahead of the answers: SCAN for their names, and for each of them its expiry and DUMP.
 *
 *   names of SCAN  --.
 *   keys of the owner -+--> requests, in order --> [SELECT] [TIME] PEXPIRETIME|PTTL, DUMP --> value | gone | later
 *
 * Only so much is under way as `pipeline` says, and less where values are large: what the server has to keep for us is bounded by about PIPELINE_BYTES.
 * A lost connection is made again, with back-off, and what was not answered is asked again; a scan goes on at its cursor. So everything is answered once.
 * PEXPIRETIME is of Redis 7.0; before it, PTTL counts from now, hence the server's TIME before each. Expiry and value are read one right behind the other, but
 * another client's command may come between: whoever follows the changes hears of it, and reads again.
 * On a cluster a key may be on its way to another node: MOVED is asked again with ASKING (the slot is being taken over by this node), ASK says that it has left.
 * `CLIENT NO-TOUCH ON` (7.2) lets reading not count as use of a key, where LRU or LFU would keep it; older servers do not know that.
 * Within the callbacks the reader must not be freed.
 * Thread: its loop's. */
#ifndef KEYFERRY_SOURCE_READER_H
#define KEYFERRY_SOURCE_READER_H

#include "source/line.h"

#define READER_PIPELINE_BYTES (8u << 20)

struct reader;

struct reader_events {
	/* The next key that the owner wants to be read, when there is room; false: none. The key lives until the next call. */
	bool (*want)(void *owner, uint32_t *db, struct slice *key);
	/* expire_at_ms: Unix ms, or -1. */
	void (*value)(void *owner, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice payload);
	/* A large one: first piece (`begins`) to the last (`ends`). A first piece may come again, after a lost connection. */
	void (*piece)(void *owner, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice bytes, bool begins,
		      bool ends);
	void (*gone)(void *owner, uint32_t db, struct slice key);
	/* The server cannot answer now (LOADING, CLUSTERDOWN, TRYAGAIN ...). */
	void (*later)(void *owner, uint32_t db, struct slice key);
	/* The answer to INFO; `section` as it was asked for. */
	void (*info)(void *owner, const char *section, struct slice text);
	/* The answer to CONFIG GET: the value, or why there is none. */
	void (*config)(void *owner, const char *name, struct slice value, bool refused);
	/* The answer to FUNCTION DUMP; empty: the server has none, or knows none; then `refusal` may say why. */
	void (*functions)(void *owner, struct slice payload, struct slice refusal);
	/* reader_scan() is over, and every key of it is answered. */
	void (*scanned)(void *owner);
	/* All answers that were there are handed out. */
	void (*idle)(void *owner);
	/* The connection was lost and is made again; a sentence. `refused`: the server does not let the user in. */
	void (*lost)(void *owner, const struct error *error, bool refused);
	void (*connected)(void *owner);
	/* An answer that waiting does not mend. */
	void (*failed)(void *owner, const struct error *error);
};

struct reader_options {
	struct client_options client;
	uint32_t count;      /* of SCAN */
	uint32_t pipeline;   /* keys under way */
	bool pexpiretime;    /* the server has it */
	bool readonly;       /* a cluster's replica */
	uint32_t silence_ms; /* without an answer, after which the connection is given up */
};

struct reader *reader_new(struct loop *loop, const struct reader_options *options, const struct reader_events *events,
			  void *owner);
void reader_free(struct reader *reader); /* NULL is fine */
/* Connects. */
void reader_start(struct reader *reader);
/* Closes; nothing is called back any more. */
void reader_stop(struct reader *reader);
/* Connects elsewhere; what is not answered is asked there. */
void reader_move(struct reader *reader, const struct endpoint *endpoint, bool readonly);
/* Nothing is handed out, and soon nothing read. */
void reader_pause(struct reader *reader, bool paused);
/* The connection is broken off and made again; for when what it brings cannot be kept. */
void reader_break(struct reader *reader);
/* Asks `want` and sends, as there is room. */
void reader_pump(struct reader *reader);
/* Each second: looks for silence. */
void reader_tick(struct reader *reader);

/* All keys of a database; one at a time. */
void reader_scan(struct reader *reader, uint32_t db);
void reader_info(struct reader *reader, const char *section); /* static text */
void reader_config(struct reader *reader, const char *name);  /* static text */
void reader_functions(struct reader *reader);
/* Requests so far, and answered: what was asked before is answered once reader_answered() has come to reader_asked() as it was then. */
uint64_t reader_asked(const struct reader *reader);
uint64_t reader_answered(const struct reader *reader);

#endif
