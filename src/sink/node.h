/* A target node: one pipelined connection to one master, and the units on it.
 *
 *   down --(back-off)--> connecting --handshake (AUTH, CLIENT SETNAME, CLIENT ID, CLIENT KILL of the connection before)--> ready --lost--> down
 *
 * Units are written in the order of enqueueing, as many in one system call as the pieces allow; replies are matched to them in that order.
 * When the connection is lost, nothing is known of the units in `sent`: the owner takes them all back (node_take_units).
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_NODE_H
#define KEYFERRY_SINK_NODE_H

#include "net/stream.h"
#include "sink/mark.h"
#include "sink/reply.h"
#include "sink/unit.h"
#include "spool/spool.h"
#include "task/options.h"

struct node;

/* What the replies to one unit amount to. */
struct unit_answer {
	const char *error;     /* text of the first error among its replies, or NULL */
	uint32_t error_at;     /* reply with it; UNIT_PREFIX: SELECT or ASKING before the unit */
	uint32_t error_member; /* when that reply is EXEC's array: the member */
	bool inside_exec;      /* the error is a member of EXEC's array: the transaction was executed */
	bool null;             /* its last reply was nil */
	const char *last;      /* text of its last reply: of EXEC, when `error` is that of a command refused before */
	bool last_error;       /* its last reply was an error */
};
#define UNIT_PREFIX UINT32_MAX

struct node_events {
	void (*ready)(void *owner, struct node *node);
	void (*lost)(void *owner, struct node *node, const struct error *error);
	void (*answered)(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer);
	/* An error in EXEC's array of a flight, before the flight itself is answered. */
	void (*member_error)(void *owner, struct node *node, struct unit *carrier, uint32_t member, const char *text);
};

struct node_options {
	struct loop *loop;
	const struct credentials *credentials;
	struct tls_context *tls;
	const char *tls_name;
	const char *name; /* CLIENT SETNAME */
	bool guarded; /* each connection has a name of its own (`name`, a dot and a number), nothing is killed in the greeting, and the
	                              * node is not ready until the owner has called node_open() */
	uint32_t connect_timeout_ms;
	bool import_source;  /* CLIENT IMPORT-SOURCE ON, whatever is answered */
	struct spool *spool; /* pages of large values leave memory behind the write; may be NULL */
};

/* What of the node's work is certain to stay: floor.h, which alone changes it. */
struct floor {
	struct mark_low
		acked; /* all of the link below it was executed there before its low mark, or before anything that came later */
	struct mark_low written; /* that the node is known to have */
	bool touched;            /* something was sent that its low mark does not cover */
	uint64_t sent;           /* position of the highest unit that was sent */
	bool out;                /* a low mark is under way */
	bool unmapped;           /* met by MOVED, and the map not read since: it may have more slots than is known */
	uint16_t slot;           /* that has it */
	uint64_t sent_us;
	uint64_t asked_us; /* fence_marks.c: marks of slots on their way to it were last asked for there */
};

struct node *node_new(const struct endpoint *endpoint, const struct node_options *options, const struct node_events *events,
		      void *owner);
void node_free(struct node *node);
/* Begins to connect (also by itself after a loss, with back-off). */
void node_connect(struct node *node);
/* Nothing goes out, comes in or is told any more. Not from within its events. */
void node_stop(struct node *node);
bool node_ready(const struct node *node);
/* Guarded: the owner has seen to it that nobody else writes there under this link's name (fence.h). Called after `ready`, once for each connection. */
void node_open(struct node *node);
/* The name of its present connection; guarded ones only. */
const char *node_connection_name(const struct node *node);
/* SELECT of this database has worked on this connection. */
bool node_knows_database(const struct node *node, uint32_t db);
const struct endpoint *node_endpoint(const struct node *node);
const char *node_peer(const struct node *node);

/* Node must be ready. Bytes leave at node_flush(), or when the socket has room again. */
void node_enqueue(struct node *node, struct unit *unit);
/* Writes what it can. A failure is reported by lost() on a later turn, never from within this call. */
void node_flush(struct node *node);
/* The connection is of no use any more: it is ended, and lost() follows on a later turn. */
void node_drop(struct node *node, const struct error *error);
bool node_has_units(const struct node *node);
struct floor *node_floor(struct node *node);
/* Was it, before it was lost? Within lost(). */
bool node_was_ready(const struct node *node);
/* Takes every unit back, oldest first. Bytes of the first *ret_sent may have reached the server; UNIT_RESENT is set for these. */
struct unit_list node_take_units(struct node *node, uint32_t *ret_sent);
/* Moves those of the units not written yet for which `leave` answers true to `out`, order kept. */
void node_divert(struct node *node, bool (*leave)(void *owner, const struct unit *unit), void *owner, struct unit_list *out);
/* A connection that has not answered its oldest unit for so long is lost, and so is one that does not answer the greeting
 * within the connect timeout. Called now and then. */
void node_check_silence(struct node *node, uint32_t timeout_ms);

#endif
