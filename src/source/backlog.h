/* The backlog of a scanner: the keys that changed and are still to be read (source/changes.h), when each may be read, and which of them a moment waits for.
 *
 * A key that changes all the time is read at most BACKLOG_READS times a second, and a large one only so often that it takes no more than BACKLOG_BYTES a second:
 * until then it is deferred. Everything else is read in the order in which it was told of.
 * A moment: everything that waits when it is held is awaited, whatever is added later.
 * Thread: its loop's. */
#ifndef KEYFERRY_SOURCE_BACKLOG_H
#define KEYFERRY_SOURCE_BACKLOG_H

#include "base/slice.h"
#include "net/loop.h"

#define BACKLOG_READS 100
#define BACKLOG_BYTES (8u << 20)

struct backlog;

/* `bytes`: for names, at most. `ready`: keys that had been deferred may be taken now. */
struct backlog *backlog_new(struct loop *loop, size_t bytes, void (*ready)(void *owner), void *owner);
void backlog_free(struct backlog *backlog);
void backlog_stop(struct backlog *backlog); /* `ready` is not called any more */
/* A key that waits already stays where it is. False: there is no room for another. */
bool backlog_add(struct backlog *backlog, uint32_t db, struct slice key);
/* The next to be read; the key lives until the next call. False: none, or none now. */
bool backlog_take(struct backlog *backlog, uint32_t *db, struct slice *key);
/* It was read, and had so many bytes: it rests. */
void backlog_rest(struct backlog *backlog, uint32_t db, struct slice key, uint64_t size);
/* Begins a moment; the one before is let go. */
void backlog_hold(struct backlog *backlog);
/* Keys of the moment that were not taken yet. */
uint64_t backlog_awaited(const struct backlog *backlog);

#endif
