/* The feeder: puts an input's bytes into the link's spool, as the receiver does with what a server sends.
 *
 *   input --read--> intake --> spool        until the input's end, from wherever the spool ends
 *
 * It goes on where the spool ends, so a restart reads nothing twice. The spool's bound holds: while it has no room, the feeder waits. The copy
 * costs a memory copy and a checksum; what the target takes at once is deleted again before the system has written it to the disk.
 * Nothing is checked here: link/inspection.h has read every byte before.
 * Thread: the source's loop. */
#ifndef KEYFERRY_SOURCE_FEEDER_H
#define KEYFERRY_SOURCE_FEEDER_H

#include "base/incident.h"
#include "net/loop.h"
#include "source/input.h"
#include "source/source.h"
#include "spool/spool.h"

struct feeder;

/* Told on the feeder's thread. */
struct feeder_events {
	void (*note)(void *owner, int log_level, const char *text);
	void (*tell)(void *owner, const struct incident *incident); /* disk full, disk free */
	/* A file cannot be read any more. The feeder has stopped. */
	void (*failed)(void *owner, const struct error *error);
};

/* `input` has been inspected, and is the one that the spool's history was begun with; it outlives the feeder. */
struct feeder *feeder_new(struct loop *loop, const struct input *input, struct spool *spool, const struct feeder_events *events,
			  void *owner);
struct source feeder_as_source(struct feeder *feeder);

#endif
