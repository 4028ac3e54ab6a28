/* The write watch: has any client written to the source since it was looked at last?
 *
 * By the calls of each command that the masters count (INFO commandstats). Commands that scripts and transactions call are counted like others; DELs of keys that expire and what
 * comes from a master are not. Offsets would not do: they move by these DELs and by pings.
 * keyferry's own heartbeats (SETEX, at their interval) are not counted as writes; commands of modules that the table does not know are taken for reads.
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
