/* The time between losing the source and being taken on again, told once: when it is over, in one sentence with the cause and what it cost; and where it lasts
 * longer than a second, once before that, for then nothing arrives. It also remembers of the last connection what tells the cause: the server's run id, how many
 * connections it had ended at its output buffer limit, and for how long keyferry itself had not read.
 * Thread: the receiver's. */
#ifndef KEYFERRY_SOURCE_ABSENCE_H
#define KEYFERRY_SOURCE_ABSENCE_H

#include "base/incident.h"
#include "peer/server.h"

struct absence {
	bool away;
	bool told; /* that it is */
	uint64_t since_us;
	char why[512];     /* the first cause, names the peer */
	const char *cause; /* its machine word */
	/* Of the last connection that was taken on: */
	bool had; /* there was one */
	struct endpoint from;
	char run_id[41];
	int64_t output_cuts;
	uint64_t unread_us; /* for how long reading was held, if that was long and came just before the loss */
	uint64_t unread_end_us;
};

/* The stream, or a snapshot, as it is to go on. */
struct absence_end {
	bool asked_anew; /* the target has lost what cannot be sent again: a full resync was asked for */
	const struct endpoint *endpoint;
	const struct server_info *server;
	const char *replid;
	int64_t offset;
	bool renamed;             /* the history goes on under another replication id */
	bool snapshot;            /* false: the stream alone is copied */
	uint64_t generation;      /* of the history that a full resync ends; 0: there was none */
	const char *asked_replid; /* of a full resync; empty: nothing was asked for */
	int64_t asked_offset;
};

#define ABSENCE_CONNECTION "connection"
#define ABSENCE_SILENCE "silence"
#define ABSENCE_MOVED "moved"

/* The connection is lost, or could not be made; only the first since the last one that was taken on counts. */
void absence_begin(struct absence *absence, const char *cause, const char *why);
/* Reading was held for so long. */
void absence_unread(struct absence *absence, uint64_t us);
/* Has lasted for so long that it is to be told. */
bool absence_is_due(const struct absence *absence);
/* Tells that it lasts; `now` is the present cause, `plan` how it will go on. */
struct incident absence_tell(struct absence *absence, const char *now, const char *plan);
/* Taken on again: with a continued stream, or with a full resync. What is remembered is that of the new connection from now on. */
struct incident absence_continued(struct absence *absence, const struct absence_end *end);
struct incident absence_resynced(struct absence *absence, const struct absence_end *end);

#endif
