/* A few threads that work off what is handed to them, in order, so that whoever hands it over need not wait.
 *
 * Slow work (that asks servers on the network) never takes all threads: quick work goes past it.
 * Thread: (any). */
#ifndef KEYFERRY_API_WORKERS_H
#define KEYFERRY_API_WORKERS_H

#include "base/error.h"

#define WORKERS_COUNT 4
#define WORKERS_SLOW 2
#define WORKERS_WAITING 256

struct workers;

struct workers *workers_new(void (*work)(void *job));
/* Does what was handed over, then ends the threads; nothing more is taken. */
void workers_end(struct workers *workers);
/* After workers_end(). */
void workers_free(struct workers *workers);
/* False: too much is waiting, or it has ended. */
bool workers_take(struct workers *workers, void *job, bool slow) WARN_UNUSED;

#endif
