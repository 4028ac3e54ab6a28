/* A dumped value: a key's value as DUMP gives it, with its expiry; how it is asked for, taken from the replies, and restored.
 *
 *   DUMP key, PEXPIRETIME key                     Redis 7.0, every Valkey
 *   DUMP key, TIME, PTTL key, TIME                before: exact where both TIMEs tell the same millisecond
 *
 * With the expiry these are several commands, to be asked in one transaction.
 *
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_DUMPED_H
#define KEYFERRY_LINK_DUMPED_H

#include "link/request.h"
#include "wire/resp.h"

#define DUMPED_NO_EXPIRY (-1)

struct dumped {
	bool exists;
	struct slice payload; /* in the replies */
	int64_t expire_at_ms; /* Unix ms, or DUMPED_NO_EXPIRY */
};

/* DUMP, and what tells its expiry unless that is not wanted. */
void dumped_ask(struct request *request, const struct target_abilities *target, struct slice key, bool expiry);

enum dumped_taken {
	DUMPED_TAKEN,
	DUMPED_UNSURE,     /* the expiry may be off by a millisecond */
	DUMPED_ERROR,      /* the target's, in `text` */
	DUMPED_NO_REPLIES, /* what is there is no answer to it */
};
/* Takes the replies to dumped_ask() off the front. */
enum dumped_taken dumped_take(struct slice *rest, const struct target_abilities *target, bool expiry, struct dumped *ret,
			      char text[REPLY_TEXT_MAX]);
/* The reply to a command that gives a bulk or nil. */
enum dumped_taken dumped_take_bulk(struct slice *rest, struct dumped *ret, char text[REPLY_TEXT_MAX]);
bool dumped_equal(const struct dumped *a, const struct dumped *b);

/* How many commands it takes to restore it: with two a reader might see it without its expiry, unless they stand in one transaction. */
uint32_t dumped_restore_commands(const struct target_abilities *target, const struct dumped *value);
void dumped_restore(struct request *request, const struct target_abilities *target, struct slice key, const struct dumped *value,
		    bool replace);

/* ---- replies to a request ---- */

/* Takes the next reply off the front. False: there is none, or it is not of the protocol. */
bool replies_next(struct slice *rest, struct resp_skim *ret);
/* Of `count` replies the last is an array, EXEC's: what then stands at the front is its first member. */
bool replies_enter_last(struct slice *rest, uint32_t count);

#endif
