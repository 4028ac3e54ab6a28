/* What a source says of being away, for who asks from other threads: since when its server is not read, and why the last attempt to reach it failed. Beside
 * absence.h, which tells it once, as events: this is there for as long as it lasts.
 * Thread: written by the source's own; away_status() (any). */
#ifndef KEYFERRY_SOURCE_AWAY_H
#define KEYFERRY_SOURCE_AWAY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct away;

struct away_status {
	int64_t since_ms;                                /* Unix; 0: it is not away, and the texts are empty */
	char text[sizeof(((struct error *)NULL)->text)]; /* names the server */
	char hint[sizeof(((struct error *)NULL)->hint)]; /* what to do, or empty */
};

struct away *away_new(void);
void away_free(struct away *away);
/* The server is lost, or could not be reached again: the first error since it was there tells since when, the last one why. It names the server. */
void away_tell(struct away *away, const struct error *error);
/* It is read again, or nobody wants to read it any more. */
void away_end(struct away *away);
struct away_status away_status(struct away *away);

#endif
