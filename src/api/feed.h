/* The feed: what changes, told to all who listen.
 *
 *     event: task      data: the task as GET /tasks has it (of all tasks alone); when it has changed, at most FEED_TURN_MS apart; at the beginning of a stream all of them
 *     event: status    data: the status of the task (of one task alone), likewise
 *     event: state     data: an entry of the history                         with id
 *     event: incident  data: an entry of the events                          with id
 *     event: gap       data: {"events": N or null...}: more has happened than is told again; read the lists
 *     event: removed   data: {"id": 7}; a stream of this task ends with it
 *     :                a comment each FEED_HEARTBEAT_MS
 *
 * and of a task's log (TASK/log), from the last lines on:
 *
 *     event: lines     data: {"lines": [...]}                                        with id
 *     event: gap       data: {"of": "lines"}: lines between are not there any more
 *     event: removed   as above
 *
 * Its ids are places in the log (service/worker_log.h), so nothing is missed as long as the log has it: what a slow client has not read waits there.
 *
 * A stream begins with an id alone, which is no event to its reader. An id of events is "E-H": the newest of the events and of the history up to here, so a client that comes again with Last-Event-ID is told what it has missed, up to FEED_AGAIN entries of each, also
 * when the daemon was started anew meanwhile. A stream ends when its token or session does.
 * Thread: one of its own; functions (any). */
#ifndef KEYFERRY_API_FEED_H
#define KEYFERRY_API_FEED_H

#include "api/access.h"
#include "api/mailbox.h"

#define FEED_TURN_MS 500
#define FEED_BEHIND_MS 50 /* between turns while a log has more than its followers had room for */
#define FEED_HEARTBEAT_MS 15000
#define FEED_AGAIN 200

struct feed;

struct feed *feed_new(struct service *service, struct access *access, uint32_t streams_max);
/* Ends all streams, and takes no more. */
void feed_end(struct feed *feed);
/* Streams that the server still has must have been closed. */
void feed_free(struct feed *feed);

/* `task`: its id; 0: of all tasks. NULL: there are streams_max. */
struct mailbox *feed_listen(struct feed *feed, const struct call *call, int64_t task);
/* Of the task's log: its last lines, and what comes. */
struct mailbox *feed_follow_log(struct feed *feed, const struct call *call, int64_t task, uint32_t lines);

#endif
