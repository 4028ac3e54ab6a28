/* Incidents: what happens to a task beside its daily work (a connection is lost and made again, a failover, a full resync, a restart), each told once, in a
 * sentence that says what happened, from which position it went on and what it cost. Operators know them as events (docs/events.md); in the code an event is
 * what the decoders make (decode/event.h).
 *
 * The part that knows makes one and hands it to its callback `tell`. The link counts it, writes it to the log and adds it to the task's list: the last ones,
 * from which status is made. What lasts has two: one when it has lasted for a while, one when it is over; what is over soon has the second alone.
 *
 * Thread: a struct incident is a value; the list (any). */
#ifndef KEYFERRY_BASE_INCIDENT_H
#define KEYFERRY_BASE_INCIDENT_H

#include "base/log.h"

#include <stdint.h>

enum incident_kind {
	INCIDENT_RESUMED,
	INCIDENT_SOURCE_LOST,
	INCIDENT_SOURCE_RECONNECTED,
	INCIDENT_SOURCE_FAILOVER,
	INCIDENT_LINK_ADDED,
	INCIDENT_LINK_ENDED,
	INCIDENT_LINKS_DEADLOCKED,
	INCIDENT_SNAPSHOT_BEGUN,
	INCIDENT_FULL_RESYNC,
	INCIDENT_SNAPSHOT_APPLIED,
	INCIDENT_TARGET_WAITS,
	INCIDENT_TARGET_GOES_ON,
	INCIDENT_TARGET_RECONNECTED,
	INCIDENT_TARGET_FAILOVER,
	INCIDENT_TARGET_SLOTS_MOVED,
	INCIDENT_TARGET_ROLLED_BACK,
	INCIDENT_PREDECESSOR_FENCED,
	INCIDENT_STOOD_DOWN,
	INCIDENT_DISK_FULL,
	INCIDENT_DISK_FREE,
	INCIDENT_SPOOL_FULL,
	INCIDENT_SPOOL_FREE,
	INCIDENT_FAILED,
	INCIDENT_VERIFIED,
	INCIDENT_VERIFY_DIFFERENT,
	INCIDENT_VERIFY_FAILED,
	INCIDENT_KINDS,
};

/* The machine word, stable: "source_reconnected". */
const char *incident_kind_name(enum incident_kind kind);
enum log_level incident_kind_level(enum incident_kind kind);

#define INCIDENT_COSTS_MAX 6
#define INCIDENT_TEXT_MAX 1024
#define INCIDENT_LINK_MAX 320

struct incident_cost {
	const char *name; /* a constant: "seconds", "in_flight", ... (docs/events.md) */
	double value;
};

struct incident {
	enum incident_kind kind;
	const char *cause; /* a constant machine word, where a kind has several causes; else NULL */
	int64_t offset;    /* replication offset from which it went on; -1: none, or in the snapshot */
	uint32_t cost_count;
	struct incident_cost costs[INCIDENT_COSTS_MAX];
	char text[INCIDENT_TEXT_MAX];
	/* by incidents_add(): */
	int64_t at_ms;                /* wall clock */
	char link[INCIDENT_LINK_MAX]; /* as status names it */
};

/* Without cause and costs. */
struct incident incident_make(enum incident_kind kind, int64_t offset, const char *format, ...) PRINTF_LIKE(3, 4);
/* More of the sentence. */
void incident_add_text(struct incident *incident, const char *format, ...) PRINTF_LIKE(2, 3);
void incident_add_cost(struct incident *incident, const char *name, double value);
/* As a line of the log; cause, offset and costs are its fields. `link`: as status names it; NULL: the whole task's. */
void incident_log(const struct incident *incident, const char *link);

/* ---- the list ---- */

struct incidents;

/* Keeps the last `most`. */
struct incidents *incidents_new(uint32_t most);
void incidents_free(struct incidents *incidents);
/* `link`: "" for what is the whole task's. */
void incidents_add(struct incidents *incidents, const char *link, const struct incident *incident);
/* The oldest first; free(). */
struct incident *incidents_copy(struct incidents *incidents, uint32_t *ret_count);

#endif
