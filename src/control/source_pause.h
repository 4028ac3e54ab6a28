/* The pause: no master of the source takes writes (CLIENT PAUSE ms WRITE, since Redis 6.2 and in every Valkey).
 *
 * It is a lease: each PAUSE is for LEASE_MS, and renewed long before. If this process is killed, the servers let writers go on by themselves.
 * Whether it has held all the time is told by the renewals: a connection that is lost, a refusal or an answer that comes too late ends it for good, since nobody knows then what
 * was written meanwhile.
 * Thread: the loop's; begin, keep and end run the loop (straight-line), renewals are a timer of it. */
#ifndef KEYFERRY_CONTROL_SOURCE_PAUSE_H
#define KEYFERRY_CONTROL_SOURCE_PAUSE_H

#include "peer/topology.h"

#define SOURCE_PAUSE_LEASE_MS 10000

struct source_pause;

/* Do all masters know CLIENT PAUSE ... WRITE? */
bool source_pause_known(const struct deployment *source);
/* All masters or none. `source` is its own: nobody else uses the clients, and it outlives it. NULL: ERROR_SOURCE, and writers go on.
 * `go_on` is asked several times a second, whatever the straight line waits for: false ends the pause at once, so that no server that hangs makes it longer. */
struct source_pause *source_pause_begin(struct loop *loop, struct deployment *source, bool (*go_on)(void *owner), void *owner,
					struct error *error) WARN_UNUSED;
/* False: it may have been interrupted. */
bool source_pause_holds(const struct source_pause *pause, struct error *error) WARN_UNUSED;
/* The servers go on for that long, and nobody renews it any more. */
bool source_pause_keep(struct source_pause *pause, uint64_t ms, struct error *error) WARN_UNUSED;
/* CLIENT UNPAUSE. False: a master was not reached; its lease ends by itself. */
bool source_pause_end(struct source_pause *pause, struct error *error) WARN_UNUSED;
void source_pause_free(struct source_pause *pause); /* NULL is fine; ends nothing */

#endif
