/* A mailbox: the server-sent events (WHATWG HTML, 9.2) that wait for one client. The feed writes, the server reads.
 *
 * What waits for the client is bounded. Snapshots (a task's line, its status) are let go while more than half of the queue waits, since a later one has all of an earlier one; what must not be
 * missed (a change of state, an incident) takes the other half, and a client that does not even take that is ended: it comes again with Last-Event-ID. What is kept elsewhere anyway (a log) waits
 * there until less than a half waits here.
 * Thread: as each function says; a lock of its own. */
#ifndef KEYFERRY_API_MAILBOX_H
#define KEYFERRY_API_MAILBOX_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAILBOX_MAX (512u << 10)

struct mailbox;

struct mailbox *mailbox_new(void);
void mailbox_free(struct mailbox *mailbox);

/* ---- the feed's thread ---- */

/* `id` NULL: none. False: no room, nothing was written. A mailbox without room for what must not be missed has ended. */
bool mailbox_put_snapshot(struct mailbox *mailbox, const char *event, const char *data) WARN_UNUSED;
bool mailbox_put_event(struct mailbox *mailbox, const char *id, const char *event, const char *data);
/* Less than a half waits: an event of up to MAILBOX_MAX / 2 is taken. */
bool mailbox_has_room(struct mailbox *mailbox);
/* An id without an event: what a client that comes again tells. */
bool mailbox_put_id(struct mailbox *mailbox, const char *id) WARN_UNUSED;
/* A comment, by which a dead connection is noticed. */
void mailbox_put_comment(struct mailbox *mailbox);
/* Nothing more is written; what waits is still read. */
void mailbox_end(struct mailbox *mailbox);
/* Has mailbox_close() been called? */
bool mailbox_is_closed(struct mailbox *mailbox);

/* ---- the server's thread ---- */

/* `wake` is called when there is something to read after mailbox_read() has called `sleep`: with the mailbox's lock, on the feed's thread. */
void mailbox_attach(struct mailbox *mailbox, void (*sleep)(void *owner), void (*wake)(void *owner), void *owner);
/* Bytes read; 0: none now, and `sleep` was called; -1: the end. */
ssize_t mailbox_read(struct mailbox *mailbox, char *out, size_t max);
/* The client has gone: the feed frees it. */
void mailbox_close(struct mailbox *mailbox);

#endif
