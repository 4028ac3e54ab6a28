/* The write watch: has any client written to the source since it was looked at last?
 *
 * By the calls of each command that the masters count (INFO commandstats). Commands that scripts and transactions call are counted like others; DELs of keys that expire and what
 * comes from a master are not. Offsets would not do: they move by these DELs and by pings.
 * keyferry's own heartbeats are not counted as writes: so many SETEX of all masters together as there can have been since the beginning, one each interval and two more of each master
 * (one at either edge: a timer that was late is followed by one that is not). Fewer may have been written, and then as many SETEX of somebody else are not seen. Nothing that a server
 * tells would be exact: what it counts has no keys, and the link's own count is not taken at the moment of the server's. docs/cutover.md says so, and how to do without the gap. Commands of modules that the table does not know are taken for reads.
 * Thread: the loop's, straight-line. */
#ifndef KEYFERRY_CONTROL_WRITE_WATCH_H
#define KEYFERRY_CONTROL_WRITE_WATCH_H

#include "verify/side.h"

struct write_watch;

#define WRITE_WATCH_TEXT_MAX 200

/* heartbeat_ms: their interval; 0: nobody writes any. */
struct write_watch *write_watch_new(struct side *source, uint32_t heartbeat_ms);
void write_watch_free(struct write_watch *watch); /* NULL is fine */
/* From now on. ERROR_SOURCE. */
bool write_watch_begin(struct write_watch *watch, struct error *error) WARN_UNUSED;
/* *ret: commands that have written since the beginning; `text`: which, "SET (12 times), DEL (3 times)". */
bool write_watch_look(struct write_watch *watch, uint64_t *ret, char text[WRITE_WATCH_TEXT_MAX], struct error *error) WARN_UNUSED;

#endif
