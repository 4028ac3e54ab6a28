/* Inside the link: what it is made of. For link.c and link_slots.c alone. */
#ifndef KEYFERRY_LINK_LINK_INSIDE_H
#define KEYFERRY_LINK_LINK_INSIDE_H

#include "link/link.h"
#include "source/receiver.h"
#include "source/scanner.h"

#include <pthread.h>
#include <stdatomic.h>

struct link {
	struct link_options options;
	char *name; /* of its connections: keyferry:<task>:<master> */
	char *state_path;
	char *names_path; /* NULL: the source is files */
	char label[ENDPOINT_TEXT_MAX + 8];
	char source_name[ENDPOINT_TEXT_MAX];
	char token[MARK_ID_LEN + 1]; /* of this run */
	struct spool *spool;
	struct link_state state;
	struct names *names; /* of a scanner, until it is made; else NULL */
	struct scripts *scripts;
	struct source source;
	struct receiver *receiver;   /* the source, or NULL */
	struct scanner *scanner;     /* likewise */
	struct heartbeat *heartbeat; /* NULL: the source is files */
	struct applier *applier;
	struct loop *receiver_loop, *applier_loop;
	struct wake *receiver_wake, *data_wake, *request_wake;
	pthread_t receiver_thread, applier_thread;
	bool adopted; /* its position is what the target knew */
	bool started;
	atomic_bool stop_receiver, move, rename, park, drain;
	atomic_uint drain_deadline_ms;
	uint32_t member;                             /* of the handover */
	atomic_uint_fast64_t slots[SLOT_COUNT / 64]; /* bit set: the shard owns it */
	atomic_bool stopped;
	_Atomic uint64_t incidents[INCIDENT_KINDS];
	struct tally applied;
	struct delays delays;
	pthread_mutex_t lock; /* of `error`, and of master, receive_from and slot of the options */
	struct error error;
};

/* link_slots.c: for the applier; `owner` is the link. */
bool link_owns_slot(void *owner, uint16_t slot);
/* The link joins the handover that it was given, by the name of its folder, which stays with the shard. Returns its number there. */
uint32_t link_join(struct link *link);

#endif
