/* The rewriting: a key that the target cannot take as a payload, on its way to the sink as ordinary commands (rewrite.h makes them).
 *
 *   small  all commands in one transaction, in the key's place
 *   large  as there is room, into a temporary key, which is then renamed into place; other keys have to wait meanwhile
 *
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_REWRITING_H
#define KEYFERRY_LINK_REWRITING_H

#include "link/rewrite.h"
#include "sink/sink.h"

struct rewriting;

struct rewriting_options {
	const struct target_abilities *target;                      /* outlives it */
	void (*note)(void *owner, int log_level, const char *text); /* a finished sentence for the log */
	void *owner;
};

struct rewriting *rewriting_new(const struct rewriting_options *options);
void rewriting_free(struct rewriting *rewriting);
/* A new sink: what was under way is forgotten. */
void rewriting_reset(struct rewriting *rewriting, struct sink *sink);

/* How times are written from now on (rewrite.h). */
void rewriting_set_times(struct rewriting *rewriting, const struct guard_times *times);

struct rewriting_key {
	const struct event *event; /* its value's bytes stay until the key is done, its name is copied */
	uint64_t end;              /* the position behind it */
	uint16_t slot;             /* of the sink */
	uint32_t db_stream;
	bool valkey;   /* its form is one of Valkey's own */
	bool replaces; /* what is there; else that is left alone */
};
/* Begins with a key, with room in the sink. False: it cannot be done; ERROR_CONFLICT. */
bool rewriting_begin(struct rewriting *rewriting, const struct rewriting_key *key, struct error *error) WARN_UNUSED;

/* A large key is not done yet: nothing else may be handed in. */
bool rewriting_under_way(const struct rewriting *rewriting);
enum rewriting_state { REWRITING_DONE, REWRITING_WAITS, REWRITING_FAILED };
/* Sends as much as there is room for. */
enum rewriting_state rewriting_go_on(struct rewriting *rewriting, struct error *error);

/* The same as commands in the key's place, one after the other to `put`: for a transaction that the caller has open. */
bool rewriting_each(struct rewriting *rewriting, const struct event *event, bool valkey,
		    bool (*put)(void *owner, const struct event *command, struct error *error), void *owner,
		    struct error *error) WARN_UNUSED;

struct rewriting_counters {
	uint64_t keys;  /* sent as ordinary commands */
	uint64_t lossy; /* of these, with something left out */
};
struct rewriting_counters rewriting_counters(const struct rewriting *rewriting);

#endif
